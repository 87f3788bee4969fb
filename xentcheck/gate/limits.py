"""Finds the violations: findings and measurements that break a limit.

A limit forbids every kind that it does not allow by name, except notes. Notes are violations only
if the limit forbids them by name:

* `convention` and `ftz`: the result differs in a way that the field accepts.
* `fp-signal`: the computation raises a signal that would end some runs.
* `batch-variant`: a row changes with its neighbours, but stays within the limit.

The search for kinds measured in ulps already used the limit's tolerance. A cell that no limit
selects is surveyed, not gated.
"""

import math
from collections.abc import Iterable

from xentcheck.gate import against, would_pass
from xentcheck.model import (
    IN_TOLERANCE,
    NOTES,
    P99,
    Config,
    Contest,
    Finding,
    Kind,
    Limit,
    Measurement,
    Tolerance,
    Violation,
)


def judge(
    config: Config,
    findings: Iterable[Finding],
    measurements: Iterable[Measurement] = (),
    contests: Iterable[Contest] = (),
) -> tuple[Violation, ...]:
    """The violations of a configuration's limits.

    They are findings in their order, percentiles, and then rows that are worse than a peer's.
    """
    findings = tuple(findings)
    violations = []
    for finding in findings:
        limit = config.limit_for(finding.cell)
        if limit is not None and _violates(finding, limit):
            violations.append(
                Violation(
                    finding,
                    _allows(finding, limit),
                    finding.kind.value,
                    place=limit.path,
                    bounds=would_pass.bounds(finding, limit, findings),
                )
            )
    for measurement in measurements:
        limit = config.limit_for(measurement.cell)
        # p99_ulp is the error of the row at position ceil(0.99·(n − 1)), from 0, of n sorted rows
        if limit is not None and measurement.far > max(measurement.scored - 1, 0) // 100:
            violations.append(_by_percentile(measurement, limit))
    return (*violations, *against.violations(config, findings, contests))


def _violates(finding: Finding, limit: Limit) -> bool:
    if finding.kind in limit.allow:
        return False
    if limit.relative and finding.kind is not Kind.OTHER_FUNCTION:
        return finding.kind in limit.forbid
    if finding.kind in NOTES:
        return finding.kind in limit.forbid
    return True


def _by_percentile(measurement: Measurement, limit: Limit) -> Violation:
    bound = f"p99_ulp {limit.tolerance.p99_ulp:g}"
    if limit.tolerance.times_condition:
        bound += " × condition number"
    finding = Finding(
        Kind.INACCURATE,
        measurement.cell,
        measurement.far,
        witness=measurement.farthest,
        hint="not one row, but more than one in a hundred; the witness is the farthest",
        detail=f"the 99th percentile is {measurement.p99_ulp:.6g} ulp: {measurement.far:,} of "
        f"{measurement.scored:,} rows are beyond {bound}",
    )
    return Violation(
        finding,
        bound + _otherwise(limit.tolerance),
        P99,
        place=limit.path,
        bounds=would_pass.percentile(measurement, limit),
    )


def _allows(finding: Finding, limit: Limit) -> str:
    tolerance = limit.tolerance
    if finding.kind is Kind.BATCH_VARIANT:
        return "no row may change with its batch"
    if finding.kind not in IN_TOLERANCE | {Kind.WRONG_SIGN, Kind.ROW_DEPENDENT}:
        return f"{finding.kind} is not allowed"
    bounds = []
    if tolerance.max_ulp < math.inf:
        times = " × condition number" if tolerance.times_condition else ""
        bounds.append(f"max_ulp {tolerance.max_ulp:g}{times}")
    if finding.kind is Kind.ROW_DEPENDENT and tolerance.p99_ulp < tolerance.max_ulp:
        bounds = [f"p99_ulp {tolerance.p99_ulp:g}"]
    if tolerance.max_excess_bits < math.inf:
        bounds.append(f"max_excess_bits {tolerance.max_excess_bits:g}")
    if not bounds:
        return f"{finding.kind} is not allowed"
    return " and ".join(bounds) + _otherwise(tolerance)


def _otherwise(tolerance: Tolerance) -> str:
    """The alternatives that the tolerance accepts instead, as text."""
    text = f" or_abs {tolerance.or_abs:g}" if tolerance.or_abs else ""
    text += f" or_rel {tolerance.or_rel:g}" if tolerance.or_rel else ""
    bits = tolerance.or_excess_bits
    return text + (f" or_excess_bits {bits:g}" if bits > -math.inf else "")
