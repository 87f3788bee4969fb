"""`xentcheck search`: what it takes, what it prints, and what it writes down."""

import json
import shlex
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.running import Result, invoke
from xentcheck import config
from xentcheck.auditing import worst_case
from xentcheck.auditing.run import audit
from xentcheck.cli.stdout import _encodable
from xentcheck.floats import FORMATS
from xentcheck.model import Improvement
from xentcheck.report import document
from xentcheck.report.document.schema import report_schema
from xentcheck.report.words.curve import BLOCKS, curve
from xentcheck.sweeps.landmarks import exp_thresholds

# two ulps above the number where float32's exp overflows
BOUNDARY = float(exp_thresholds(FORMATS["float32"])["exp_overflow"])
PLANTED = f"""\
import numpy as np

SPIKE = np.float32({BOUNDARY!r})
for _ in range(2):
    SPIKE = np.nextafter(SPIKE, np.float32(200))

def softplus(x):
    wide = x.astype(np.float64)
    right = (np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))).astype(x.dtype)
    return np.where(x == SPIKE, right * np.float32(1 + 2**-11), right)

def sound(x):
    wide = x.astype(np.float64)
    return (np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))).astype(x.dtype)

def bce(x, labels):
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-x))
        return -labels * np.log(p) - (1 - labels) * np.log(1 - p)

def soft(x, labels):
    with np.errstate(all="ignore"):
        p = np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)
        return -(labels * np.log(p)).sum(axis=1)

def mean(x, labels):
    top = x.max(axis=1)
    lse = top + np.log(np.exp(x - top[:, None]).sum(axis=1))
    return (lse - x[np.arange(len(x)), labels]).mean(dtype=x.dtype)

def other(x):
    return x * x
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "mine.py").write_text(PLANTED)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    return tmp_path


def search(*arguments: str, **environment: str) -> Result:
    return invoke("search", *arguments, "--workers", "1", **environment)


SPIKED = ("mine.py:softplus", "--loss", "softplus", "--dtype", "float32")


class TestPlanted:
    def test_the_spike_is_found_shown_written_and_replayed(self, place: Path) -> None:
        told = search(*SPIKED, "--write-config", "worst.yaml")
        assert told.exit_code == 0, told.output
        lines = told.stdout.splitlines()
        assert lines[0] == "1 of 1 search found rows beyond the limits"
        assert "inaccurate" in told.stdout
        assert any(set(line) & set(BLOCKS) for line in lines)
        assert "standard sweep" in told.stdout
        assert "xentcheck run worst.yaml" in told.stderr

        again = json.loads(invoke("run", "worst.yaml", "--format", "json").stdout)
        (finding,) = [each for each in again["findings"] if each["kind"] == "inaccurate"]
        error = 2**-11 * BOUNDARY / 2**-17  # 2^-11 of a number whose ulp is 2^-17
        assert finding["witness"]["ulp_error"] == pytest.approx(error, rel=1e-3)
        assert [each["rule"] for each in again["violations"]] == ["inaccurate"]
        assert again["outcome"] == "failed"

    def test_the_document_has_the_search_and_follows_the_schema(self, place: Path) -> None:
        told = search(*SPIKED, "--format", "json")
        written = json.loads(told.stdout)
        jsonschema.validate(written, report_schema())
        (searched,) = written["searches"]
        assert searched["evaluations"] == worst_case.BUDGET
        assert searched["winner"] in searched["shares"]
        assert searched["before"] < 1 < searched["worst"]
        assert sum(searched["shares"].values()) == worst_case.BUDGET
        assert written["config"]["command"] == "search"
        (measured,) = [each for each in written["measurements"] if each["sweep"] == "search"]
        assert measured["max_ulp"] == searched["worst"]
        back = document.from_json(told.stdout, "it")
        assert document.to_json(back) == told.stdout

    def test_the_replay_line_shows_the_finding(self, place: Path) -> None:
        told = search(*SPIKED)
        lines = told.stdout.splitlines()
        (start,) = [k for k, line in enumerate(lines) if "xentcheck probe" in line]
        end = next(k for k in range(start, len(lines)) if not lines[k].endswith("\\"))
        text = " ".join(line.strip().rstrip("\\") for line in lines[start : end + 1])
        command = shlex.split(text[text.index("xentcheck probe") :])
        probed = invoke(*command[1:], "--format", "json")
        assert probed.exit_code == 0, command
        (measured,) = [
            each
            for each in json.loads(probed.stdout)["measurements"]
            if each["quantity"] == "value"
        ]
        assert measured["max_ulp"] > 1000

    @pytest.mark.slow
    def test_random_sampling_does_not_find_it(
        self, place: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The control alone, with ten times as many rows."""
        from xentcheck.searching import competition, strategies

        monkeypatch.setattr(competition, "STRATEGIES", {"random": strategies.Uniform})
        monkeypatch.setattr(competition, "EVERY", 1)
        told = search(*SPIKED, "--budget", str(10 * worst_case.BUDGET))
        assert told.stdout.startswith("within the limits: 1 search found no row beyond them")


