"""Faults planted in the instrument: each is one edit of one file, and the tests that must notice.

An edit replaces a text that stands in the file exactly once. `tests/test_planted_faults.py` applies
each to a copy of the tree and runs the named tests, which must fail there and pass here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """A fault: what it is, where, the edit, and the test files that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


PLANTED = (
    Planted(
        "an ulp off by a factor of two below powers of two",
        "xentcheck/scoring.py",
        "exact.exponent - touches)",
        "exact.exponent + 1)",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "an enclosure that touches a power of two takes the larger ulp",
        "xentcheck/scoring.py",
        "exact.exponent - touches)",
        "exact.exponent)",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "a reference rounded before subtracting",
        "xentcheck/scoring.py",
        "- np.ldexp(exact.lo, shift)\n",
        "\n",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "NaN counted as a pass",
        "xentcheck/scoring.py",
        "    mark(Kind.NAN, ~undefined & is_nan)\n",
        "",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "a missed NaN counted as a pass",
        "xentcheck/scoring.py",
        "    mark(Kind.MISSED_NAN, undefined & ~is_nan)\n",
        "",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "infinity taken for one ulp beyond max",
        "xentcheck/scoring.py",
        "    mark(Kind.SPURIOUS_OVERFLOW, finite & is_inf)\n",
        "",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "overflow allowed from max on, not from max and half an ulp",
        "xentcheck/scoring.py",
        "np.abs(exact.lo) >= half",
        "np.abs(exact.lo) >= 0.0",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "opposite infinities taken for equal",
        "xentcheck/scoring.py",
        "    mark(Kind.WRONG_SIGN, (infinite | overflowing) & ~is_nan & (a != 0) & opposite)\n",
        "",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "a finite result accepted for an infinite one",
        "xentcheck/scoring.py",
        "    mark(Kind.MISSED_OVERFLOW, infinite & is_number)\n",
        "",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "a limit that passes what is just beyond it",
        "xentcheck/scoring.py",
        "ulp_error - radius > limit",
        "ulp_error - radius > limit + 1",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "a limit that fails what exactly meets it",
        "xentcheck/scoring.py",
        "ulp_error - radius > limit",
        "ulp_error - radius >= limit",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "every tolerance widened by the condition number",
        "xentcheck/scoring.py",
        "if tolerance.times_condition:",
        "if True:",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "an absolute tolerance that is always met",
        "xentcheck/scoring.py",
        "~(abs_error <= tolerance.or_abs)",
        "~(abs_error >= tolerance.or_abs)",
        ("tests/test_scoring.py",),
    ),
    Planted(
        "elementary functions trusted to the last bit",
        "xentcheck/reference/intervals.py",
        "libmp.mpf_shift(_ONE, -(precision + 6))",
        "libmp.mpf_shift(_ONE, -(precision + 600))",
        ("tests/test_intervals.py",),
    ),
    Planted(
        "rounding inwards",
        "xentcheck/reference/intervals.py",
        "_DOWN = libmp.round_floor\n_UP = libmp.round_ceiling",
        "_UP = libmp.round_floor\n_DOWN = libmp.round_ceiling",
        ("tests/test_intervals.py",),
    ),
    Planted(
        "precision never raised",
        "xentcheck/reference/engine.py",
        "        if missing <= 0:\n            return result",
        "        if missing <= 1 << 60:\n            return result",
        ("tests/test_intervals.py", "tests/test_reference.py"),
    ),
    Planted(
        "the textbook definition never held against the rearranged form",
        "xentcheck/reference/engine.py",
        "            if not _meet(one.number, other.number):",
        "            if False:",
        ("tests/test_intervals.py",),
    ),
    Planted(
        "the radius of an enclosure forgotten",
        "xentcheck/reference/engine.py",
        "        half_width = libmp.to_float(",
        "        half_width = 0.0 * libmp.to_float(",
        ("tests/test_reference.py", "tests/test_intervals.py"),
    ),
    Planted(
        "the gradient of the true class without its own share",
        "xentcheck/losses/softmax.py",
        "        g = (whole - charge) * p - charge * complement",
        "        g = whole * p - charge * complement",
        ("tests/test_reference.py",),
    ),
    Planted(
        "a mean that divides by the rows, whatever their weights",
        "xentcheck/reference/engine.py",
        "ops.total([ops.number(weight) for weight in weights])",
        "ops.number(float(len(weights)))",
        ("tests/test_intervals.py",),
    ),
    Planted(
        "double rounding through float32",
        "xentcheck/floats.py",
        "",
        "",
        ("tests/test_floats.py",),
    ),
    Planted(
        "an implementation's writes reach the next one",
        "xentcheck/execution/calls.py",
        "        arguments: list[Any] = [logits.copy()]",
        "        arguments: list[Any] = [case.logits]",
        ("tests/test_execution.py",),
    ),
    Planted(
        "the second call not compared",
        "xentcheck/execution/calls.py",
        "    incidents += _repeat(run, results, everything)\n",
        "",
        ("tests/test_execution.py",),
    ),
    Planted(
        "rows always called in the same company",
        "xentcheck/execution/calls.py",
        "        incidents += _regroup(run, results)\n",
        "        pass\n",
        ("tests/test_execution.py",),
    ),
    Planted(
        "a narrower result dtype let through",
        "xentcheck/execution/calls.py",
        "    if _narrower(target, source):",
        "    if False:",
        ("tests/test_execution.py",),
    ),
)
