"""Rows that change with their batch: a note within the limit, a fault where that is asked for."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.running import invoke
from xentcheck import audit, config
from xentcheck.auditing.run import audit as run
from xentcheck.errors import ConfigError, UsageError
from xentcheck.model import NOTES, Array, Finding, Implementation, Kind, LabelKind, Report

SOFTPLUS = "softplus"
SWEEP = """
sweeps:
  small:
    losses: softplus
    dtypes: [float32]
    quantities: value
    implementations: [mine]
    inputs: [{generator: explicit, values: [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6]}]
"""


def softplus(x: Array) -> Array:
    wide = x.astype(np.float64)
    result: Array = np.log1p(np.exp(-np.abs(wide))) + np.maximum(wide, 0.0)
    return result.astype(np.float32)


def moved(x: Array, where: Any, steps: int) -> Array:
    result = softplus(x)
    bits = result.view(np.int32)
    ordinary = np.isfinite(result) & (result > 1e-30) & (result < 1e30)
    bits += steps * (ordinary & np.asarray(where)).astype(np.int32)
    return result


def tail(x: Array) -> Array:
    """As a vector kernel with a scalar tail: the rows beyond a multiple of eight differ."""
    return moved(x, np.arange(len(x)) >= len(x) // 8 * 8, 1)


def alone(x: Array) -> Array:
    return moved(x, len(x) == 1, 1)


def far(x: Array) -> Array:
    return moved(x, np.arange(len(x)) >= len(x) // 8 * 8, 40)


def mine(function: Callable[..., Any]) -> Implementation:
    kinds = (LabelKind.NONE,)
    return Implementation(SOFTPLUS, "mine", function, None, ("float32",), kinds, frozenset())


def surveyed(function: Callable[..., Any], limits: str = "") -> Report:
    return run(config.loads(SWEEP + limits), extra=[mine(function)])


def of(report: Report, kind: Kind) -> Finding:
    (finding,) = (each for each in report.findings if each.kind is kind)
    return finding


def test_one_ulp_is_a_note_that_neither_grades_nor_fails() -> None:
    assert Kind.BATCH_VARIANT in NOTES
    report = surveyed(tail)
    assert {each.kind for each in report.findings} == {Kind.BATCH_VARIANT}
    finding = of(report, Kind.BATCH_VARIANT)
    assert finding.distance == 1
    assert finding.rows == report.measurements[0].counts[Kind.BATCH_VARIANT] > 0
    assert "survey: 1 accurate cell" in report._repr_html_()
    assert surveyed(tail, "limits: {max_ulp: 4}\n").violations == ()


def test_beyond_the_limit_it_is_a_fault() -> None:
    assert Kind.ROW_DEPENDENT in {each.kind for each in surveyed(far).findings}
    narrow = surveyed(tail, "limits: {max_ulp: 0.9}\n")
    assert Kind.ROW_DEPENDENT in {each.finding.kind for each in narrow.violations}
    wide = surveyed(far, "limits: {max_ulp: 4, or_abs: 0.001}\n")
    assert Kind.ROW_DEPENDENT not in {each.kind for each in wide.findings}
    assert Kind.BATCH_VARIANT in {each.kind for each in wide.findings}


def test_a_row_that_company_makes_wrong_is_a_fault_however_little_it_moves() -> None:
    """Its error is 5 steps and a rounding in other company, 4 and a rounding in the block."""

    def near(x: Array) -> Array:
        return moved(x, True, 4 + (len(x) != 10))

    report = surveyed(near, "limits: {max_ulp: 4.5}\n")
    assert {each.kind for each in report.findings} == {Kind.ROW_DEPENDENT}
    assert of(report, Kind.ROW_DEPENDENT).distance == 1


def test_asked_for_it_is_a_fault_from_the_first_ulp_on_with_the_batch_sizes() -> None:
    report = surveyed(alone, "limits: {max_ulp: 4, batch_invariant: true}\n")
    (violation,) = report.violations
    assert violation.rule == "batch-variant"
    assert violation.limit == "no row may change with its batch"
    assert violation.finding.rows == 10
    assert "by up to 1 ulp; in batches of 1 rows they differ" in violation.finding.detail
    assert surveyed(alone).findings == ()  # no batch of one is called unless it is asked for


def test_batches_larger_than_the_block_are_called_too() -> None:
    def large(x: Array) -> Array:
        return moved(x, len(x) > 30, 2)

    (violation,) = surveyed(large, "limits: {batch_invariant: true}\n").violations
    assert "in batches of 32, 64 rows" in violation.finding.detail


def test_a_batch_size_that_raises_is_a_fault() -> None:
    def picky(x: Array) -> Array:
        if len(x) == 5:
            raise ValueError("no five")
        return softplus(x)

    (violation,) = surveyed(picky, "limits: {batch_invariant: true}\n").violations
    assert violation.finding.kind is Kind.ROW_DEPENDENT
    assert "batches of 5: ValueError: no five" in violation.finding.detail


def test_what_does_not_change_passes() -> None:
    report = surveyed(softplus, "limits: {batch_invariant: true}\n")
    assert report.findings == ()
    assert report.violations == ()


def test_every_part_is_asked_where_no_row_may_change() -> None:
    text = SWEEP.replace(
        "inputs: [{generator: explicit, values: [-3, -2, -1, 0, 1, 2, 3, 4, 5, 6]}]",
        "inputs:\n" + "      - {generator: normal, rows: 300}\n" * 7 + "      - "
        "{generator: explicit, values: [1000001, 1000002, 1000003]}",
    )
    late = mine(lambda x: moved(x, (len(x) == 1) & (x > 1e6), 1))
    found = run(config.loads(text + "limits: {batch_invariant: true}\n"), extra=[late])
    assert [each.rule for each in found.violations] == ["batch-variant"]


def test_the_python_interface_and_the_command_have_it(tmp_path: Path) -> None:
    kinds = {each.finding.kind for each in audit(tail, SOFTPLUS, dtypes="float32").violations}
    assert kinds == set()
    asked = audit(tail, SOFTPLUS, dtypes="float32", batch_invariant=True)
    assert {each.finding.kind for each in asked.violations} == {Kind.BATCH_VARIANT}
    with pytest.raises(UsageError, match="expected True or False"):
        audit(tail, SOFTPLUS, batch_invariant="yes")  # type: ignore[arg-type]
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "def f(x):\n"
        "    wide = x.astype(np.float64)\n"
        "    result = np.log1p(np.exp(-np.abs(wide))) + np.maximum(wide, 0.0)\n"
        "    result = result.astype(np.float32)\n"
        "    tail = np.arange(len(x)) >= len(x) // 8 * 8\n"
        "    tail &= (result > 1e-30) & (result < 1e30)\n"
        "    result.view(np.int32)[tail] += 1\n"
        "    return result\n"
    )
    words = ("check", "mine.py:f", "--loss", SOFTPLUS, "--dtype", "float32", "--workers", "1")
    plain = invoke(*words, cwd=tmp_path)
    assert plain.exit_code == 0, plain.output
    assert "batch-variant" in plain.stdout
    strict = invoke(*words, "--batch-invariant", cwd=tmp_path)
    assert strict.exit_code == 1
    assert "in batches of" in strict.stdout


def test_it_cannot_be_allowed_and_forbidden() -> None:
    limits = "limits: {batch_invariant: true, allow: batch-variant}\n"
    with pytest.raises(ConfigError, match="batch-variant is allowed by the same limit"):
        config.loads(SWEEP + limits)
    with pytest.raises(ConfigError, match="write true"):
        config.loads(SWEEP + "limits: {batch_invariant: yes}\n")
    (limit,) = config.loads(SWEEP + "limits: {batch_invariant: false}\n").limits
    assert not limit.batch_invariant