def test_a_larger_budget_goes_on_where_a_smaller_one_stopped(place: Path) -> None:
    def told(budget: int) -> Any:
        answer = search(*SPIKED, "--budget", str(budget), "--format", "json")
        (searched,) = json.loads(answer.stdout)["searches"]
        return searched

    small, large = told(2_000), told(4_000)
    assert small["evaluations"] == 2_000
    assert small["curve"] == [each for each in large["curve"] if each["evaluations"] <= 2_000]


def test_a_sound_implementation_stays_within_and_that_is_said(place: Path) -> None:
    told = search("mine.py:sound", "--loss", "softplus", "--dtype", "float32", "--budget", "3000")
    assert told.exit_code == 0
    assert told.stdout.startswith("within the limits: 1 search found no row beyond them")
    assert "that is no proof" in told.stdout
    assert "0.50 ulp" in told.stdout


def test_a_registered_implementation_goes_beyond_its_standard_sweep() -> None:
    words = ("--loss", "logsumexp", "--dtype", "float32", "--quantity", "gradient")
    told = search("numpy.log1p", *words, "--budget", "6000", "--format", "json")
    (searched,) = json.loads(told.stdout)["searches"]
    assert searched["worst"] > searched["before"] > 0
    assert searched["winner"] != "sweep"
    assert searched["quantity"] == "gradient"


def test_a_kind_is_looked_for_and_ends_the_search(place: Path) -> None:
    words = ("--loss", "sigmoid_binary_cross_entropy", "--dtype", "float32")
    told = search("mine.py:bce", *words, "--maximise", "nan", "--format", "json")
    written = json.loads(told.stdout)
    (searched,) = written["searches"]
    assert searched["reached"] is True
    assert searched["evaluations"] < worst_case.BUDGET
    (finding,) = [each for each in written["findings"] if each["kind"] == "nan"]
    assert finding["original"] is not None
    never = search("mine.py:sound", "--loss", "softplus", "--maximise", "nan", "--budget", "500")
    assert "looked for" in never.stdout
    assert "not found" in never.stdout


@pytest.mark.parametrize("aim", ["excess", "norm"])
def test_other_aims(aim: str) -> None:
    words = ("--loss", "softmax_cross_entropy", "--dtype", "float32", "--budget", "1500")
    told = search("numpy.lse_minus_logit", *words, "--maximise", aim, "--format", "json")
    for searched in json.loads(told.stdout)["searches"]:
        assert searched["aim"] == aim
        if aim == "excess":
            assert 10 < searched["worst"] <= 24  # of float32's bits
        else:  # an error of a few roundings of the row's scale, or one component lost whole
            assert 2**-25 < searched["worst"] <= 2.0
        assert searched["witness"] is not None


