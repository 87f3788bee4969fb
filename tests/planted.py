"""Faults planted in the instrument: each is one edit of one file, and the tests that must notice.

An edit replaces a text that stands in the file exactly once. `tests/test_planted_faults.py` applies
each to a copy of the tree and runs the named tests, which must fail there and pass here.
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
        "xentcheck/scoring.py",
        "exact.exponent - below)",
        "exact.exponent - (np.abs(exact.hi) <= 1.0))",
        ("tests/test_scoring.py::test_an_ulp_below_a_power_of_two_is_half_the_one_above",),
    ),
    Planted(
        "an enclosure that touches a power of two takes the larger ulp",
        "xentcheck/scoring.py",
        "exact.exponent - below)",
        "exact.exponent)",
        (
            "tests/test_scoring.py::test_an_enclosure_that_touches_a_power_of_two_uses_the_smaller_ulp",
        ),
    ),
    Planted(
        "a reference without the bits beyond float64",
        "xentcheck/scoring.py",
        " - np.ldexp(exact.lo, shift))",
        ")",
        (
            "tests/test_scoring.py::test_the_exact_value_is_not_rounded_before_subtracting",
            "tests/test_scoring.py::test_a_correctly_rounded_float64_is_within_half_an_ulp_of_bits_beyond_float64",
        ),
    ),
    Planted(
        "NaN counted as a pass",
        "xentcheck/scoring.py",
        "    mark(Kind.NAN, ~undefined & is_nan)\n",
        "",
        ("tests/test_scoring.py::test_nan_is_right_only_where_nan_is_expected",),
    ),
    Planted(
        "a missed NaN counted as a pass",
        "xentcheck/scoring.py",
        "    mark(Kind.MISSED_NAN, undefined & ~is_nan)\n",
        "",
        ("tests/test_scoring.py::test_nan_is_right_only_where_nan_is_expected",),
    ),
    Planted(
        "infinity taken for one ulp beyond max",
        "xentcheck/scoring.py",
        "    mark(Kind.SPURIOUS_OVERFLOW, finite & is_inf)\n",
        "",
        ("tests/test_scoring.py::test_infinity_is_never_one_ulp_beyond_max",),
    ),
    Planted(
        "overflow allowed from max on, not from max and half an ulp",
        "xentcheck/scoring.py",
        "np.abs(exact.lo) - np.ldexp(half, shift)",
        "np.abs(exact.lo)",
        ("tests/test_scoring.py::test_overflow_is_right_from_half_an_ulp_beyond_max",),
    ),
    Planted(
        "opposite infinities taken for equal",
        "xentcheck/scoring.py",
        "    mark(Kind.WRONG_SIGN, (infinite | overflowing) & ~is_nan & (a != 0) & opposite)\n",
        "",
        ("tests/test_scoring.py::test_opposite_infinities_have_the_wrong_sign",),
    ),
    Planted(
        "a finite result accepted for an infinite one",
        "xentcheck/scoring.py",
        "    mark(Kind.MISSED_OVERFLOW, infinite & is_number)\n",
        "",
        (
            "tests/test_scoring.py::test_a_finite_result_for_an_infinite_one_is_a_missed_overflow_at_any_budget",
        ),
    ),
    Planted(
        "a limit that passes what is just beyond it",
        "xentcheck/scoring.py",
        "ulp_error - radius > limit",
        "ulp_error - radius > limit + 1",
        ("tests/test_scoring.py::test_a_limit_exactly_met_passes_and_the_next_number_fails",),
    ),
    Planted(
        "a limit that fails what exactly meets it",
        "xentcheck/scoring.py",
        "ulp_error - radius > limit",
        "ulp_error - radius >= limit",
        ("tests/test_scoring.py::test_a_limit_exactly_met_passes_and_the_next_number_fails",),
    ),
    Planted(
        "a radius that takes no part in the score",
        "xentcheck/scoring.py",
        "ulp_error - radius > limit",
        "ulp_error > limit",
        (
            "tests/test_scoring.py::test_only_what_is_beyond_the_limit_everywhere_in_its_enclosure_is_at_fault",
        ),
    ),
    Planted(
        "every tolerance widened by the condition number",
        "xentcheck/scoring.py",
        "if tolerance.times_condition and condition is not None:",
        "if condition is not None:",
        (
            "tests/test_scoring.py::test_a_condition_number_widens_only_a_tolerance_that_asks_for_it",
        ),
    ),
    Planted(
        "an absolute tolerance that is always met",
        "xentcheck/scoring.py",
        "(ulp_error - radius > limit) & ~(abs_error <= judged.or_abs)",
        "(ulp_error - radius > limit) & ~(abs_error >= judged.or_abs)",
        ("tests/test_scoring.py::test_absolute_error_can_meet_a_limit_instead",),
    ),
    Planted(
        "elementary functions trusted to the last bit",
        "xentcheck/reference/intervals.py",
        "return Interval(lower, upper, self.precision).widened()",
        "return Interval(lower, upper, self.precision)",
        ("tests/test_intervals.py::test_elementary_functions_contain_what_arb_computes",),
    ),
    Planted(
        "elementary functions trusted to their documented error",
        "xentcheck/reference/intervals.py",
        "libmp.mpf_shift(_ONE, -(precision + 6))",
        "libmp.mpf_shift(_ONE, -(precision + 600))",
        (
            "tests/test_intervals.py::test_an_elementary_function_may_err_by_32_units_of_its_last_place",
        ),
    ),
    Planted(
        "rounding inwards",
        "xentcheck/reference/intervals.py",
        "_DOWN = libmp.round_floor\n_UP = libmp.round_ceiling",
        "_UP = libmp.round_floor\n_DOWN = libmp.round_ceiling",
        ("tests/test_intervals.py::test_elementary_functions_contain_what_arb_computes",),
    ),
    Planted(
        "precision never raised",
        "xentcheck/reference/arbiter.py",
        "        if missing <= 0:\n            return result",
        "        if missing <= 1 << 60:\n            return result",
        (
            "tests/test_reference.py::test_reference_and_witness_enclose_the_same_number[sigmoid_focal_loss-float32]",
        ),
    ),
    Planted(
        "an uncertified row passed on",
        "xentcheck/reference/arbiter.py",
        "    raise UncertifiedError(message)\n\n\ndef _raised",
        "    return result\n\n\ndef _raised",
        ("tests/test_intervals.py::test_a_row_that_stays_undecided_is_an_error_that_names_it",),
    ),
    Planted(
        "the textbook definition never held against the rearranged form",
        "xentcheck/reference/arbiter.py",
        "            if not _meet(mine, theirs):",
        "            if False:",
        (
            "tests/test_intervals.py::test_a_rearrangement_that_is_wrong_is_caught_by_the_definition",
        ),
    ),
    Planted(
        "the radius of an enclosure forgotten",
        "xentcheck/reference/arbiter.py",
        "        half_width = libmp.to_float(",
        "        half_width = 0.0 * libmp.to_float(",
        (
            "tests/test_reference.py::test_reference_and_witness_enclose_the_same_number[softplus-float32]",
        ),
    ),
    Planted(
        "bits that are cut off and not in the radius",
        "xentcheck/reference/arbiter.py",
        "            half_width += 2.0**scale",
        "            half_width += 0.0",
        (
            "tests/test_reference.py::test_reference_and_witness_enclose_the_same_number[softplus-float32]",
        ),
    ),
    Planted(
        "a rounding of 53 bits in the reference",
        "xentcheck/reference/arbiter.py",
        "    if rest:\n",
        "    if False:\n",
        (
            "tests/test_reference.py::test_reference_and_witness_enclose_the_same_number[softplus-float32]",
        ),
    ),
    Planted(
        "the gradient of the true class without its own share",
        "xentcheck/losses/softmax.py",
        "        g = (whole - charge) * p - charge * softmax.complement[k]",
        "        g = whole * p - charge * softmax.complement[k]",
        (
            "tests/test_reference.py::test_reference_and_witness_enclose_the_same_number[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "label smoothing on all classes but the true one",
        "xentcheck/losses/softmax.py",
        "* (ops.number(1.0) - smoothing) + share",
        "* (ops.number(1.0) - smoothing) + share * (1 - mass)",
        (
            "tests/test_reference.py::test_reference_and_witness_enclose_the_same_number[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "a gradient without its temperature",
        "xentcheck/losses/softmax.py",
        "        return Outcome(g / scale)",
        "        return Outcome(g)",
        (
            "tests/test_reference.py::test_reference_and_witness_enclose_the_same_number[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "a mean that divides by the rows, whatever their weights",
        "xentcheck/reference/arbiter.py",
        "ops.total([ops.number(weight) for weight in weights])",
        "ops.number(float(len(weights)))",
        ("tests/test_intervals.py::test_reductions_weigh_rows_as_documented",),
    ),
    Planted(
        "an ignored row with a loss",
        "xentcheck/losses/softmax.py",
        "        zero = Outcome(0.0)\n        return RowResult(Components([zero]),",
        "        zero = Outcome(0.0)\n"
        "        return RowResult(Components([Outcome(ops.number(1.0))]),",
        ("tests/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "an ignored row with a gradient",
        "xentcheck/losses/softmax.py",
        "_uniform(zero, classes))\n    special",
        "_uniform(Outcome(ops.number(1.0)), classes))\n    special",
        ("tests/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "a NaN beside a masked class taken for a row of nothing",
        "xentcheck/losses/softmax.py",
        '        return "nan"\n',
        '        return "empty" if (x == -INF).any() else "nan"\n',
        ("tests/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "a NaN hidden by an infinite logit",
        "xentcheck/losses/softmax.py",
        "    if np.isnan(x).any():",
        "    if np.isnan(x).any() and not (x == INF).any():",
        ("tests/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
    ),
    Planted(
        "a masked class in the sum",
        "xentcheck/losses/softmax.py",
        "        if data[0] == -INF:\n            result.append(None)",
        "        if data[0] == -INF:\n            result.append(ops.number(-700.0))",
        ("tests/test_intervals.py::test_cross_entropy_of_special_rows_is_the_limit",),
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
        ("tests/test_sweeps.py::test_generator_gives_many_distinct_rows_by_default[gap]",),
    ),
    Planted(
        "an iterator consumed by the first block",
        "xentcheck/sweeps/assembly.py",
        "    combined = list(combinations(loss, kind, sweep.parameters))",
        "    combined = combinations(loss, kind, sweep.parameters)",
        ("tests/test_sweeps.py::test_explicit_rows_are_kept_as_written_and_grouped_by_width",),
    ),
    Planted(
        "an iterator of inputs consumed by a first loop",
        "xentcheck/sweeps/assembly.py",
        "    requests = list(_requests(sweep, loss, dtype, seed))",
        "    requests = _requests(sweep, loss, dtype, seed)\n    list(requests)",
        ("tests/test_sweeps.py::test_axes_multiply_and_defaults_are_left_out",),
    ),
    Planted(
        "rows with NaN dropped",
        "xentcheck/sweeps/assembly.py",
        "    return from_float64(rows, request.format.name)",
        "    rows = rows[(rows == rows).reshape(len(rows), -1).all(axis=1)]\n"
        "    return from_float64(rows, request.format.name)",
        ("tests/test_sweeps.py::test_boundary_special_gives_infinities_and_nan_alone",),
    ),
    Planted(
        "an empty sweep that passes",
        "xentcheck/sweeps/assembly.py",
        "    if not runs:",
        "    if False:",
        ("tests/test_sweeps.py::test_nothing_at_all_is_an_error_with_place_and_remedy",),
    ),
    Planted(
        "repeated rows counted as distinct",
        "xentcheck/sweeps/counting.py",
        "len(np.unique(np.concatenate(hashes)))",
        "len(np.concatenate(hashes))",
        ("tests/test_sweeps.py::test_a_sweep_of_one_point_counts_as_one_distinct_row",),
    ),
    Planted(
        "the rows of the last block left out",
        "xentcheck/sweeps/assembly.py",
        "    for first in range(0, shape[0], most):",
        "    for first in range(0, max(1, shape[0] - most), most):",
        ("tests/test_sweeps.py::test_blocks_are_bounded_and_numbered_through",),
    ),
    Planted(
        "only the first of several parameter values tried",
        "xentcheck/sweeps/assembly.py",
        "    for combination in whole.combined:",
        "    for combination in whole.combined[:1]:",
        ("tests/test_sweeps.py::test_axes_multiply_and_defaults_are_left_out",),
    ),
    Planted(
        "inputs rounded twice",
        "xentcheck/sweeps/assembly.py",
        "    return from_float64(rows, request.format.name)",
        "    rows = rows.astype(np.float32)\n    return from_float64(rows, request.format.name)",
        (
            "tests/test_sweeps.py::test_logits_become_probabilities_in_float64_before_the_one_rounding",
        ),
    ),
    Planted(
        "the seed ignored",
        "xentcheck/sweeps/assembly.py",
        "        streams = partial(stream, seed, sweep.name, position)",
        "        streams = partial(stream, 0, sweep.name, position)",
        ("tests/test_sweeps.py::test_another_seed_draws_other_rows[normal]",),
    ),
    Planted(
        "an implementation's writes reach the next one",
        "xentcheck/execution/invocation.py",
        '    arguments = [None if each is None else each.copy(order="C") for each in data]',
        "    arguments = list(data)",
        ("tests/test_execution.py::test_writing_into_an_argument_is_noticed_and_harms_nobody",),
    ),
    Planted(
        "a write into an argument overlooked",
        "xentcheck/execution/calls.py",
        "    incidents = run.mutations()\n    target",
        "    incidents: list[Incident] = []\n    target",
        ("tests/test_execution.py::test_writing_into_an_argument_is_noticed_and_harms_nobody",),
    ),
    Planted(
        "the second call not compared",
        "xentcheck/execution/calls.py",
        "    incidents += _repeat(run, results)\n",
        "",
        ("tests/test_execution.py::test_random_results_are_noticed",),
    ),
    Planted(
        "results that differ in the sign of a zero taken for the same",
        "xentcheck/execution/invocation.py",
        "    same = np.ascontiguousarray(a).view(width) == np.ascontiguousarray(b).view(width)",
        "    same = np.ascontiguousarray(a) == np.ascontiguousarray(b)",
        ("tests/test_execution.py::test_a_zero_that_changes_sign_has_changed",),
    ),
    Planted(
        "rows always called in the same company",
        "xentcheck/execution/calls.py",
        "        incidents += _regroup(run, results)\n",
        "        pass\n",
        ("tests/test_execution.py::test_a_shift_by_the_maximum_of_the_batch_is_row_dependent",),
    ),
    Planted(
        "a narrower result dtype let through",
        "xentcheck/execution/calls.py",
        "    if _narrower(target, source):",
        "    if False:",
        ("tests/test_execution.py::test_results_of_another_shape_or_dtype_are_findings",),
    ),
    Planted(
        "a row that raises takes the block with it",
        "xentcheck/execution/calls.py",
        "        if error.kind is Kind.RAISED and shape != () and rows > 1:",
        "        if False:",
        ("tests/test_execution.py::test_rows_that_raise_do_not_take_the_others_with_them",),
    ),
    Planted(
        "a block that raises scored as zeros",
        "xentcheck/execution/calls.py",
        "    valid = np.zeros(rows, dtype=np.bool_)\n    valid[list(results)] = True",
        "    valid = np.ones(rows, dtype=np.bool_)",
        ("tests/test_execution.py::test_rows_that_raise_do_not_take_the_others_with_them",),
    ),
    Planted(
        "counts of all but the last case lost",
        "xentcheck/collection/tally.py",
        "        collected.counts[KINDS[code]] += len(here)",
        "        collected.counts[KINDS[code]] = len(here)",
        (
            "tests/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "counts lost",
        "xentcheck/collection/tally.py",
        "        collected.counts[KINDS[code]] += len(here)\n",
        "",
        (
            "tests/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "the worst witness is the mildest",
        "xentcheck/collection/tally.py",
        "if held is None or badness(shown) > badness(held):",
        "if held is None or badness(shown) < badness(held):",
        (
            "tests/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "the largest error of the last case alone",
        "xentcheck/collection/tally.py",
        "        collected.ulps.add(kept)",
        "        collected.ulps = Quantiles()\n        collected.ulps.add(kept)",
        (
            "tests/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "the error of a row that of its best component",
        "xentcheck/collection/tally.py",
        "    worst = ulps.max(axis=1) if",
        "    worst = ulps.min(axis=1) if",
        (
            "tests/test_execution.py::test_a_cell_has_the_worst_of_all_its_cases_and_counts_every_row",
        ),
    ),
    Planted(
        "a row judged by its best component",
        "xentcheck/collection/tally.py",
        "    gravest = kinds.min(axis=1) if",
        "    gravest = kinds.max(axis=1) if",
        (
            "tests/test_execution.py::test_a_row_is_counted_under_the_gravest_kind_of_its_components",
        ),
    ),
    Planted(
        "no finding is a violation",
        "xentcheck/gate.py",
        "        return finding.distance > limit.tolerance.max_ulp\n    return True",
        "        return finding.distance > limit.tolerance.max_ulp\n    return False",
        (
            "tests/test_scoring.py::test_a_limit_allows_the_kinds_it_names_and_notes_and_nothing_else",
        ),
    ),
    Planted(
        "the first limit wins",
        "xentcheck/model.py",
        "for limit in reversed(self.limits)",
        "for limit in self.limits",
        ("tests/test_scoring.py::test_the_last_limit_that_selects_a_cell_governs_it",),
    ),
    Planted(
        "a limit that allows one kind allows all",
        "xentcheck/gate.py",
        "    if finding.kind in limit.allow or finding.kind in NOTES:",
        "    if limit.allow or finding.kind in NOTES:",
        (
            "tests/test_scoring.py::test_a_limit_allows_the_kinds_it_names_and_notes_and_nothing_else",
        ),
    ),
    Planted(
        "a dependence on neighbours never a violation",
        "xentcheck/gate.py",
        "return finding.distance > limit.tolerance.max_ulp",
        "return False",
        (
            "tests/test_scoring.py::test_a_dependence_on_neighbours_violates_from_beyond_the_limit_on",
        ),
    ),
    Planted(
        "violations that leave the exit status at 0",
        "xentcheck/cli.py",
        "    if report.violations:",
        "    if False:",
        ("tests/test_cli.py::TestExitStatus::test_a_gate_exits_1_on_a_violation",),
    ),
    Planted(
        "nothing audited taken for success",
        "xentcheck/cli.py",
        "        return NOTHING_AUDITED",
        "        return WITHIN_LIMITS",
        ("tests/test_cli.py::TestExitStatus::test_nothing_audited_exits_3",),
    ),
    Planted(
        "an uncertified case taken for success",
        "xentcheck/cli.py",
        "        return INTERNAL\n    if report.interrupted",
        "        return WITHIN_LIMITS\n    if report.interrupted",
        (
            "tests/test_intervals.py::test_a_run_with_a_row_that_stays_undecided_reports_the_rest_and_is_no_success",
        ),
    ),
    Planted(
        "a number with an exponent read as text",
        "xentcheck/numbers.py",
        '(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-]?[0-9]+)?")',
        '(?:\\.[0-9]*)?|\\.[0-9]+)(?:[eE][+-][0-9]+)?")',
        ("tests/test_config.py::test_numbers_are_read_as_they_are_written",),
    ),
    Planted(
        "010 read as a number",
        "xentcheck/numbers.py",
        "    if _LEADING_ZERO.fullmatch(text):",
        "    if False:",
        ("tests/test_config.py::test_what_is_no_number_or_could_be_two_is_refused",),
    ),
    Planted(
        "duplicate keys accepted",
        "xentcheck/yaml_reader.py",
        "                if key.value in first:",
        "                if False:",
        (
            "tests/test_config.py::test_a_fault_in_a_file_is_told",
            "tests/test_config.py::test_every_problem_is_told_at_once_in_the_order_of_the_file",
        ),
    ),
    Planted(
        "unknown keys accepted",
        "xentcheck/yaml_reader.py",
        "        for name in [name for name in entries if name not in known]:",
        "        for name in []:",
        ("tests/test_config.py::test_every_problem_is_told_at_once_in_the_order_of_the_file",),
    ),
    Planted(
        "only the first problem told",
        "xentcheck/yaml_reader.py",
        "key=lambda each: each[0])]",
        "key=lambda each: each[0])][:1]",
        ("tests/test_config.py::test_every_problem_is_told_at_once_in_the_order_of_the_file",),
    ),
    Planted(
        "an exponential that forgets what is uncertain of its argument",
        "xentcheck/reference/balls.py",
        "        given = self.relative * arithmetic.widest\n",
        "        given = self.relative\n",
        ("tests/test_balls.py::test_what_is_uncertain_of_an_exponent_is_magnified_by_its_size",),
    ),
    Planted(
        "a difference that keeps a relative bound",
        "xentcheck/reference/balls.py",
        "if self.sign * other.sign > 0 or (self.relative == 0.0 == other.relative):",
        "if True:",
        (
            "tests/test_balls.py::test_a_bound_is_relative_where_signs_are_known_and_absolute_where_they_are_not",
        ),
    ),
    Planted(
        "a sum whose terms err but not their addition",
        "xentcheck/reference/balls.py",
        "        slack = factor * self.arithmetic.unit\n",
        "        slack = 0.0\n",
        ("tests/test_balls.py::test_sums_of_a_hundred_thousand_terms_contain_the_exact_sum",),
    ),
    Planted(
        "binary128 without the digits beyond float64",
        "xentcheck/reference/balls.py",
        "        lo = lo + (hi - inner)\n",
        "        lo = 0.0 * lo\n",
        ("tests/test_balls.py::test_binary128_leaves_as_two_numbers_an_exponent_and_a_radius",),
    ),
    Planted(
        "what underflowed has no bound",
        "xentcheck/model.py",
        "radius = np.abs(self.midpoint) * self.relative + FLOOR",
        "radius = np.abs(self.midpoint) * self.relative",
        ("tests/test_balls.py::test_results_below_the_range_of_float64_are_covered_by_the_floor",),
    ),
    Planted(
        "the array form of the label's gradient is p - 1 by subtraction",
        "xentcheck/reference/forms/softmax.py",
        "        rest = np.where(at_top, self.tail.midpoint, self.whole.midpoint - power.midpoint)",
        "        rest = self.whole.midpoint - power.midpoint",
        (
            "tests/test_tiers.py::test_every_tier_contains_the_arbiter[softmax_cross_entropy-float32]",
        ),
    ),
    Planted(
        "a masked class with a label of 0 costs something in the array form",
        "xentcheck/reference/forms/softmax.py",
        "    nothing = np.asarray(charge.midpoint == 0)\n",
        "    nothing = np.asarray(charge.midpoint == np.inf)\n",
        ("tests/test_tiers.py::test_cross_entropy_with_distributions_in_every_branch",),
    ),
    Planted(
        "the array form of focal loss with its sides exchanged",
        "xentcheck/reference/forms/sigmoid.py",
        "missed = choose(z > 0.5, parts.softplus_up, parts.softplus_down)",
        "missed = choose(z > 0.5, parts.softplus_down, parts.softplus_up)",
        ("tests/test_tiers.py::test_focal_loss_in_every_branch",),
    ),
    Planted(
        "one form of JS beyond where it holds",
        "xentcheck/reference/forms/divergence.py",
        "    near = np.asarray(distance <= 0.5)\n",
        "    near = np.asarray(distance <= 2.0)\n",
        ("tests/test_tiers.py::test_js_divergence_in_every_branch",),
    ),
    Planted(
        "no row ever goes up",
        "xentcheck/collection/tally.py",
        "            if not scores.undecided.any():\n",
        "            if True:\n",
        (
            "tests/test_tiers.py::test_a_row_whose_error_lies_at_the_limit_goes_up",
            "tests/test_tiers.py::test_float64_results_of_float32_inputs_go_up",
        ),
    ),
    Planted(
        "every row goes up",
        "xentcheck/collection/tally.py",
        "            where = np.flatnonzero(scores.undecided.reshape(len(own), -1).any(axis=1))",
        "            where = np.arange(len(own))",
        (
            "tests/test_tiers.py::test_rows_that_are_decided_stay_on_the_lowest_tier",
            "tests/test_tiers.py::test_rows_that_a_form_leaves_go_up_and_no_other",
        ),
    ),
    Planted(
        "a tier that is wrong passes its sample",
        "xentcheck/reference/tiers.py",
        "        if outside(claimed, enclosures) is not None:\n",
        "        if False:\n",
        ("tests/test_tiers.py::test_a_form_that_is_off_by_a_billionth_is_noticed",),
    ),
    Planted(
        "a limit within the radius counts as decided",
        "xentcheck/scoring.py",
        "        undecided |= may_be_beyond & ~beyond\n",
        "",
        ("tests/test_tiers.py::test_a_row_whose_error_lies_at_the_limit_goes_up",),
    ),
    Planted(
        "a NaN in a block hides its overflows",
        "xentcheck/scoring.py",
        "if not (midpoint.max() < target.max and midpoint.min() > -target.max):",
        "if midpoint.max() >= target.max or midpoint.min() <= -target.max:",
        ("tests/test_scoring.py::test_a_nan_elsewhere_in_a_block_hides_no_overflow",),
    ),
    Planted(
        "a witness of another kind than its row goes unnoticed",
        "xentcheck/collection/closing.py",
        "        if kind is not shown.kind:\n",
        "        if False:\n",
        (
            "tests/test_collection.py::test_a_score_that_the_arbiter_does_not_confirm_is_an_internal_error",
        ),
    ),
    Planted(
        "rows of later parts numbered from 0",
        "xentcheck/collection/shown.py",
        "number=shown.number + offset",
        "number=shown.number",
        (
            "tests/test_collection.py::test_a_witness_is_numbered_from_the_start_of_its_sweep_after_a_merge",
        ),
    ),
    Planted(
        "counts of later parts lost",
        "xentcheck/collection/tally.py",
        "        self.counts += other.counts\n",
        "",
        ("tests/test_collection.py::test_merging_parts_is_like_collecting_at_once",),
    ),
    Planted(
        "plateaus are looked for in each part alone",
        "xentcheck/collection/tally.py",
        "            self.heights.watch(height, found.moved(offset))\n",
        "            pass\n",
        ("tests/test_collection.py::test_a_plateau_may_lie_across_parts",),
    ),
    Planted(
        "a bucket tells its lower end",
        "xentcheck/quantiles.py",
        "np.array(((bucket + 1) << _SHIFT) - 1, dtype=np.int64)",
        "np.array(bucket << _SHIFT, dtype=np.int64)",
        (
            "tests/test_quantiles.py::test_beyond_it_quantiles_are_at_most_a_thousandth_above_and_never_below",
        ),
    ),
    Planted(
        "zeros forgotten in merging",
        "xentcheck/quantiles.py",
        "        self._zeros += other._zeros\n",
        "",
        (
            "tests/test_quantiles.py::test_the_order_of_merging_does_not_matter",
            "tests/test_quantiles.py::test_zeros_are_zero_in_buckets_too",
        ),
    ),
    Planted(
        "a crash is blamed on everybody",
        "xentcheck/audit.py",
        "                if (name, quantity) in gone:\n",
        "                if gone:\n",
        (
            "tests/test_audit.py::test_what_kills_a_worker_is_crashed_and_everything_else_is_as_without_it",
        ),
    ),
    Planted(
        "a worker's death is not told",
        "xentcheck/audit.py",
        '            self.deaths.append(f"{died}; it was done again")\n',
        "            pass\n",
        ("tests/test_audit.py::test_a_worker_that_dies_once_is_told_and_leaves_no_finding",),
    ),
)
