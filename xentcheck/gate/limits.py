"""Finds the violations: findings and measurements that break a limit.

A limit forbids every kind that it does not allow by name, except notes. Notes are violations only
if the limit forbids them by name:

* `convention` and `ftz`: the result differs in a way that the field accepts.
* `fp-signal`: the computation raises a signal that would end some runs.
* `batch-variant`: a row changes with its neighbours, but stays within the limit.

The search for kinds measured in ulps already used the limit's tolerance. Where a limit has a grade
and no bound in ulps, the grade alone decides the kinds of `DECIDED_BY_GRADE`. A cell that no limit
selects is surveyed, not gated.
"""

import math
from collections.abc import Iterable

from xentcheck.gate import against, would_pass
from xentcheck.model import (
    ABOUT,
    ABOUT_GRADES,
    BREAKING,
    DECIDED_BY_GRADE,
    IN_TOLERANCE,
    MAX_NORM,
    MIN_GRADE,
    NOTES,
    P99,
    Cell,
    Config,
    Contest,
    Finding,
    Grade,
    Kind,
    Limit,
    Measurement,
    Quantity,
    Tolerance,
    Violation,
    Witness,
    gravity,
    rank,
)


def judge(
    config: Config,
    findings: Iterable[Finding],
    measurements: Iterable[Measurement] = (),
    contests: Iterable[Contest] = (),
) -> tuple[Violation, ...]:
    """The violations of a configuration's limits.

    They are findings in their order, then those of cells, then rows that are worse than a peer's.
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
        if limit is not None and measurement.max_norm > limit.tolerance.max_norm:
            violations.append(_by_norm(measurement, limit))
        least = None if limit is None else limit.tolerance.min_grade
        grade = measurement.grade
        if limit is None or least is None or grade is None:
            continue
        if rank(grade) < rank(least):
            violations.append(_by_grade(measurement, grade, least, limit.path))
    return (*violations, *against.violations(config, findings, contests))


def _violates(finding: Finding, limit: Limit) -> bool:
    if finding.kind in limit.allow:
        return False
    if limit.relative and finding.kind is not Kind.OTHER_FUNCTION:
        return finding.kind in limit.forbid
    by_grade = limit.tolerance.min_grade is not None and limit.tolerance.of_scale
    if by_grade and finding.kind in DECIDED_BY_GRADE:
        return False
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


def _by_norm(measurement: Measurement, limit: Limit) -> Violation:
    finding = Finding(
        _kind_of(measurement.cell, measurement.normwise),
        measurement.cell,
        1,
        witness=measurement.normwise,
        hint="the witness is the row with the largest error for its scale",
        detail=f"the error is {measurement.max_norm:.6g} of the row's scale",
    )
    bound = f"max_norm {limit.tolerance.max_norm:g}"
    return Violation(finding, bound, MAX_NORM, place=limit.path)


def _by_grade(measurement: Measurement, grade: Grade, least: Grade, place: str) -> Violation:
    broken = [kind for kind in measurement.counts if kind in BREAKING]
    kind = min(broken, key=gravity) if broken else _kind_of(measurement.cell, measurement.graded)
    finding = Finding(
        kind,
        measurement.cell,
        measurement.counts.get(kind, 1) if broken else 1,
        witness=measurement.graded,
        hint=ABOUT[kind].hint if broken else "the witness is the row that gives the grade",
        detail=f"grade {grade}, allowed {least}: {ABOUT_GRADES[grade]}",
    )
    return Violation(finding, f"min_grade {least}", MIN_GRADE, place=place)


def _kind_of(cell: Cell, witness: Witness | None) -> Kind:
    """The kind of a result that is off by too much, whatever the bounds in ulps are."""
    if witness is None:
        return Kind.INACCURATE
    if witness.actual * witness.expected < 0:
        return Kind.WRONG_SIGN
    gradient = cell.quantity is Quantity.GRADIENT
    lost = gradient and witness.actual == 0 and witness.expected != 0
    return Kind.VANISHED_GRADIENT if lost else Kind.INACCURATE


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
