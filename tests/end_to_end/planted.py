"""Faults planted in the instrument: each is one edit of one file, and the tests that must notice.

An edit replaces a text that stands in the file exactly once.
`tests/end_to_end/test_planted_faults.py` applies each to a copy of the tree and runs the named
tests, which must fail there and pass here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Planted:
    """A fault: what it is, where, the edit, and the tests (pytest's node ids) that must notice."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


PLANTED = (
    Planted(
        "the ulp of a power of two taken from below it",
        "xentcheck/measurement/scoring.py",
        "exact.exponent - below)",
        "exact.exponent - (np.abs(exact.hi) <= 1.0))",
        (
            "tests/measurement/test_scoring.py::test_an_ulp_below_a_power_of_two_is_half_the_one_above",
        ),
    ),
    Planted(
        "an enclosure that touches a power of two takes the larger ulp",
        "xentcheck/measurement/scoring.py",
        "exact.exponent - below)",
        "exact.exponent)",
        (
            "tests/measurement/test_scoring.py::test_an_enclosure_that_touches_a_power_of_two_uses_the_smaller_ulp",
        ),
    ),
    Planted(
        "a reference without the bits beyond float64",
        "xentcheck/measurement/scoring.py",
        " - np.ldexp(exact.lo, shift))",
        ")",
        (
            "tests/measurement/test_scoring.py::test_the_exact_value_is_not_rounded_before_subtracting",
            "tests/measurement/test_scoring.py::test_a_correctly_rounded_float64_is_within_half_an_ulp_of_bits_beyond_float64",
        ),
    ),
    Planted(
        "NaN counted as a pass",
        "xentcheck/measurement/scoring.py",
        "    mark(Kind.NAN, ~undefined & is_nan)\n",
        "",
        ("tests/measurement/test_scoring.py::test_nan_is_right_only_where_nan_is_expected",),
    ),
    Planted(
        "a missed NaN counted as a pass",
        "xentcheck/measurement/scoring.py",
        "    mark(Kind.MISSED_NAN, undefined & ~is_nan)\n",
        "",
        ("tests/measurement/test_scoring.py::test_nan_is_right_only_where_nan_is_expected",),
    ),
    Planted(
        "infinity taken for one ulp beyond max",
        "xentcheck/measurement/scoring.py",
        "    mark(Kind.SPURIOUS_OVERFLOW, finite & is_inf)\n",
        "",
        ("tests/measurement/test_scoring.py::test_infinity_is_never_one_ulp_beyond_max",),
    ),
    Planted(
        "overflow allowed from max on, not from max and half an ulp",
        "xentcheck/measurement/scoring.py",
        "np.abs(exact.lo) - np.ldexp(half, shift)",
        "np.abs(exact.lo)",
        ("tests/measurement/test_scoring.py::test_overflow_is_right_from_half_an_ulp_beyond_max",),
    ),
    Planted(
        "opposite infinities taken for equal",
        "xentcheck/measurement/scoring.py",
        "    mark(Kind.WRONG_SIGN, (infinite | overflowing) & ~is_nan & (a != 0) & opposite)\n",
        "",
        ("tests/measurement/test_scoring.py::test_opposite_infinities_have_the_wrong_sign",),
    ),
    Planted(
        "a finite result accepted for an infinite one",
        "xentcheck/measurement/scoring.py",
        "    mark(Kind.MISSED_OVERFLOW, infinite & is_number)\n",
        "",
        (
            "tests/measurement/test_scoring.py::test_a_finite_result_for_an_infinite_one_is_a_missed_overflow_at_any_budget",
        ),
    ),
    Planted(
        "a limit that passes what is just beyond it",
        "xentcheck/measurement/scoring.py",
        "beyond = (ulp_error - radius > held.limit)",
        "beyond = (ulp_error - radius > held.limit + 1)",
        (
            "tests/measurement/test_scoring.py::test_a_limit_exactly_met_passes_and_the_next_number_fails",
        ),
    ),
    Planted(
        "a limit that fails what exactly meets it",
        "xentcheck/measurement/scoring.py",
        "beyond = (ulp_error - radius > held.limit)",
        "beyond = (ulp_error - radius >= held.limit)",
        (
            "tests/measurement/test_scoring.py::test_a_limit_exactly_met_passes_and_the_next_number_fails",
        ),
    ),
    Planted(
        "a radius that takes no part in the score",
        "xentcheck/measurement/scoring.py",
        "beyond = (ulp_error - radius > held.limit)",
        "beyond = (ulp_error > held.limit)",
        (
            "tests/measurement/test_scoring.py::test_only_what_is_beyond_the_limit_everywhere_in_its_enclosure_is_at_fault",
        ),
    ),
    Planted(
        "every tolerance widened by the condition number",
        "xentcheck/measurement/scoring.py",
        "        if condition is None or not conditioned(tolerance):\n"
        "            unsigned = np.ones((), dtype=np.bool_) if tolerance.of_scale else None\n"
        "            return cls(limit, p99, *others, 2.0**-51, unsigned)\n"
        "        slack = 2.0**-20\n        factor = np.fmax(condition, 1.0)\n"
        "        if tolerance.times_condition:",
        "        if condition is None:\n            return cls(limit, p99, *others, 2.0**-51)\n"
        "        slack = 2.0**-20\n        factor = np.fmax(condition, 1.0)\n        if True:",
        (
            "tests/measurement/test_scoring.py::test_a_condition_number_widens_only_a_tolerance_that_asks_for_it",
        ),
    ),
    Planted(
        "an absolute tolerance that is always met",
        "xentcheck/measurement/scoring.py",
        "excused = ulp_error <= np.maximum(by_abs, by_rel)",
        "excused = ulp_error >= np.maximum(by_abs, by_rel)",
        ("tests/measurement/test_scoring.py::test_absolute_error_can_meet_a_limit_instead",),
    ),
    Planted(
        "elementary functions trusted to the last bit",
        "xentcheck/reference/intervals.py",
        "return Interval(lower, upper, self.precision).widened()",
        "return Interval(lower, upper, self.precision)",
        ("tests/reference/test_intervals.py::test_elementary_functions_contain_what_arb_computes",),
    ),
    Planted(
        "elementary functions trusted to their documented error",
        "xentcheck/reference/intervals.py",
        "libmp.mpf_shift(_ONE, -(precision + 6))",
        "libmp.mpf_shift(_ONE, -(precision + 600))",
        (
            "tests/reference/test_intervals.py::test_an_elementary_function_may_err_by_32_units_of_its_last_place",
        ),
    ),
    Planted(
        "no sign for what rounds to the smallest subnormal",
        "xentcheck/measurement/scoring.py",
        "sign = np.where(exact.exponent < ",
        "sign = np.where(exact.exponent <= ",
        (
            "tests/measurement/test_scoring.py::test_what_rounds_to_the_smallest_subnormal_has_a_sign_and_what_rounds_to_zero_has_none",
        ),
    ),
    Planted(
        "an error that exactly meets p99_ulp is beyond it",
        "xentcheck/measurement/scoring.py",
        "far = (ulp_error - radius > held.p99)",
        "far = (ulp_error - radius >= held.p99)",
        (
            "tests/measurement/test_scoring.py::test_an_error_of_exactly_p99_ulp_is_not_far_and_the_next_one_is",
        ),
    ),
    Planted(
        "a bound that the nearer end meets exactly is missed",
        "xentcheck/measurement/borderline.py",
        "low > Fraction(bound)",
        "low >= Fraction(bound)",
        (
            "tests/measurement/test_borderline.py::test_an_end_of_an_enclosure_that_meets_a_bound_exactly_meets_it",
        ),
    ),
    Planted(
        "a bound that the farther end meets exactly is left open",
        "xentcheck/measurement/borderline.py",
        "high <= Fraction(bound)",
        "high < Fraction(bound)",
        (
            "tests/measurement/test_borderline.py::test_an_end_of_an_enclosure_that_meets_a_bound_exactly_meets_it",
            "tests/measurement/test_borderline.py::test_the_error_that_p99_ulp_allows_is_not_far_and_excess_bits_are_met_exactly",
        ),
    ),
    Planted(
        "a relative bound that the nearer end meets exactly is missed",
        "xentcheck/measurement/borderline.py",
        "least > bound * largest",
        "least >= bound * largest",
        (
            "tests/measurement/test_borderline.py::test_an_end_of_an_enclosure_that_meets_a_relative_bound_exactly_meets_it",
        ),
    ),
    Planted(
        "a relative bound that the farther end meets exactly is left open",
        "xentcheck/measurement/borderline.py",
        "most <= bound * smallest",
        "most < bound * smallest",
        (
            "tests/measurement/test_borderline.py::test_an_end_of_an_enclosure_that_meets_a_relative_bound_exactly_meets_it",
        ),
    ),
    Planted(
        "excess bits that exactly meet their bound are beyond it",
        "xentcheck/measurement/borderline.py",
        "if bits > tolerance.max_excess_bits:",
        "if bits >= tolerance.max_excess_bits:",
        (
            "tests/measurement/test_borderline.py::test_the_error_that_p99_ulp_allows_is_not_far_and_excess_bits_are_met_exactly",
        ),
    ),
    Planted(
        "the first break of a part not numbered from the start",
        "xentcheck/measurement/tally.py",
        "first = moved(other.first, offset, found)",
        "first = moved(other.first, 0, found)",
        (
            "tests/measurement/test_collection.py::test_the_first_row_that_breaks_is_numbered_from_the_start_of_its_sweep_after_a_merge",
        ),
    ),
    Planted(
        "elementary functions trusted to a 64th of their margin",
        "xentcheck/reference/intervals.py",
        "libmp.mpf_shift(_ONE, -(precision + 6))",
        "libmp.mpf_shift(_ONE, -(precision + 12))",
        (
            "tests/reference/test_intervals.py::test_an_elementary_function_may_err_by_32_units_of_its_last_place",
            "tests/reference/test_intervals.py::test_every_elementary_function_may_be_off_by_63_parts_in_2_to_the_76",
        ),
    ),
    Planted(
        "one minus p of a label from a numerator known 64 times too well",
        "xentcheck/reference/forms/softmax.py",
        "compound(4.0 * max(self.whole.relative, power.relative)",
        "compound(0.0625 * max(self.whole.relative, power.relative)",
        (
            "tests/reference/test_tiers.py::test_one_minus_p_is_known_to_at_least_what_its_derivation_gives",
        ),
    ),
    Planted(
        "one minus p of every class from a numerator known 64 times too well",
        "xentcheck/reference/forms/softmax.py",
        "compound(4.0 * self.whole.relative",
        "compound(0.0625 * self.whole.relative",
        (
            "tests/reference/test_tiers.py::test_one_minus_p_is_known_to_at_least_what_its_derivation_gives",
        ),
    ),
    Planted(
        "one minus p of a label known 64 times too well",
        "xentcheck/reference/forms/softmax.py",
        "        result.below_one = self.competing\n",
        "        result.relative /= 64.0\n        result.below_one = self.competing\n",
        (
            "tests/reference/test_tiers.py::test_one_minus_p_is_known_to_at_least_what_its_derivation_gives",
            "tests/reference/test_tiers.py::test_one_minus_p_is_contained_where_its_logits_differ_by_more_bits_than_float64_has",
        ),
    ),
    Planted(
        "one minus p of every class known 64 times too well",
        "xentcheck/reference/forms/softmax.py",
        "        return Ball(self.arithmetic, rest, relative, sign=1) / self.whole[:, np.newaxis]",
        "        rest = rest / self.whole.midpoint[:, np.newaxis]\n"
        "        return Ball(self.arithmetic, rest, relative / 64.0, sign=1)",
        (
            "tests/reference/test_tiers.py::test_one_minus_p_is_known_to_at_least_what_its_derivation_gives",
            "tests/reference/test_tiers.py::test_one_minus_p_is_contained_where_its_logits_differ_by_more_bits_than_float64_has",
        ),
    ),
    Planted(
        "one minus p under noise known 64 times too well",
        "xentcheck/reference/forms/softmax.py",
        "absolute = (4.0 * SLACK) * (self.whole.absolute",
        "absolute = (0.0625 * SLACK) * (self.whole.absolute",
        (
            "tests/reference/test_tiers.py::test_noise_that_cancels_large_logits_is_contained_in_no_more_than_a_few_times_its_error",
        ),
    ),
    Planted(
        "one form of JS a little beyond where it holds",
        "xentcheck/reference/forms/divergence.py",
        "    near = np.asarray(distance <= 0.5)\n",
        "    near = np.asarray(distance <= 0.9)\n",
        (
            "tests/reference/test_tiers.py::test_what_a_form_says_of_the_arguments_of_its_functions_is_true",
        ),
    ),
    Planted(
        "rounding inwards",
        "xentcheck/reference/intervals.py",
        "_DOWN = libmp.round_floor\n_UP = libmp.round_ceiling",
        "_UP = libmp.round_floor\n_DOWN = libmp.round_ceiling",
        ("tests/reference/test_intervals.py::test_elementary_functions_contain_what_arb_computes",),
    ),
    Planted(
        "precision never raised",
        "xentcheck/reference/arbiter.py",
        "        if missing <= 0:\n            return result",
        "        if missing <= 1 << 60:\n            return result",
        (
            "tests/reference/test_reference.py::test_reference_and_witness_enclose_the_same_number[sigmoid_focal_loss-float32]",
        ),
    ),
    Planted(
        "an uncertified row passed on",
        "xentcheck/reference/arbiter.py",
        "    raise UncertifiedError(message)\n\n\ndef _raised",
        "    return result\n\n\ndef _raised",
        (
            "tests/reference/test_intervals.py::test_a_row_that_stays_undecided_is_an_error_that_names_it",
        ),
    ),
    Planted(
        "the textbook definition never held against the rearranged form",
        "xentcheck/reference/arbiter.py",
        "            if not _meet(mine, theirs):",
        "            if False:",
        (
            "tests/reference/test_intervals.py::test_a_rearrangement_that_is_wrong_is_caught_by_the_definition",
        ),
    ),
    Planted(
        "the radius of an enclosure forgotten",
        "xentcheck/reference/arbiter.py",
        "        half_width = libmp.to_float(",
        "        half_width = 0.0 * libmp.to_float(",
        (
            "tests/reference/test_reference.py::test_reference_and_witness_enclose_the_same_number[softplus-float32]",
        ),
    ),
    Planted(
        "bits that are cut off and not in the radius",
        "xentcheck/reference/arbiter.py",
        "math.nextafter(half_width + 2.0**scale, math.inf)",
        "math.nextafter(half_width + 0.0, math.inf)",
        (
            "tests/reference/test_reference.py::test_reference_and_witness_enclose_the_same_number[softplus-float32]",
        ),
    ),
    Planted(
        "a rounding of 53 bits in the reference",
        "xentcheck/reference/arbiter.py",
        "    if rest:\n",
        "    if False:\n",
        (
            "tests/reference/test_reference.py::test_reference_and_witness_enclose_the_same_number[softplus-float32]",
        ),
    ),
    Planted(
        "the gradient of the true class without its own share",
        "xentcheck/losses/softmax/rearranged.py",
        "        g = (whole - charge) * p - charge * softmax.complement[k]",
        "        g = whole * p - charge * softmax.complement[k]",
        (
            "tests/reference/test_reference.py::test_reference_and_witness_enclose_the_same_number[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "label smoothing on all classes but the true one",
        "xentcheck/losses/softmax/rows.py",
        "* (ops.number(1.0) - smoothing) + share",
        "* (ops.number(1.0) - smoothing) + share * (1 - mass)",
        (
            "tests/reference/test_reference.py::test_reference_and_witness_enclose_the_same_number[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "a gradient without its temperature",
        "xentcheck/losses/softmax/rearranged.py",
        "        return ExactValue(g / scale)",
        "        return ExactValue(g)",
        (
            "tests/reference/test_reference.py::test_reference_and_witness_enclose_the_same_number[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "a mean that divides by the rows, whatever their weights",
        "xentcheck/reference/arbiter.py",
        "ops.total([ops.number(weight) for weight in weights.tolist()], counts.tolist())",
        "ops.number(float(case.rows))",
        ("tests/reference/test_intervals.py::test_reductions_weigh_rows_as_documented",),
    ),
    Planted(
        "an ignored row with a loss",
        "xentcheck/losses/softmax/rearranged.py",
        "        zero = ExactValue(0.0)\n        return RowResult(Components([zero]),",
        "        zero = ExactValue(0.0)\n"
        "        return RowResult(Components([ExactValue(ops.number(1.0))]),",
        ("tests/reference/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "an ignored row with a gradient",
        "xentcheck/losses/softmax/rearranged.py",
        "uniform(zero, classes))\n    special",
        "uniform(ExactValue(ops.number(1.0)), classes))\n    special",
        ("tests/reference/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "a NaN beside a masked class taken for a row of nothing",
        "xentcheck/losses/softmax/rearranged.py",
        '        return "nan"\n',
        '        return "empty" if (x == -INF).any() else "nan"\n',
        ("tests/reference/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "a NaN hidden by an infinite logit",
        "xentcheck/losses/softmax/rearranged.py",
        "    if np.isnan(x).any():",
        "    if np.isnan(x).any() and not (x == INF).any():",
        ("tests/reference/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "a masked class in the sum",
        "xentcheck/losses/softmax/rearranged.py",
        "        if data[0] == -INF:\n            result.append(None)",
        "        if data[0] == -INF:\n            result.append(ops.number(-700.0))",
        ("tests/reference/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "double rounding through float32",
        "xentcheck/floats.py",
        '        if name not in ("float32", "float64"):',
        '        if name == "float16":',
        ("tests/test_floats.py::test_float64_is_rounded_once_not_through_float32",),
    ),
    Planted(
        "ties rounded up",
        "xentcheck/floats.py",
        "np.rint(np.ldexp(values, -quantum))",
        "np.floor(np.ldexp(values, -quantum) + 0.5)",
        (
            "tests/test_floats.py::test_every_midpoint_goes_to_even_and_its_float64_neighbours_to_the_nearer_number[1-float8_e5m2]",
        ),
    ),
    Planted(
        "exact reals rounded down",
        "xentcheck/floats.py",
        "abs(round(value / quantum))",
        "abs(math.floor(value / quantum))",
        (
            "tests/test_floats.py::test_every_midpoint_as_an_exact_real_goes_to_even_and_a_hair_off_it_to_the_nearer_number[1-float8_e5m2]",
        ),
    ),
    Planted(
        "an overflow threshold at max itself",
        "xentcheck/floats.py",
        "    if rounded <= target.max:",
        "    if abs(value) <= target.max:",
        ("tests/test_floats.py::test_overflow_begins_half_an_ulp_beyond_max",),
    ),
    Planted(
        "subnormals measured in ulps of their own",
        "xentcheck/floats.py",
        "np.maximum(exponent, target.min_exponent)",
        "np.asarray(exponent)",
        ("tests/test_floats.py::test_ulp_exponent_follows_the_binade_down_to_the_subnormals",),
    ),
    Planted(
        "an ulp distance that forgets the sign",
        "xentcheck/floats.py",
        "np.where(integers < 0, lowest - integers, integers)",
        "np.where(integers < 0, integers - lowest, integers)",
        ("tests/test_floats.py::test_ulp_distance_by_hand",),
    ),
    Planted(
        "minus zero one step below zero",
        "xentcheck/floats.py",
        "np.where(integers < 0, lowest - integers, integers)",
        "np.where(integers < 0, lowest - integers - 1, integers)",
        ("tests/test_floats.py::test_both_zeros_are_ordinal_zero",),
    ),
    Planted(
        "an ulp distance across zero that is a difference",
        "xentcheck/floats.py",
        "    low = np.minimum(first, second).astype(np.uint64)",
        "    low = np.abs(np.minimum(first, second)).astype(np.uint64)",
        ("tests/test_floats.py::test_ulp_distance_by_hand",),
    ),
    Planted(
        "NaN given an ordinal",
        "xentcheck/floats.py",
        "    if np.any(np.abs(positions) > target.last_ordinal):",
        "    if False:",
        ("tests/test_floats.py::test_one_nan_among_numbers_is_enough_to_be_refused",),
    ),
    Planted(
        "a sweep of one point",
        "xentcheck/sweeps/assembly.py",
        "        rows = rows[_first_of_equals(rows)]",
        "            rows = rows[:1]",
        ("tests/sweeps/test_sweeps.py::test_generator_gives_many_distinct_rows_by_default[gap]",),
    ),
    Planted(
        "an iterator consumed by the first block",
        "xentcheck/sweeps/assembly.py",
        "    combined = list(combinations(loss, kind, sweep.parameters))",
        "    combined = combinations(loss, kind, sweep.parameters)",
        (
            "tests/sweeps/test_sweeps.py::test_explicit_rows_are_kept_as_written_and_grouped_by_width",
        ),
    ),
    Planted(
        "an iterator of inputs consumed by a first loop",
        "xentcheck/sweeps/assembly.py",
        "    requests = list(_requests(sweep, loss, dtype, seed))",
        "    requests = _requests(sweep, loss, dtype, seed)\n    list(requests)",
        (
            "tests/sweeps/test_sweeps.py::test_axes_multiply_and_defaults_are_kept_where_they_are_named",
        ),
    ),
    Planted(
        "rows with NaN dropped",
        "xentcheck/sweeps/assembly.py",
        "    return from_float64(rows, request.format.name)",
        "    rows = rows[(rows == rows).reshape(len(rows), -1).all(axis=1)]\n"
        "    return from_float64(rows, request.format.name)",
        ("tests/sweeps/test_sweeps.py::test_boundary_special_gives_infinities_and_nan_alone",),
    ),
    Planted(
        "an empty sweep that passes",
        "xentcheck/sweeps/assembly.py",
        "    if not runs:",
        "    if False:",
        ("tests/sweeps/test_sweeps.py::test_nothing_at_all_is_an_error_with_place_and_remedy",),
    ),
    Planted(
        "repeated rows counted as distinct",
        "xentcheck/sweeps/counting.py",
        "len(np.unique(np.concatenate(hashes)))",
        "len(np.concatenate(hashes))",
        ("tests/sweeps/test_sweeps.py::test_a_sweep_of_one_point_counts_as_one_distinct_row",),
    ),
    Planted(
        "the rows of the last block left out",
        "xentcheck/sweeps/assembly.py",
        "    for first in range(0, rows, few):",
        "    for first in range(0, max(1, rows - few), few):",
        ("tests/sweeps/test_sweeps.py::test_blocks_are_bounded_and_numbered_through",),
    ),
    Planted(
        "only the first of several parameter values tried",
        "xentcheck/sweeps/assembly.py",
        "    for combination in whole.combined:",
        "    for combination in whole.combined[:1]:",
        (
            "tests/sweeps/test_sweeps.py::test_axes_multiply_and_defaults_are_kept_where_they_are_named",
        ),
    ),
    Planted(
        "inputs rounded twice",
        "xentcheck/sweeps/assembly.py",
        "    return from_float64(rows, request.format.name)",
        "    rows = rows.astype(np.float32)\n    return from_float64(rows, request.format.name)",
        (
            "tests/sweeps/test_sweeps.py::test_logits_become_probabilities_in_float64_before_the_one_rounding",
        ),
    ),
    Planted(
        "the seed ignored",
        "xentcheck/sweeps/assembly.py",
        "        streams = partial(stream, seed, sweep.name, position)",
        "        streams = partial(stream, 0, sweep.name, position)",
        ("tests/sweeps/test_sweeps.py::test_another_seed_draws_other_rows[normal]",),
    ),
    Planted(
        "an implementation's writes reach the next one",
        "xentcheck/implementations/layouts.py",
        '    packed = array.copy(order="C")\n',
        "    packed = array\n",
        (
            "tests/execution/test_execution.py::test_writing_into_an_argument_is_noticed_and_harms_nobody",
        ),
    ),
    Planted(
        "a write into an argument overlooked",
        "xentcheck/execution/calls.py",
        "    incidents = run.mutations()\n    target",
        "    incidents: list[Incident] = []\n    target",
        (
            "tests/execution/test_execution.py::test_writing_into_an_argument_is_noticed_and_harms_nobody",
        ),
    ),
    Planted(
        "the second call not compared",
        "xentcheck/execution/calls.py",
        "    incidents += _repeat(run, results)\n",
        "",
        ("tests/execution/test_execution.py::test_random_results_are_noticed",),
    ),
    Planted(
        "results that differ in the sign of a zero taken for the same",
        "xentcheck/execution/invocation.py",
        "    same = np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)",
        "    same = np.ascontiguousarray(a) == np.ascontiguousarray(b)",
        ("tests/execution/test_execution.py::test_a_zero_that_changes_sign_has_changed",),
    ),
    Planted(
        "rows always called in the same company",
        "xentcheck/execution/calls.py",
        "        seen, regrouped = _regroup(run, results)\n",
        "        seen, regrouped = [], None\n",
        (
            "tests/execution/test_execution.py::test_a_shift_by_the_maximum_of_the_batch_is_row_dependent",
        ),
    ),
    Planted(
        "layouts that are packed all the same",
        "xentcheck/execution/invocation.py",
        "        None if each is None else laid(each, layout, logits=place == 0)\n",
        "        None if each is None else laid(each, place and layout, logits=place == 0)\n",
        (
            "tests/measurement/test_layouts.py::test_the_transpose_read_as_packed_is_shown_with_both_numbers",
        ),
    ),
    Planted(
        "one upstream gradient for all rows",
        "xentcheck/measurement/upstream.py",
        "    weights = (place + 3.0) / 2.0 * np.where(place % 3 == 2, -1.0, 1.0)\n",
        "    weights = np.ones(rows)\n",
        (
            "tests/measurement/test_cotangents.py::test_the_witness_is_the_row_and_both_numbers_are_told",
        ),
    ),
    Planted(
        "no batch of another size is called",
        "xentcheck/measurement/batches.py",
        "BATCH_SIZES = (1, 2, 3, 5, 8, 17, 32, 64)\n",
        "BATCH_SIZES = (10,)\n",
        (
            "tests/measurement/test_batch_invariance.py::test_batches_larger_than_the_block_are_called_too",
        ),
    ),
    Planted(
        "a narrower result dtype let through",
        "xentcheck/execution/calls.py",
        "    if _narrower(target, source):",
        "    if False:",
        ("tests/execution/test_execution.py::test_results_of_another_shape_or_dtype_are_findings",),
    ),
    Planted(
        "a row that raises takes the block with it",
        "xentcheck/execution/calls.py",
        "        if error.kind is Kind.RAISED and shape != () and rows > 1:",
        "        if False:",
        (
            "tests/execution/test_execution.py::test_rows_that_raise_do_not_take_the_others_with_them",
        ),
    ),
    Planted(
        "a block that raises scored as zeros",
        "xentcheck/execution/calls.py",
        "    valid = np.zeros(rows, dtype=np.bool_)\n    valid[list(results)] = True",
        "    valid = np.ones(rows, dtype=np.bool_)",
        (
            "tests/execution/test_execution.py::test_rows_that_raise_do_not_take_the_others_with_them",
        ),
    ),
    Planted(
        "counts of all but the last case lost",
        "xentcheck/measurement/scored_part.py",
        "            self.tally.counts[KINDS[code]] += len(here)",
        "            self.tally.counts[KINDS[code]] = len(here)",
        (
            "tests/execution/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "counts lost",
        "xentcheck/measurement/scored_part.py",
        "            self.tally.counts[KINDS[code]] += len(here)\n",
        "",
        (
            "tests/execution/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "the worst witness is the mildest",
        "xentcheck/measurement/tally.py",
        "if held is None or badness(shown) > badness(held):",
        "if held is None or badness(shown) < badness(held):",
        (
            "tests/execution/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "the largest error of the last case alone",
        "xentcheck/measurement/scored_part.py",
        "            self.tally.ulps.add(kept)",
        "            self.tally.ulps = type(self.tally.ulps)()\n"
        "            self.tally.ulps.add(kept)",
        (
            "tests/execution/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "the error of a row that of its best component",
        "xentcheck/measurement/scored_part.py",
        "    largest = errors.max(axis=1) if",
        "    largest = errors.min(axis=1) if",
        (
            "tests/execution/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "a row judged by its best component",
        "xentcheck/measurement/scored_part.py",
        "            kinds.min(axis=1) if",
        "            kinds.max(axis=1) if",
        (
            "tests/execution/test_execution.py::test_a_row_is_counted_under_the_gravest_kind_of_its_components",
        ),
    ),
    Planted(
        "no finding is a violation",
        "xentcheck/gate/limits.py",
        "        return finding.kind in limit.forbid\n    return True",
        "        return finding.kind in limit.forbid\n    return False",
        (
            "tests/measurement/test_scoring.py::test_a_limit_allows_the_kinds_it_names_and_notes_and_nothing_else",
        ),
    ),
    Planted(
        "the first limit wins",
        "xentcheck/model/limits.py",
        "for limit in reversed(self.limits)",
        "for limit in self.limits",
        ("tests/measurement/test_scoring.py::test_the_last_limit_that_selects_a_cell_governs_it",),
    ),
    Planted(
        "a limit that allows one kind allows all",
        "xentcheck/gate/limits.py",
        "    if finding.kind in limit.allow:",
        "    if limit.allow:",
        (
            "tests/measurement/test_scoring.py::test_a_limit_allows_the_kinds_it_names_and_notes_and_nothing_else",
        ),
    ),
    Planted(
        "a dependence on neighbours never more than a note",
        "xentcheck/measurement/batches.py",
        "            held = self.beyond if beyond else self.within\n",
        "            held = self.within\n",
        ("tests/measurement/test_batch_invariance.py::test_beyond_the_limit_it_is_a_fault",),
    ),
    Planted(
        "violations that leave the exit status at 0",
        "xentcheck/gate/outcome.py",
        "    if report.violations:",
        "    if False:",
        ("tests/cli/test_cli.py::TestExitStatus::test_a_gate_exits_1_on_a_violation",),
    ),
    Planted(
        "nothing audited taken for success",
        "xentcheck/cli/audit.py",
        "        Outcome.NOTHING: NOTHING_AUDITED,",
        "        Outcome.NOTHING: WITHIN_LIMITS,",
        ("tests/cli/test_cli.py::TestExitStatus::test_nothing_audited_exits_3",),
    ),
    Planted(
        "an uncertified case taken for success",
        "xentcheck/cli/audit.py",
        "        Outcome.UNCERTIFIED: INTERNAL,",
        "        Outcome.UNCERTIFIED: WITHIN_LIMITS,",
        (
            "tests/reference/test_intervals.py::test_a_run_with_a_row_that_stays_undecided_reports_the_rest_and_is_no_success",
        ),
    ),
    Planted(
        "a number with an exponent read as text",
        "xentcheck/reading/numbers.py",
        '(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?")',
        '(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-][0-9]+)?")',
        ("tests/config/test_config.py::test_numbers_are_read_as_they_are_written",),
    ),
    Planted(
        "010 read as a number",
        "xentcheck/reading/numbers.py",
        "    if _LEADING_ZERO.fullmatch(text):",
        "    if False:",
        ("tests/config/test_config.py::test_what_is_no_number_or_could_be_two_is_refused",),
    ),
    Planted(
        "duplicate keys accepted",
        "xentcheck/reading/yaml.py",
        "                if key.value in first:",
        "                if False:",
        (
            "tests/config/test_config.py::test_a_fault_in_a_file_is_told",
            "tests/config/test_config.py::test_every_problem_is_told_at_once_in_the_order_of_the_file",
        ),
    ),
    Planted(
        "unknown keys accepted",
        "xentcheck/reading/yaml.py",
        "        for name in [name for name in entries if name not in known]:",
        "        for name in []:",
        (
            "tests/config/test_config.py::test_every_problem_is_told_at_once_in_the_order_of_the_file",
        ),
    ),
    Planted(
        "only the first problem told",
        "xentcheck/reading/yaml.py",
        "key=lambda each: each[0])]",
        "key=lambda each: each[0])][:1]",
        (
            "tests/config/test_config.py::test_every_problem_is_told_at_once_in_the_order_of_the_file",
        ),
    ),
    Planted(
        "an exponential that forgets what is uncertain of its argument",
        "xentcheck/reference/balls.py",
        "        given = self.relative * arithmetic.widest\n",
        "        given = self.relative\n",
        (
            "tests/reference/test_balls.py::test_what_is_uncertain_of_an_exponent_is_magnified_by_its_size",
        ),
    ),
    Planted(
        "a difference that keeps a relative bound",
        "xentcheck/reference/balls.py",
        "if self.sign * other.sign > 0 or (self.relative == 0.0 == other.relative):",
        "if True:",
        (
            "tests/reference/test_balls.py::test_a_bound_is_relative_where_signs_are_known_and_absolute_where_they_are_not",
        ),
    ),
    Planted(
        "a sum whose terms err but not their addition",
        "xentcheck/reference/balls.py",
        "        slack = factor * self.arithmetic.unit\n",
        "        slack = 0.0\n",
        (
            "tests/reference/test_balls.py::test_sums_of_a_hundred_thousand_terms_contain_the_exact_sum",
        ),
    ),
    Planted(
        "binary128 without the digits beyond float64",
        "xentcheck/reference/balls.py",
        "        lo = lo + (hi - inner)\n",
        "        lo = 0.0 * lo\n",
        (
            "tests/reference/test_balls.py::test_binary128_leaves_as_two_numbers_an_exponent_and_a_radius",
        ),
    ),
    Planted(
        "the exponential of a pair without its lower part",
        "xentcheck/reference/double_double.py",
        "    bracket += low\n    bracket *= r\n    bracket += low\n",
        "    bracket *= r\n",
        ("tests/reference/test_double_double.py::test_exp_errs_by_no_more_than_its_bound[spread]",),
    ),
    Planted(
        "a series of exp without its last term",
        "xentcheck/reference/double_double.py",
        "r * (1 / 120)",
        "r * 0.0",
        (
            "tests/reference/test_double_double.py::test_exp_errs_by_no_more_than_its_bound[switch-overs]",
        ),
    ),
    Planted(
        "a table of exp rounded to float64",
        "xentcheck/reference/double_double.py",
        "head, tail = heads[j], tails[j]",
        "head, tail = heads[j], 0.0 * tails[j]",
        (
            "tests/reference/test_double_double.py::test_exp_errs_by_no_more_than_its_bound[entries]",
        ),
    ),
    Planted(
        "a wrong entry in the table of exp",
        "xentcheck/reference/double_double.py",
        "mpmath.mpf(2) ** (mpmath.mpf(j) / STEPS) for j",
        "mpmath.mpf(2) ** (mpmath.mpf(j + (j == 77) * 2.0**-40) / STEPS) for j",
        (
            "tests/reference/test_double_double.py::test_the_table_of_exp_is_right_to_76_bits_and_its_heads_have_26",
            "tests/reference/test_double_double.py::test_exp_errs_by_no_more_than_its_bound[entries]",
        ),
    ),
    Planted(
        "a step of ln 2/512 in two parts of three",
        "xentcheck/reference/double_double.py",
        "    low -= n * third\n",
        "",
        (
            "tests/reference/test_double_double.py::test_exp_errs_by_no_more_than_its_bound[switch-overs-far-out]",
        ),
    ),
    Planted(
        "an exponential whose argument is not normalised",
        "xentcheck/reference/double_double.py",
        "    r, low = fast_two_sum(r, low)\n    bracket",
        "    bracket",
        (
            "tests/reference/test_double_double.py::test_exp_errs_by_no_more_than_its_bound[switch-overs-far-out]",
        ),
    ),
    Planted(
        "parts of the step that are too long",
        "xentcheck/reference/double_double.py",
        "*_parts(step, 33, 33), np",
        "*_parts(step, 43, 33), np",
        (
            "tests/reference/test_double_double.py::test_the_first_two_parts_of_the_step_times_any_n_are_exact",
        ),
    ),
    Planted(
        "a logarithm of the leading part alone",
        "xentcheck/reference/double_double.py",
        "above, under = two_sum(mantissa - c, low)",
        "above, under = two_sum(mantissa - c, 0.0 * low)",
        (
            "tests/reference/test_double_double.py::test_log_errs_by_no_more_than_its_bound[centres]",
        ),
    ),
    Planted(
        "a series of atanh without its last term",
        "xentcheck/reference/double_double.py",
        "(2 / 5 + t * (2 / 7))",
        "(2 / 5)",
        (
            "tests/reference/test_double_double.py::test_log_errs_by_no_more_than_its_bound[switch-overs]",
        ),
    ),
    Planted(
        "log1p of a small number by 1 + x",
        "xentcheck/reference/double_double.py",
        "near = (exponent == 0) & (i == TABLE)",
        "near = (exponent == 1) & (i == TABLE)",
        (
            "tests/reference/test_double_double.py::test_log1p_errs_by_no_more_than_its_bound_times_the_condition[small]",
        ),
    ),
    Planted(
        "a product of pairs without the cross terms",
        "xentcheck/reference/double_double.py",
        "error = error + (self.hi * other.lo + self.lo * other.hi)",
        "error = error + self.hi * other.lo",
        (
            "tests/reference/test_double_double.py::test_sums_products_and_quotients_err_by_no_more_than_the_theorems_say",
        ),
    ),
    Planted(
        "a quotient of pairs without the remainder",
        "xentcheck/reference/double_double.py",
        "left = (self.hi - high) + (self.lo - low)",
        "left = self.hi - high",
        (
            "tests/reference/test_double_double.py::test_sums_products_and_quotients_err_by_no_more_than_the_theorems_say",
        ),
    ),
    Planted(
        "a sum of pairs that is sloppy where they cancel",
        "xentcheck/reference/double_double.py",
        "low, rest = two_sum(self.lo, other.lo)",
        "low, rest = self.lo + other.lo, 0.0 * self.lo",
        (
            "tests/reference/test_double_double.py::test_numbers_that_nearly_cancel_keep_the_relative_bound",
        ),
    ),
    Planted(
        "a long sum that forgets the errors of its pairs",
        "xentcheck/reference/double_double.py",
        "            lows += error\n",
        "",
        ("tests/reference/test_double_double.py::test_a_long_sum_errs_by_no_more_than_its_factor",),
    ),
    Planted(
        "a long sum that forgets the odd term's error",
        "xentcheck/reference/double_double.py",
        "lows[..., 0] += low[..., -1] + error",
        "lows[..., 0] += low[..., -1]",
        ("tests/reference/test_double_double.py::test_a_long_sum_errs_by_no_more_than_its_factor",),
    ),
    Planted(
        "a long sum said to be as good as one addition",
        "xentcheck/reference/double_double.py",
        "factor = (rounds + 2) * (rounds + 2) * 2.0**-106 / UNIT if terms > 1 else 0.0",
        "factor = 2.0**-60 if terms > 1 else 0.0",
        ("tests/reference/test_double_double.py::test_a_long_sum_errs_by_no_more_than_its_factor",),
    ),
    Planted(
        "a bound of double-double's exp and log that they do not keep",
        "xentcheck/reference/double_double.py",
        "FUNCTION: Final = 2.0**-68",
        "FUNCTION: Final = 2.0**-74",
        (
            "tests/reference/test_double_double.py::test_exp_errs_by_no_more_than_its_bound[switch-overs]",
        ),
    ),
    Planted(
        "a bound of double-double's operations that they do not keep",
        "xentcheck/reference/double_double.py",
        "UNIT: Final = 2.0**-102",
        "UNIT: Final = 2.0**-104",
        (
            "tests/reference/test_double_double.py::test_sums_products_and_quotients_err_by_no_more_than_the_theorems_say",
        ),
    ),
    Planted(
        "exp that ends before it underflows",
        "xentcheck/reference/double_double.py",
        "LOWEST: Final = -741.0",
        "LOWEST: Final = -600.0",
        ("tests/reference/test_double_double.py::test_exp_ends_where_it_says",),
    ),
    Planted(
        "small results that are taken for exponentials that have vanished",
        "xentcheck/reference/tiers.py",
        "clear = [(x <= _PLAIN) | (x >= _GONE)]",
        "clear = [(x <= _PLAIN) | (x >= 0.0)]",
        (
            "tests/reference/test_tiers.py::test_a_small_result_beside_other_exponentials_keeps_the_bound_of_what_underflows",
        ),
    ),
    Planted(
        "a double-double result that is exact however small it is",
        "xentcheck/reference/balls.py",
        "_UNDERFLOWED = 2.0**-900",
        "_UNDERFLOWED = 2.0**-2000",
        (
            "tests/reference/test_double_double.py::test_an_exact_result_has_no_radius_and_one_that_may_have_underflowed_has_one",
        ),
    ),
    Planted(
        "what underflowed has no bound",
        "xentcheck/reference/enclosures.py",
        "radius = np.abs(self.midpoint) * self.relative + FLOOR",
        "radius = np.abs(self.midpoint) * self.relative",
        (
            "tests/reference/test_balls.py::test_results_below_the_range_of_float64_are_covered_by_the_floor",
        ),
    ),
    Planted(
        "the array form of the label's gradient is p - 1 by subtraction",
        "xentcheck/reference/forms/softmax.py",
        "        rest = np.where(at_top, self.tail.midpoint, self.whole.midpoint - power.midpoint)",
        "        rest = self.whole.midpoint - power.midpoint",
        (
            "tests/reference/test_tiers.py::test_every_tier_contains_the_arbiter[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "a masked class with a label of 0 costs something in the array form",
        "xentcheck/reference/forms/softmax.py",
        "    nothing = np.asarray(charge.midpoint == 0)\n",
        "    nothing = np.asarray(charge.midpoint == np.inf)\n",
        ("tests/reference/test_tiers.py::test_cross_entropy_with_distributions_in_every_branch",),
    ),
    Planted(
        "the array form of focal loss with its sides exchanged",
        "xentcheck/reference/forms/sigmoid.py",
        "missed = choose(z > 0.5, parts.softplus_up, parts.softplus_down)",
        "missed = choose(z > 0.5, parts.softplus_down, parts.softplus_up)",
        ("tests/reference/test_tiers.py::test_focal_loss_in_every_branch",),
    ),
    Planted(
        "one form of JS beyond where it holds",
        "xentcheck/reference/forms/divergence.py",
        "    near = np.asarray(distance <= 0.5)\n",
        "    near = np.asarray(distance <= 2.0)\n",
        ("tests/reference/test_tiers.py::test_js_divergence_in_every_branch",),
    ),
    Planted(
        "no row ever goes up",
        "xentcheck/measurement/escalation.py",
        "            if not scores.undecided.any():\n",
        "            if True:\n",
        (
            "tests/reference/test_tiers.py::test_a_row_whose_error_lies_at_the_limit_goes_up",
            "tests/reference/test_tiers.py::test_float64_results_of_float32_inputs_go_up",
        ),
    ),
    Planted(
        "every row goes up",
        "xentcheck/measurement/escalation.py",
        "            where = np.flatnonzero(scores.undecided.reshape(len(own), -1).any(axis=1))",
        "            where = np.arange(len(own))",
        (
            "tests/reference/test_tiers.py::test_rows_that_are_decided_stay_on_the_lowest_tier",
            "tests/reference/test_tiers.py::test_rows_that_a_form_leaves_go_up_and_no_other",
        ),
    ),
    Planted(
        "a tier that is wrong passes its sample",
        "xentcheck/reference/tiers.py",
        "        if outside(claimed, enclosures) is not None:\n",
        "        if False:\n",
        ("tests/reference/test_tiers.py::test_a_form_that_is_off_by_a_billionth_is_noticed",),
    ),
    Planted(
        "a limit within the radius counts as decided",
        "xentcheck/measurement/scoring.py",
        "        undecided |= may_be_beyond & ~beyond\n",
        "",
        ("tests/reference/test_tiers.py::test_a_row_whose_error_lies_at_the_limit_goes_up",),
    ),
    Planted(
        "a NaN in a block hides its overflows",
        "xentcheck/measurement/scoring.py",
        "if not (midpoint.max() < target.max and midpoint.min() > -target.max):",
        "if midpoint.max() >= target.max or midpoint.min() <= -target.max:",
        ("tests/measurement/test_scoring.py::test_a_nan_elsewhere_in_a_block_hides_no_overflow",),
    ),
    Planted(
        "a witness of another kind than its row goes unnoticed",
        "xentcheck/measurement/confirmation.py",
        "        if kind is not shown.kind:\n",
        "        if False:\n",
        (
            "tests/measurement/test_collection.py::test_a_score_that_the_arbiter_does_not_confirm_is_an_internal_error",
        ),
    ),
    Planted(
        "rows of later parts numbered from 0",
        "xentcheck/measurement/candidate.py",
        "number=shown.number + offset",
        "number=shown.number",
        (
            "tests/measurement/test_collection.py::test_a_witness_is_numbered_from_the_start_of_its_sweep_after_a_merge",
        ),
    ),
    Planted(
        "counts of later parts lost",
        "xentcheck/measurement/tally.py",
        "        self.counts += other.counts\n",
        "",
        ("tests/measurement/test_collection.py::test_merging_parts_is_like_collecting_at_once",),
    ),
    Planted(
        "plateaus are looked for in each part alone",
        "xentcheck/measurement/tally.py",
        "            self.heights.watch(height, seen.moved(offset, found))\n",
        "            pass\n",
        ("tests/measurement/test_collection.py::test_a_plateau_may_lie_across_parts",),
    ),
    Planted(
        "a bucket tells its lower end",
        "xentcheck/measurement/quantiles.py",
        "np.array(((bucket + 1) << _SHIFT) - 1, dtype=np.int64)",
        "np.array(bucket << _SHIFT, dtype=np.int64)",
        (
            "tests/measurement/test_quantiles.py::test_beyond_it_quantiles_are_at_most_a_thousandth_above_and_never_below",
        ),
    ),
    Planted(
        "zeros forgotten in merging",
        "xentcheck/measurement/quantiles.py",
        "        self._zeros += other._zeros\n",
        "",
        (
            "tests/measurement/test_quantiles.py::test_the_order_of_merging_does_not_matter",
            "tests/measurement/test_quantiles.py::test_zeros_are_zero_in_buckets_too",
        ),
    ),
    Planted(
        "a crash is blamed on everybody",
        "xentcheck/auditing/part.py",
        "        if (name, quantity) in gone:\n",
        "        if gone:\n",
        (
            "tests/auditing/test_audit.py::test_what_kills_a_worker_is_crashed_and_everything_else_is_as_without_it",
        ),
    ),
    Planted(
        "a worker's death is not told",
        "xentcheck/auditing/run.py",
        '            self.deaths.append(f"{died}; it was done again")\n',
        "            pass\n",
        (
            "tests/auditing/test_audit.py::test_a_worker_that_dies_once_is_told_and_leaves_no_finding",
        ),
    ),
    Planted(
        "a process does not notice that its asking process is gone",
        "xentcheck/execution/hosted.py",
        "            if asking is not None and _hung_up(asking):\n",
        "            if False:\n",
        (
            "tests/execution/test_hosts.py::test_a_process_ends_with_the_one_that_asks_in_the_middle_of_its_request",
        ),
    ),
    Planted(
        "a fork keeps the processes of a dead owner alive",
        "xentcheck/execution/slots.py",
        "            os.close(self.held)\n            self.held = None\n",
        "            self.held = None\n",
        (
            "tests/execution/test_hosts.py::test_nothing_stays_when_the_owner_or_the_keeper_is_killed[fork-0]",
        ),
    ),
    Planted(
        "tasks that are alike are done by any worker",
        "xentcheck/execution/workers.py",
        "        job = waiting[0] if self._alike is None else self._suited(worker, waiting)\n",
        "        job = waiting[0]\n",
        (
            "tests/execution/test_workers.py::test_tasks_that_are_alike_are_done_by_one_worker_while_it_has_any",
        ),
    ),
    Planted(
        "a fork asks its parent's processes",
        "xentcheck/execution/hosts.py",
        "os.register_at_fork(after_in_child=_disown)\n",
        "",
        ("tests/execution/test_hosts.py::test_a_fork_has_processes_of_its_own",),
    ),
    Planted(
        "a call that takes too long is a crash",
        "xentcheck/execution/hosts.py",
        "            raise CallError(Kind.TIMED_OUT, ",
        "            raise CallError(Kind.CRASHED, ",
        (
            "tests/execution/test_hosts.py::test_a_call_that_takes_too_long_is_ended",
            "tests/measurement/test_variants.py::test_what_takes_too_long_is_a_finding",
        ),
    ),
    Planted(
        "a process is not ended with what it started",
        "xentcheck/execution/keeper.py",
        "        os.killpg(group, signal.SIGKILL)\n",
        "        os.kill(group, signal.SIGKILL)\n",
        ("tests/execution/test_hosts.py::test_closing_ends_the_processes_and_what_they_started",),
    ),
    Planted(
        "an unsupported dtype is a fault",
        "xentcheck/execution/invocation.py",
        "        except (KeyboardInterrupt, UnsupportedError):\n",
        "        except KeyboardInterrupt:\n",
        (
            "tests/measurement/test_variants.py::test_what_an_implementation_does_not_support_is_a_skip_with_its_reason",
            "tests/execution/test_hosts.py::test_failures_arrive_as_what_they_are",
        ),
    ),
    Planted(
        "variants have to agree within the limit itself",
        "xentcheck/measurement/variants.py",
        "    most = 2.0 * np.asarray(allowed(",
        "    most = 1.0 * np.asarray(allowed(",
        (
            "tests/measurement/test_variants.py::test_variants_that_agree_to_twice_the_tolerance_are_consistent",
        ),
    ),
    Planted(
        "variants are compared in the wider dtype",
        "xentcheck/measurement/variants.py",
        "    narrow = min(",
        "    narrow = max(",
        (
            "tests/measurement/test_variants.py::test_results_of_different_dtypes_are_compared_in_the_narrower",
        ),
    ),
    Planted(
        "a copied input taken for proof that nothing is flushed",
        "xentcheck/measurement/scored_part.py",
        "bool(found.any()) and calculated(own, found, case)",
        "bool(found.any())",
        ("tests/measurement/test_ftz.py::test_an_input_that_comes_back_is_no_proof_against",),
    ),
    Planted(
        "a flushed result disagrees with a subnormal one",
        "xentcheck/measurement/variants.py",
        "    same |= ((a == 0) | (b == 0)) & (larger < target.smallest_normal)\n",
        "",
        ("tests/measurement/test_variants.py::test_a_flushed_subnormal_agrees_with_it",),
    ),
    Planted(
        "a NaN on one side agrees",
        "xentcheck/measurement/variants.py",
        "    same: npt.NDArray[np.bool_] = (a == b) | (np.isnan(a) & np.isnan(b))\n",
        "    same: npt.NDArray[np.bool_] = (a == b) | np.isnan(a) | np.isnan(b)\n",
        (
            "tests/measurement/test_variants.py::test_a_nan_on_one_side_only_disagrees_and_on_both_sides_agrees",
        ),
    ),
    Planted(
        "every pattern selects variants",
        "xentcheck/model/implementation.py",
        ' if "@" in pattern or "@" not in name\n',
        "\n",
        (
            "tests/measurement/test_variants.py::test_variants_are_selected_by_patterns_with_an_at_only",
        ),
    ),
    Planted(
        "what was lost is called again",
        "xentcheck/auditing/part.py",
        "                gone[name, quantity] = (incident.kind, incident.detail)\n",
        "                pass\n",
        (
            "tests/measurement/test_variants.py::test_a_lost_implementation_is_not_called_again_on_the_same_part",
        ),
    ),
    Planted(
        "the last row that breaks is the first",
        "xentcheck/measurement/scored_part.py",
        "        row = int(broken[0])\n",
        "        row = int(broken[-1])\n",
        ("tests/measurement/test_variants.py::test_the_first_row_that_breaks_is_told",),
    ),
    Planted(
        "a failing program's result is taken",
        "xentcheck/implementations/user/command.py",
        "            if done.returncode:\n",
        "            if False:\n",
        (
            "tests/implementations/test_user_code.py::TestCommands::test_failures_are_findings_with_the_last_words",
        ),
    ),
    Planted(
        "an exact one keeps an enclosure below one",
        "xentcheck/reference/balls.py",
        "            self.below_one &= not bool(((size >= 1.0) & (size < np.inf)).any())\n",
        "            pass\n",
        ("tests/reference/test_balls.py::test_what_is_overwritten_brings_its_bound_along",),
    ),
    Planted(
        "what is overwritten keeps the old bound",
        "xentcheck/reference/balls.py",
        "            self.relative = max(self.relative, source.relative)\n",
        "            pass\n",
        ("tests/reference/test_balls.py::test_what_is_overwritten_brings_its_bound_along",),
    ),
    Planted(
        "a limit decided by float64 where float64 cannot tell",
        "xentcheck/measurement/escalation.py",
        "        if scores.near.any():",
        "        if False:",
        (
            "tests/measurement/test_borderline.py::test_an_irrational_error_is_put_on_one_side_of_the_limits_next_to_it",
        ),
    ),
    Planted(
        "a limit that is met exactly taken for one that is missed",
        "xentcheck/measurement/borderline.py",
        "    return Settled(*(np.array([bool(each)]) for each in answers))",
        "    return Settled(*(np.array([each is not False]) for each in answers))",
        (
            "tests/measurement/test_borderline.py::test_a_limit_is_met_exactly_also_where_no_interval_shrinks_to_a_point",
        ),
    ),
    Planted(
        "a limit decided at the first precision",
        "xentcheck/measurement/borderline.py",
        "PRECISIONS = (128, 512, 2048, 8192)",
        "PRECISIONS = (1,)",
        (
            "tests/measurement/test_borderline.py::test_an_irrational_error_is_put_on_one_side_of_the_limits_next_to_it",
        ),
    ),
    Planted(
        "a mean decided by its first row",
        "xentcheck/reference/arbiter.py",
        "    if case.reduced and quantity is Quantity.VALUE:",
        "    if False:",
        ("tests/measurement/test_borderline.py::test_a_mean_is_put_on_one_side_too",),
    ),
    Planted(
        "a percentile that no row may be beyond",
        "xentcheck/gate/limits.py",
        "max(measurement.scored - 1, 0) // 100",
        "0",
        (
            "tests/measurement/test_borderline.py::test_of_a_hundred_rows_one_may_be_farther_off_than_p99_ulp",
        ),
    ),
    Planted(
        "a percentile that is never looked at",
        "xentcheck/gate/limits.py",
        "    for measurement in measurements:\n        limit",
        "    for measurement in ():\n        limit",
        (
            "tests/measurement/test_borderline.py::test_of_a_hundred_rows_one_may_be_farther_off_than_p99_ulp",
        ),
    ),
    Planted(
        "a relative error that excuses nothing",
        "xentcheck/measurement/scoring.py",
        "        by_rel = held.or_rel * np.ldexp(np.abs(exact.hi), errors.shift)",
        "        by_rel = nothing",
        ("tests/measurement/test_borderline.py::test_bounds_join_as_they_are_documented",),
    ),
    Planted(
        "excess bits that limit nothing",
        "xentcheck/measurement/scoring.py",
        "limit = np.minimum(limit, _in_ulps(tolerance.max_excess_bits, factor, target))",
        "limit = np.minimum(limit, np.inf)",
        (
            "tests/measurement/test_borderline.py::test_excess_bits_forgive_a_hard_problem_and_no_bad_formula",
        ),
    ),
    Planted(
        "excess bits that forgive no hard problem",
        "xentcheck/measurement/scoring.py",
        "    return np.fmax(scaled_bound(2.0 ** (bits - 1.0), factor), 0.5)",
        "    return np.fmax(scaled_bound(2.0 ** (bits - 1.0), 1.0 + 0 * factor), 0.5)",
        (
            "tests/measurement/test_borderline.py::test_excess_bits_forgive_a_hard_problem_and_no_bad_formula",
        ),
    ),
    Planted(
        "a sign that enough ulps buy",
        "xentcheck/measurement/scoring.py",
        "        signed = ~excused if held.unsigned is None else np.where(held.unsigned, beyond, "
        "~excused)",
        "        signed = beyond",
        (
            "tests/measurement/test_borderline.py::test_a_wrong_sign_is_forbidden_at_any_number_of_ulps",
        ),
    ),
    Planted(
        "a note that cannot be forbidden",
        "xentcheck/gate/limits.py",
        "    if finding.kind in NOTES:\n        return finding.kind in limit.forbid",
        "    if finding.kind in NOTES:\n        return False",
        ("tests/measurement/test_borderline.py::test_a_note_is_a_violation_where_it_is_forbidden",),
    ),
    Planted(
        "a word for two losses taken for one of them",
        "xentcheck/losses/names.py",
        '            if key in _SEVERAL_BY_KEY:\n                return ""\n',
        "            if key in _SEVERAL_BY_KEY:\n                return _SEVERAL_BY_KEY[key][0]\n",
        ("tests/cli/test_words.py::TestNamesOfLosses",),
    ),
    Planted(
        "an exception blamed on the library that the user's line called",
        "xentcheck/execution/invocation.py",
        "    own = [each for each in frames if not _is_of_library(each.filename)]\n",
        "    own = frames\n",
        (
            "tests/cli/test_words.py::TestForeignCode::test_it_names_the_users_line_not_the_librarys",
        ),
    ),
    Planted(
        "a survey that passes",
        "xentcheck/model/results.py",
        "        if not self.gated:\n            return None\n        from xentcheck",
        "        from xentcheck",
        ("tests/cli/test_words.py::TestReports::test_a_survey_passes_nothing",),
    ),
    Planted(
        "a limit for an implementation that is not there goes unnoticed",
        "xentcheck/auditing/plan.py",
        "        _check_limits(config, described, known)\n",
        "",
        (
            "tests/measurement/test_borderline.py::test_a_limit_that_no_implementation_can_meet_or_break_is_an_error_with_the_nearest",
        ),
    ),
    Planted(
        "more rows of a fault taken for the same",
        "xentcheck/gate/extent.py",
        "if _more(now, known, allowed) or ulp",
        "if ulp",
        ("tests/gate/test_baseline.py::TestStanding",),
    ),
    Planted(
        "more ulps of a fault taken for the same",
        "xentcheck/gate/extent.py",
        " or ulp > before * factor",
        "",
        ("tests/gate/test_baseline.py::TestStanding",),
    ),
    Planted(
        "what a baseline tolerates in one kind tolerated in all",
        "xentcheck/gate/baseline.py",
        "self.known.get(rule)",
        "next(iter(self.known.values()), None)",
        ("tests/gate/test_baseline.py::TestWeigh::test_another_kind_in_the_cell_is_new",),
    ),
    Planted(
        "an entry of another platform tolerating here",
        "xentcheck/gate/baseline.py",
        "(each for each in own if not each.platform), None",
        "iter(own), None",
        (
            "tests/gate/test_baseline.py::TestWeigh::test_an_entry_of_another_platform_tolerates_nothing_here_and_says_so",
        ),
    ),
    Planted(
        "a ratchet that loosens",
        "xentcheck/gate/baseline.py",
        "now[rule] if stands is Standing.BETTER else before",
        "now[rule]",
        (
            "tests/gate/test_baseline.py::TestRenewed::test_tightening_takes_back_what_is_better_and_tolerates_nothing_more",
        ),
    ),
    Planted(
        "stale entries that nobody hears of",
        "xentcheck/gate/baseline.py",
        "    changes += _stale(baseline, seen, failing, slack)\n",
        "",
        ("tests/gate/test_baseline.py::TestWeigh::test_a_fault_that_is_gone_is_stale",),
    ),
    Planted(
        "what was not audited dropped from a baseline",
        "xentcheck/gate/baseline.py",
        "    described = {*seen.faults, *seen.unaudited}",
        "    described = {*seen.faults}",
        ("tests/gate/test_baseline.py::TestRenewed::test_what_was_not_audited_stays",),
    ),
    Planted(
        "a comparison that leaves the exit status at 0",
        "xentcheck/cli/compare.py",
        "return VIOLATIONS if compared.tally[Standing.WORSE] else WITHIN_LIMITS",
        "return WITHIN_LIMITS",
        ("tests/gate/test_comparison.py",),
    ),
    Planted(
        "a baseline that is not what a run is held against",
        "xentcheck/cli/baseline.py",
        " if self.write else baseline_file.load(path)\n",
        " if self.write else None\n",
        (
            "tests/end_to_end/test_adoption.py::test_a_package_adopts_a_gate_regresses_mends_its_loss_and_moves",
        ),
    ),
    Planted(
        "a baseline written from a run that audited nothing",
        "xentcheck/cli/audit.py",
        "if status in (INTERNAL, INTERRUPTED, NOTHING_AUDITED):",
        "if False:",
        (
            "tests/end_to_end/test_adoption.py::test_a_run_that_did_not_audit_everything_leaves_the_baseline_alone",
        ),
    ),
    Planted(
        "a survey with a baseline that stays a survey",
        "xentcheck/auditing/run.py",
        "    if options.baseline is not None and not config.limits:",
        "    if False:",
        (
            "tests/end_to_end/test_adoption.py::test_a_survey_with_a_baseline_is_held_to_the_default_limits",
        ),
    ),
    Planted(
        "stale entries that fail nobody who asks for it",
        "xentcheck/gate/outcome.py",
        "(report.strict and stale(report))",
        "False",
        (
            "tests/end_to_end/test_adoption.py::test_a_package_adopts_a_gate_regresses_mends_its_loss_and_moves",
        ),
    ),
    Planted(
        "control characters left in XML",
        "xentcheck/report/formats/junit.py",
        "cleaned = {name: words.clean(value) for name, value in attributes.items()}",
        "cleaned = attributes",
        ("tests/report/test_formats.py",),
    ),
    Planted(
        "an annotation of several lines",
        "xentcheck/report/formats/github.py",
        '.replace("\\n", "%0A")',
        "",
        ("tests/report/test_formats.py",),
    ),
    Planted(
        "what a baseline tolerates as an alert",
        "xentcheck/report/formats/sarif.py",
        'yield {**result, "suppressions": [suppression]}',
        "yield result",
        ("tests/report/test_formats.py",),
    ),
    Planted(
        "a replay with rounded numbers",
        "xentcheck/report/words/numbers.py",
        "return min(decimal(value), hexadecimal(value), key=len)",
        'return f"{value:.6g}"',
        ("tests/end_to_end/test_replay.py::TestNumbers",),
    ),
    Planted(
        "a replay of the row beside",
        "xentcheck/report/words/replay.py",
        'f"{report.path}:{cell.sweep}:{witness.row}"',
        'f"{report.path}:{cell.sweep}:{witness.row + 1}"',
        ("tests/end_to_end/test_replay.py::test_long_rows_come_out_again",),
    ),
    Planted(
        "markup of names left in a notebook",
        "xentcheck/report/notebook.py",
        '{escape(text)}"\n',
        '{text}"\n',
        ("tests/end_to_end/test_api.py::TestNotebooks",),
    ),
    Planted(
        "a test of a cell that cannot fail",
        "xentcheck/pytest_plugin.py",
        "        if mine:\n",
        "        if False:\n",
        ("tests/end_to_end/test_pytest_plugin.py::TestItems",),
    ),
    Planted(
        "an assertion that nothing fails",
        "xentcheck/api.py",
        "    if outcome(report) is not Outcome.FAILED:\n        return report\n",
        "    if outcome(report):\n        return report\n",
        ("tests/end_to_end/test_api.py::TestAssertAccurate",),
    ),
    Planted(
        "nothing audited taken for an assertion that holds",
        "xentcheck/api.py",
        "        check_results(report, dtypes or (() if inputs is not None else DTYPES), ",
        "        (lambda *_: None)(report, dtypes or (() if inputs is not None else DTYPES), ",
        ("tests/end_to_end/test_api.py::TestNothingIsNoPass",),
    ),
    Planted(
        "a declaration of a misspelt loss passed over",
        "xentcheck/registry.py",
        '            skips += [_skip(f"{where}: {fault}"',
        '            [_skip(f"{where}: {fault}"',
        ("tests/implementations/test_registration.py",),
    ),
    Planted(
        "a sweep that names nobody passed over",
        "xentcheck/auditing/plan.py",
        "        _check_sweeps(config, known, skips)\n",
        "",
        (
            "tests/measurement/test_borderline.py::test_a_sweep_that_names_what_nobody_declares_is_an_error_with_the_nearest",
        ),
    ),
    Planted(
        "a pivot chosen by rounded sums",
        "xentcheck/reference/forms/softmax.py",
        "            self._repivot(x, noise)\n",
        "            pass\n",
        (
            "tests/execution/test_corners.py::TestPivots::test_noise_that_a_rounded_sum_swallows_still_chooses_the_top",
        ),
    ),
    Planted(
        "an exponential that counts as nothing where its midpoint underflowed",
        "xentcheck/reference/balls.py",
        "            absolute = np.where(unknown, np.inf, absolute)\n",
        "",
        (
            "tests/execution/test_corners.py::TestPivots::test_an_exponential_is_only_known_to_underflow_where_its_whole_ball_does",
        ),
    ),
    Planted(
        "a power of two seen in a rounded quotient",
        "xentcheck/reference/forms/probabilities.py",
        "np.frexp(quotient.midpoint)",
        "np.frexp(quotient.midpoint.astype(np.float64))",
        ("tests/execution/test_corners.py::TestQuotients::test_a_subnormal_quotient_is_not_exact",),
    ),
    Planted(
        "an infinite row that hides an open one",
        "xentcheck/reference/tiers.py",
        "if ball.absolute is not None and np.isinf(ball.absolute).any():",
        "if False:",
        (
            "tests/execution/test_corners.py::TestReductions::test_an_infinite_row_hides_no_row_that_is_still_open",
        ),
    ),
    Planted(
        "a row that may be NaN or 0 makes every sum NaN",
        "xentcheck/reference/arbiter.py",
        "    if all(either):\n",
        "    if True:\n",
        (
            "tests/execution/test_corners.py::TestReductions::test_a_row_that_may_be_nan_or_0_counts_as_0_or_makes_nan",
        ),
    ),
    Planted(
        "limits held to absolute errors that underflow",
        "xentcheck/measurement/scoring.py",
        "excused = ulp_error <= np.maximum(by_abs, by_rel)",
        "excused = abs_error <= held.or_abs",
        (
            "tests/execution/test_corners.py::TestLimitsBelowFloat64::test_a_limit_below_half_an_ulp_fails_among_subnormals",
        ),
    ),
    Planted(
        "a wrong sign among subnormals passed by the quick look",
        "xentcheck/measurement/scoring.py",
        "        odd |= turned | (beyond",
        "        odd |= (beyond",
        ("tests/execution/test_corners.py::test_balls_are_scored_as_their_enclosures",),
    ),
    Planted(
        "a sign that nobody doubts at the bound of conditioning",
        "xentcheck/measurement/scoring.py",
        "        near |= turned & held.unsure & ~otherwise.met\n",
        "        pass\n",
        (
            "tests/execution/test_corners.py::TestSigns::test_where_that_is_a_close_call_the_arbiter_s_condition_number_decides",
        ),
    ),
    Planted(
        "a format without infinities that rounds its tie away",
        "xentcheck/measurement/scoring.py",
        "reached = above >= 0 if target.has_infinity else above > 0",
        "reached = above >= 0",
        (
            "tests/execution/test_corners.py::TestFormatsWithoutInfinities::test_overflow_is_nan_or_saturates",
        ),
    ),
    Planted(
        "a kind that no ball leaves open at the smallest normal number",
        "xentcheck/measurement/scoring.py",
        "    unknown |= wrong & (np.abs(ulp_error - flushed) <= radius)\n",
        "",
        (
            "tests/execution/test_corners.py::TestKindsAtTheirBounds::test_a_zero_at_the_smallest_normal_number",
        ),
    ),
    Planted(
        "a sign that no ball leaves open at half the smallest subnormal",
        "xentcheck/measurement/scoring.py",
        "    unknown |= of_sign & _reaches(exact, vanishing)\n",
        "",
        (
            "tests/execution/test_corners.py::TestKindsAtTheirBounds::test_a_wrong_sign_at_half_the_smallest_subnormal",
        ),
    ),
    Planted(
        "a focal gradient whose terms never cancel",
        "xentcheck/losses/sigmoid.py",
        "    whole = np.abs(gradient) / (balance * missed**gamma)\n",
        "    whole = sum(term for term, _ in terms)\n",
        (
            "tests/execution/test_corners.py::TestConditionNumbers::test_the_focal_gradient_crosses_zero_with_soft_targets",
        ),
    ),
    Planted(
        "a condition number that is infinite at a zero",
        "xentcheck/reference/arbiter.py",
        "kept = np.where(np.abs(own) < smallest, np.copysign(smallest, own), own)",
        "kept = own",
        (
            "tests/execution/test_corners.py::TestConditionNumbers::test_at_an_exact_zero_it_is_finite_and_forgives_no_arbitrary_result",
        ),
    ),
    Planted(
        "excess bits of a result that is all wrong",
        "xentcheck/measurement/scoring.py",
        "    return min(max(lost - explained, 0.0), float(FORMATS[dtype].precision))",
        "    return max(min(lost, float(FORMATS[dtype].precision)) - explained, 0.0)",
        (
            "tests/execution/test_corners.py::TestConditionNumbers::test_a_result_of_more_than_all_its_digits_is_not_explained_by_a_large_condition",
        ),
    ),
    Planted(
        "a sensitivity of p that forgets the distance",
        "xentcheck/losses/softmax/condition.py",
        "        return np.asarray(own - self.difference * (1.0 - 2.0 * self.shares))",
        "        return np.asarray(own + 0.0 * self.difference)",
        (
            "tests/execution/test_corners.py::TestConditionNumbers::test_they_are_at_least_what_moving_each_input_makes_of_the_result",
        ),
    ),
    Planted(
        "flushed results taken for the worst that were not",
        "xentcheck/measurement/scored_part.py",
        "    if same and not flushed.any():",
        "    if True:",
        ("tests/measurement/test_ftz.py::TestTermsOfASum",),
    ),
    Planted(
        "a default limit without conditioning",
        "xentcheck/auditing/check.py",
        "CHECK_TOLERANCE = Tolerance(max_ulp=4.0, or_excess_bits=2.0)",
        "CHECK_TOLERANCE = Tolerance(max_ulp=4.0)",
        ("tests/measurement/test_default_limit.py",),
    ),
    Planted(
        "a reduction of 256 rows at most",
        "xentcheck/sweeps/assembly.py",
        "        yield from ((cut, True) for cut in _longer(tame, most))",
        "        pass",
        (
            "tests/auditing/test_reductions.py::test_a_reduction_takes_one_row_to_all_rows_of_the_sweep",
        ),
    ),
    Planted(
        "equal rows that count once in a sum",
        "xentcheck/reference/arbiter.py",
        "        total = ops.total([number for number, _ in some], [count for _, count in some])",
        "        total = ops.total([number for number, _ in some])",
        ("tests/auditing/test_reductions.py::test_equal_rows_are_worked_out_once_and_counted",),
    ),
    Planted(
        "hard labels that a search softens",
        "xentcheck/searching/moves.py",
        "    if case.fixed and case.label_kind is not LabelKind.INTEGER:",
        "    if False:",
        ("tests/sweeps/test_targets.py::test_a_search_leaves_chosen_labels_as_they_are",),
    ),
    Planted(
        "bfloat16 of NumPy's that is two bytes",
        "xentcheck/sweeps/recorded.py",
        '        return array.view(FORMATS["bfloat16"].dtype)',
        "        return array",
        ("tests/sweeps/test_inputs.py::test_bfloat16_is_what_numpy_makes_of_it_when_it_is_saved",),
    ),
    Planted(
        "a radius whose sum is rounded to nearest",
        "xentcheck/reference/arbiter.py",
        "half_width = math.nextafter(half_width + 2.0**scale, math.inf)",
        "half_width += 2.0**scale",
        ("tests/execution/test_corners.py::TestPackedEnclosures",),
    ),
    Planted(
        "a NaN asked for in a class without label",
        "xentcheck/losses/probabilities.py",
        "        index[masses == 0.0] = 2\n",
        "",
        ("tests/execution/test_untouched_components.py",),
    ),
    Planted(
        "a program resolved through links",
        "xentcheck/config/implementations.py",
        "(str(Path(path).absolute()), *rest)",
        "(str(Path(path).resolve()), *rest)",
        ("tests/end_to_end/test_links.py",),
    ),
    Planted(
        "an argument of a newer version that counts as an error",
        "xentcheck/implementations/bridge.py",
        "            if reason:\n                raise UnsupportedError(reason) from error\n",
        "",
        ("tests/end_to_end/test_older_versions.py",),
    ),
    Planted(
        "another function swept all the same",
        "xentcheck/recognition/sanity.py",
        "        return replace(config, sweeps=()), reason\n",
        "        return config, reason\n",
        ("tests/recognition/test_recognition.py::test_one_finding_instead_of_a_sweep",),
    ),
    Planted(
        "a claim without a look at whether the loss itself fits",
        "xentcheck/recognition/recognising.py",
        "        if returned and self._right(returned):\n",
        "        if returned and not self._right(returned):\n",
        ("tests/recognition/test_recognition.py::test_what_is_only_inaccurate_goes_on",),
    ),
    Planted(
        "a reduction that is recognised without its name",
        "xentcheck/recognition/recognising.py",
        "reduction = None if factor.name else form.reduction",
        "reduction = None",
        (
            "tests/recognition/test_recognition.py::test_a_mean_has_its_reduction_for_whoever_goes_on_with_it",
        ),
    ),
    Planted(
        "a gate that passes without what it names",
        "xentcheck/gate/outcome.py",
        "    if report.omissions or (report.strict and stale(report)):",
        "    if (report.strict and stale(report)):",
        ("tests/gate/test_omissions.py::test_a_gradient_that_is_gone_fails_in_every_format",),
    ),
    Planted(
        "an omission of whatever a pattern reaches",
        "xentcheck/gate/omissions.py",
        "    if not owned and not _in_full(cell.implementation, sweep.implementations):",
        "    if False:",
        ("tests/gate/test_omissions.py::test_what_is_named_is_told_apart_from_what_is_reached",),
    ),
    Planted(
        "a baseline without slack on another processor",
        "xentcheck/gate/baseline.py",
        "    allowed = OTHER_PROCESSOR if other else DEFAULT_SLACK",
        "    allowed = DEFAULT_SLACK",
        ("tests/gate/test_baseline.py::TestOtherProcessor",),
    ),
    Planted(
        "the slack of another processor everywhere",
        "xentcheck/gate/baseline.py",
        "        other = there != (seen.platform, seen.cpu)",
        "        other = True",
        (
            "tests/gate/test_baseline.py::TestOtherProcessor",
            "tests/gate/test_baseline.py::TestWeigh",
        ),
    ),
    Planted(
        "a form that is dropped though it may still be the best",
        "xentcheck/diagnosis/fingerprint.py",
        "            if agreed + left <= bar * rows:",
        "            if agreed + left // 2 <= bar * rows:",
        (
            "tests/diagnosis/test_fingerprints.py::test_forms_that_are_dropped_early_are_none_of_the_best",
        ),
    ),
    Planted(
        "a wrong zero that a small number agrees with",
        "xentcheck/diagnosis/agreement.py",
        "np.where(tiny < slack, tiny, slack)",
        "slack",
        ("tests/diagnosis/test_fingerprints.py::test_agreement_is_that_of_errors",),
    ),
)
