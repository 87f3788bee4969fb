"""The modules that are mutated, how many mutants of each, and the tests that they are run against.

Tests stand in the order in which they run, the likeliest to notice and the fastest first: a mutant
is dead at its first failure.
"""

from typing import Final, NamedTuple


class Subject(NamedTuple):
    """A sample of the mutants of one module, and pytest's arguments for them."""

    mutants: int
    tests: tuple[str, ...]


TIERS: Final = "tests/reference/test_tiers.py"
EVERY_FORM: Final = "form_says"
"""A word of the tests' names: they look at all forms."""

COLLECTED: Final = (
    "tests/measurement/test_collection.py",
    "tests/measurement/test_borderline.py",
    "tests/execution/test_execution.py",
)

_ASKED: Final = (
    "tests/measurement/test_cotangents.py",
    "tests/measurement/test_layouts.py",
    "tests/measurement/test_batch_invariance.py",
)

SUBJECTS: Final = {
    "xentcheck/measurement/quantiles.py": Subject(
        12, ("tests/measurement/test_quantiles.py", "tests/measurement/test_collection.py")
    ),
    "xentcheck/floats.py": Subject(18, ("tests/test_floats.py",)),
    "xentcheck/measurement/scoring.py": Subject(
        45, ("tests/measurement/test_scoring.py", *COLLECTED)
    ),
    "xentcheck/reference/intervals.py": Subject(
        14, ("tests/reference/test_intervals.py", "tests/reference/test_reference.py")
    ),
    "xentcheck/reference/arbiter.py": Subject(
        8,
        (
            "tests/reference/test_intervals.py",
            "tests/reference/test_reference.py",
            "tests/measurement/test_borderline.py",
        ),
    ),
    "xentcheck/reference/balls.py": Subject(
        10,
        (
            "tests/reference/test_balls.py",
            f"{TIERS}::test_what_a_form_says_of_the_arguments_of_its_functions_is_true",
            f"{TIERS}::test_enclosures_are_narrow_wherever_nothing_cancels",
        ),
    ),
    "xentcheck/reference/double_double.py": Subject(10, ("tests/reference/test_double_double.py",)),
    "xentcheck/reference/element.py": Subject(1, ("tests/reference/test_intervals.py",)),
    "xentcheck/reference/enclosures.py": Subject(4, ("tests/measurement/test_scoring.py", TIERS)),
    "xentcheck/reference/tiers.py": Subject(
        4,
        (
            TIERS,
            "-k",
            (
                "reduc or left or decided or go_up or goes_up or one_component or conditions "
                "or mpmath_alone or tiers_are or billionth or (contains and float32)"
            ),
        ),
    ),
    "xentcheck/reference/forms/result.py": Subject(
        2, (TIERS, "-k", f"every_branch or {EVERY_FORM}")
    ),
    "xentcheck/reference/forms/divergence.py": Subject(
        6, (TIERS, "-k", f"divergence or {EVERY_FORM}")
    ),
    "xentcheck/reference/forms/probabilities.py": Subject(
        6,
        (
            TIERS,
            "-k",
            (
                f"{EVERY_FORM} or entropy_in or nll_in or probabilities_in or gradient_of_entropy "
                "or ((entropy or nll or categorical) and not softmax and not sigmoid "
                "and (float32 or float64))"
            ),
        ),
    ),
    "xentcheck/reference/forms/sigmoid.py": Subject(
        6,
        (
            TIERS,
            "-k",
            (
                f"{EVERY_FORM} or sigmoid_family or logits_in or focal_loss "
                "or ((sigmoid or softplus) and (float32 or float64))"
            ),
        ),
    ),
    "xentcheck/reference/forms/softmax.py": Subject(
        12,
        (
            TIERS,
            "-k",
            (
                f"{EVERY_FORM} or cross_entropy_with or softmax_family or noise or one_minus_p "
                "or ignored_row or weight_of_zero or one_hot or class_count "
                "or ((softmax or logsumexp) and (float32 or float64))"
            ),
        ),
    ),
    "xentcheck/measurement/tally.py": Subject(4, COLLECTED),
    "xentcheck/measurement/axes.py": Subject(4, ("tests/measurement/test_profiles.py",)),
    "xentcheck/measurement/profiles.py": Subject(4, ("tests/measurement/test_profiles.py",)),
    "xentcheck/measurement/collecting.py": Subject(4, COLLECTED),
    "xentcheck/measurement/scored_part.py": Subject(8, COLLECTED),
    "xentcheck/measurement/escalation.py": Subject(3, COLLECTED),
    "xentcheck/measurement/borderline.py": Subject(
        6, ("tests/measurement/test_borderline.py", *COLLECTED)
    ),
    "xentcheck/measurement/confirmation.py": Subject(6, COLLECTED),
    "xentcheck/measurement/asking.py": Subject(2, _ASKED),
    "xentcheck/measurement/batches.py": Subject(2, _ASKED),
    "xentcheck/measurement/layouts.py": Subject(2, _ASKED),
    "xentcheck/measurement/upstream.py": Subject(2, _ASKED),
    "xentcheck/measurement/summary.py": Subject(
        4, (*COLLECTED, "tests/measurement/test_variants.py")
    ),
    "xentcheck/measurement/flushing.py": Subject(4, ("tests/measurement/test_ftz.py", *COLLECTED)),
    "xentcheck/measurement/plateaus.py": Subject(4, COLLECTED),
    "xentcheck/measurement/candidate.py": Subject(2, COLLECTED),
    "xentcheck/measurement/variants.py": Subject(3, ("tests/measurement/test_variants.py",)),
    "xentcheck/measurement/invariants.py": Subject(2, ("tests/measurement/test_invariants.py",)),
    "xentcheck/measurement/deviations.py": Subject(2, ("tests/measurement/test_invariants.py",)),
    "xentcheck/measurement/twins.py": Subject(2, ("tests/measurement/test_invariants.py",)),
    "xentcheck/measurement/scans.py": Subject(2, ("tests/measurement/test_invariants.py",)),
    "xentcheck/measurement/usual_tests.py": Subject(2, ("tests/measurement/test_usual_tests.py",)),
    "xentcheck/measurement/contests.py": Subject(2, ("tests/measurement/test_contests.py",)),
    "xentcheck/measurement/grading.py": Subject(2, ("tests/measurement/test_grades.py",)),
    "xentcheck/measurement/scales.py": Subject(2, ("tests/measurement/test_grades.py",)),
    "xentcheck/measurement/needs.py": Subject(2, ("tests/gate/test_would_pass.py",)),
    "xentcheck/measurement/rating.py": Subject(2, ("tests/cli/test_search.py",)),
    "xentcheck/measurement/failing.py": Subject(2, ("tests/diagnosis/test_fingerprints.py",)),
}
