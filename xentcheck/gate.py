"""Findings × limits → violations.

A kind that a limit does not allow by name is forbidden, but for notes: `convention` and `ftz` say
that a result differs in a way the field accepts. Kinds measured in ulps were found with the
limit's own tolerance already; a row that depends on its neighbours violates only when it moves by
more ulps than the limit has. A cell that no limit selects is surveyed, not gated.
"""

from collections.abc import Iterable

from xentcheck.model import NOTES, Config, Finding, Kind, Limit, Violation


def judge(config: Config, findings: Iterable[Finding]) -> tuple[Violation, ...]:
    """The findings beyond the limits of a configuration, in their order."""
    violations = []
    for finding in findings:
        limit = config.limit_for(finding.cell)
        if limit is not None and _violates(finding, limit):
            violations.append(Violation(finding, _allows(finding, limit)))
    return tuple(violations)


def _violates(finding: Finding, limit: Limit) -> bool:
    if finding.kind in limit.allow or finding.kind in NOTES:
        return False
    if finding.kind is Kind.ROW_DEPENDENT:
        return finding.distance > limit.tolerance.max_ulp
    return True


def _allows(finding: Finding, limit: Limit) -> str:
    tolerance = limit.tolerance
    measured = {
        Kind.INACCURATE,
        Kind.WRONG_SIGN,
        Kind.VANISHED_GRADIENT,
        Kind.SPURIOUS_UNDERFLOW,
        Kind.PLATEAU,
        Kind.ROW_DEPENDENT,
    }
    if finding.kind not in measured:
        return f"{finding.kind} is not allowed"
    text = f"max_ulp {tolerance.max_ulp:g}"
    if finding.kind is Kind.ROW_DEPENDENT:
        return text
    if tolerance.times_condition:
        text += " × condition number"
    if tolerance.or_abs:
        text += f" or_abs {tolerance.or_abs:g}"
    return text