class TestWritten:
    """The configuration replays what was found, whatever the labels are."""

    @pytest.mark.parametrize(
        ("target", "words"),
        [
            ("mine.py:bce", ("--loss", "sigmoid_binary_cross_entropy")),
            ("mine.py:soft", ("--loss", "softmax_cross_entropy", "--label-kind", "distribution")),
            ("numpy.epsilon", ("--loss", "entropy")),
            ("numpy.lse_minus_logit", ("--loss", "softmax_cross_entropy")),
        ],
    )
    def test_the_same_findings_come_back(
        self, place: Path, target: str, words: tuple[str, ...]
    ) -> None:
        folder = place / "found"
        folder.mkdir()
        path = folder / "worst.yaml"
        told = search(
            *(target, *words, "--dtype", "float32", "--quantity", "value", "--budget", "2000"),
            *("--write-config", str(path), "--format", "json"),
        )
        assert told.exit_code == 0, told.output
        written = json.loads(told.stdout)
        faults = {
            each["kind"]: each for each in written["findings"] if each["kind"] not in ("fp-signal",)
        }
        assert faults
        back = audit(config.load(str(path)))
        for kind, each in faults.items():
            again = [finding for finding in back.findings if str(finding.kind) == kind]
            assert again, kind
            errors = [finding.witness.ulp_error for finding in again if finding.witness]
            if isinstance(each["witness"]["ulp_error"], float):
                assert max(errors) >= each["witness"]["ulp_error"]

    def test_a_mean_is_searched_row_by_row(self, place: Path) -> None:
        words = ("--loss", "softmax_cross_entropy", "--dtype", "float32", "--budget", "1500")
        told = search("mine.py:mean", *words, "--write-config", "w.yaml", "--format", "json")
        assert told.exit_code == 0, told.output
        written = json.loads(told.stdout)
        (searched,) = written["searches"]
        assert searched["worst"] > 1e6
        (small,) = [e for e in written["findings"] if e["kind"] == "spurious-underflow"]
        assert small["witness"]["logits"] == [[(20.0).hex(), (0.0).hex()]]
        assert small["witness"]["parameters"] == {"reduction": "mean"}
        back = audit(config.load("w.yaml"))
        (again,) = {str(e.kind) for e in back.findings} & {"spurious-underflow"}
        assert again

    def test_nothing_is_written_where_nothing_was_searched(self, place: Path) -> None:
        words = ("--loss", "softmax_cross_entropy", "--param", "reduction=mean")
        target = ("numpy.accurate", *words, "--param", "weight=1,2", "--budget", "300")
        told = search(*target, "--write-config", "w.yaml")
        assert told.exit_code == 3, told.output
        assert "the mean of one row has no weight" in told.output
        assert not (place / "w.yaml").exists()


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("numpy.naiv", "--loss", "softplus"), "did you mean 'numpy.naive'"),
            ((*SPIKED, "--maximise", "plateau"), "no kind that a single finite row shows"),
            ((*SPIKED, "--maximise", "ulps"), "did you mean 'ulp'"),
            ((*SPIKED, "--budget", "0"), "--budget"),
            ((*SPIKED, "--max-ulp", "-1"), "--max-ulp -1: has to be 0 or more"),
            ((*SPIKED, "--seconds", "0"), "--seconds"),
            ((*SPIKED, "--write-config", "no/such.yaml"), "--write-config no/such.yaml"),
            (("numpy.naive", "--loss", "softplus", "--framework", "torch"), "--framework goes"),
            (("mine.py:none", "--loss", "softplus"), "none"),
        ],
    )
    def test_impossible_arguments_are_one_line_with_status_2(
        self, place: Path, arguments: tuple[str, ...], said: str
    ) -> None:
        told = search(*arguments)
        assert told.exit_code == 2, told.output
        assert said in told.stderr
        assert told.stdout == ""

    def test_another_function_is_not_searched(self, place: Path) -> None:
        told = search("mine.py:other", "--loss", "softplus", "--dtype", "float32")
        assert told.exit_code == 0
        assert "other-function" in told.stdout


def test_seconds_are_the_clocks_and_that_is_said(place: Path) -> None:
    told = search(*SPIKED, "--seconds", "0.2")
    assert told.exit_code == 0
    assert "another machine may find other rows" in told.stdout


def test_an_interrupt_keeps_what_is_known(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = worst_case.Competition.run

    def interrupted(self: Any, budget: Any, enough: Any, tell: Any) -> Any:
        def telling(course: Any) -> None:
            if course.evaluations > 3_000:
                raise KeyboardInterrupt
            tell(course)

        return real(self, budget, enough, telling)

    monkeypatch.setattr(worst_case.Competition, "run", interrupted)
    told = search("mine.py:softplus", "--loss", "softplus", "--format", "json")
    assert told.exit_code == 130
    written = json.loads(told.stdout)
    assert written["interrupted"]
    (searched,) = written["searches"]  # the second dtype was not begun
    assert 3_000 < searched["evaluations"] < worst_case.BUDGET


class TestCurve:
    POINTS = (
        Improvement(10, 1.0, "sweep"),
        Improvement(50, 16.0, "line"),
        Improvement(100, 256.0, "pattern"),
    )

    def test_it_rises_on_a_log_scale(self) -> None:
        drawn = curve(self.POINTS, 100, columns=10)
        # 1, 16, 256: the lowest block, the middle one, the highest
        assert drawn == "▁▁▁▁▅▅▅▅▅█"

    def test_a_blank_before_anything_is_known(self) -> None:
        assert curve((Improvement(60, 3.0, "line"),), 100, columns=10) == " " * 5 + "█" * 5
        assert curve((), 100) == ""

    def test_a_flat_curve_is_high(self) -> None:
        flat = (Improvement(1, 4.0, "sweep"), Improvement(50, 4.01, "line"))
        assert set(curve(flat, 100)) <= {"▇", "█"}

    def test_a_terminal_without_these_characters_has_others(self) -> None:
        drawn = _encodable(curve(self.POINTS, 100, columns=10), "ascii")
        assert drawn.isascii()
        assert len(drawn) == 10
        assert len(set(drawn)) == 3
