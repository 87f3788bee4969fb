"""The table of causes, its page and its list say the same, and every remedy is right."""

import json

import mpmath
import numpy as np
import pytest

from docs.pages.blocks import blocks
from docs.pages.causes import computed, exact, pages
from docs.pages.examples import EXAMPLES
from docs.pages.reports import REPORTS
from tests.diagnosis.proofs import DTYPES, ONE_LOGIT, PROOFS, one_logit, ulps
from tests.running import invoke
from xentcheck.model import ABOUT_CAUSES, Cause

FEW_ULPS = 4.0
KNOWN = [cause for cause in Cause if cause is not Cause.UNKNOWN]


def run(code, **inputs):
    """The names that a remedy leaves behind."""
    names = {"np": np, **inputs}
    with np.errstate(all="ignore"):
        exec(code, names)
    return names


def test_every_cause_has_a_row_an_example_and_a_proof():
    assert list(ABOUT_CAUSES) == list(Cause)
    assert list(EXAMPLES) == KNOWN
    assert set(PROOFS) == set(KNOWN)
    for cause in KNOWN:
        about = ABOUT_CAUSES[cause]
        assert all((about.says, about.remedy, about.given, about.numpy, about.torch, about.jax))


def test_every_cause_has_a_page_with_its_example_and_its_remedies():
    made = {name: "\n".join(lines) for name, lines in pages()}
    assert set(made) == {*(f"{cause}.md" for cause in Cause), "causes.inc"}
    for cause in KNOWN:
        page, about = made[f"{cause}.md"], ABOUT_CAUSES[cause]
        codes = [each.text for each in blocks(page) if each.language == "python"]
        example, *remedies = codes
        assert EXAMPLES[cause].code in example
        wanted = [each for each in (about.numpy, about.torch, about.jax, about.one_logit) if each]
        assert [each.rstrip("\n") for each in remedies] == wanted
        assert f"| [{cause}](causes/{cause}.md) | " in made["causes.inc"]
        for report in REPORTS.get(cause, ()):
            assert f"- [{report.name}]({report.url}): {report.says}" in page


@pytest.mark.parametrize("cause", KNOWN)
def test_the_example_of_a_page_runs_as_it_stands(cause):
    made = dict(pages())
    example = next(blocks("\n".join(made[f"{cause}.md"]))).text
    *lines, result = example.splitlines()
    expression, said = result.split("  # ")
    names = run("\n".join(lines))
    with np.errstate(all="ignore"):
        got = eval(expression, names)
    assert said.startswith(f"{float(got):.8g}, exact ")


def test_the_list_is_the_table():
    document = json.loads(invoke("list", "causes", "--format", "json").stdout)
    assert {each["name"]: each["summary"] for each in document["causes"]} == {
        cause: about.says for cause, about in ABOUT_CAUSES.items()
    }
    for each in document["causes"]:
        about = ABOUT_CAUSES[each["name"]]
        assert (each["remedy"], each["numpy"], each["torch"], each["jax"]) == (
            about.remedy,
            about.numpy,
            about.torch,
            about.jax,
        )
    one = invoke("list", "causes", "absorbed-tail").stdout
    assert "np.log1p(others.sum(axis=1))" in one
    assert "exp-overflow" not in one
    wrong = invoke("list", "causes", "absorbed-tial")
    assert wrong.exit_code == 2
    assert "unknown cause 'absorbed-tial'; did you mean 'absorbed-tail'?" in wrong.stderr


@pytest.mark.parametrize("cause", KNOWN)
def test_example_is_wrong_as_the_page_says(cause):
    got, want = float(computed(EXAMPLES[cause])), exact(EXAMPLES[cause])
    assert not np.isfinite(got) or abs(got - want) > 1e-3 * abs(want)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cause", KNOWN)
def test_faulty_code_fails_on_the_rows_of_the_cause(cause, dtype):
    proof = PROOFS[cause]
    inputs = proof.inputs(dtype)
    with np.errstate(all="ignore"):
        faulty = proof.faulty(**inputs)
    assert ulps(faulty, proof.exact(**inputs), dtype) > FEW_ULPS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cause", KNOWN)
def test_numpy_remedy_is_right_to_a_few_ulps_on_these_rows(cause, dtype):
    proof = PROOFS[cause]
    inputs = proof.inputs(dtype)
    result = run(ABOUT_CAUSES[cause].numpy, **inputs)[proof.result]
    assert result.dtype == dtype
    assert ulps(result, proof.exact(**inputs), dtype) <= FEW_ULPS


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cause", [each for each in KNOWN if ABOUT_CAUSES[each].one_logit])
def test_remedy_for_one_logit_is_right_to_a_few_ulps(cause, dtype):
    x, z = np.array(ONE_LOGIT, dtype).T
    names = run(ABOUT_CAUSES[cause].one_logit, x=x, z=z)
    result = "g" if "g" in names else "loss"
    want = [one_logit(result, *row) for row in ONE_LOGIT]
    assert ulps(names[result], want, dtype) <= FEW_ULPS


def test_ulps_are_those_of_a_number_next_to_a_power_of_two():
    one = mpmath.mpf(1)
    assert ulps(np.float32(1 + 2**-23), one, "float32") == 1
    assert ulps(np.float32(1 - 2**-24), one, "float32") == 0.5
    assert ulps(np.nan, one, "float32") == np.inf
    assert ulps(np.inf, mpmath.inf, "float32") == 0
    assert ulps(-np.inf, mpmath.inf, "float32") == np.inf
