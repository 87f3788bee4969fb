"""The figure of a probe: what each mark stands for, and what a name of a stranger does to it."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import vl_convert

from tests.report.samples import NASTY
from tests.report.test_report import cell, measurement, report
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.model import Kind, ProbeLine, ProbeNumber, ProbeResult, Quantity
from xentcheck.report import extras, notebook
from xentcheck.report.pictures import probe as pictures


def number(
    actual: float, ulp: float, kind: Kind | None = None, *, row: int = 0, index: int | None = None
) -> ProbeNumber:
    return ProbeNumber(row, index, actual, "0.5", 0.5, ulp, kind, "float32")


def line(name: str, *numbers: ProbeNumber, quantity: Quantity = Quantity.VALUE) -> ProbeLine:
    return ProbeLine(name, "float32", quantity, numbers)


GRADIENT = Quantity.GRADIENT
LINES = (
    line("sound", number(0.5, 0.25)),
    line("off", number(0.75, 2e6, Kind.INACCURATE)),
    line("nothing", number(math.nan, math.nan, Kind.NAN)),
    line("endless", number(math.inf, math.nan, Kind.SPURIOUS_OVERFLOW)),
    line("flushed", number(0.0, 3e5, Kind.FTZ)),
    line("vast", number(1.0, 1e300, Kind.WRONG_SIGN)),
    line("raising"),
    line(NASTY, number(0.5, 0.0)),
    line("sound", number(0.5, 0.5, index=0), number(0.5, 3.0, index=1), quantity=GRADIENT),
    line("raising", quantity=GRADIENT),
)


def result(*lines: ProbeLine, **fields: Any) -> ProbeResult:
    return ProbeResult(report(measurements=(measurement(cell()),)), lines or LINES, **fields)


def marks(chart: Any) -> dict[str, list[dict[str, Any]]]:
    """The data of the marks by quantity."""
    made = chart.to_dict()
    return {
        panel["title"]["text"]: made["datasets"][layer["data"]["name"]]
        for panel in made["hconcat"]
        for layer in panel["layer"]
        if "shape" in layer["encoding"]
    }


def channel(chart: Any, name: str) -> dict[str, str]:
    """What a channel shows for each outcome."""
    (found,) = {
        json.dumps(layer["encoding"][name]["scale"])
        for panel in chart.to_dict()["hconcat"]
        for layer in panel["layer"]
        if name in layer["encoding"]
    }
    scale = json.loads(found)
    return dict(zip(scale["domain"], scale["range"], strict=True))


def test_value_and_gradient_stand_side_by_side_in_the_same_order() -> None:
    chart = result().plot()
    found = marks(chart)
    assert list(found) == ["value", "gradient"]
    orders = {
        tuple(layer["encoding"]["y"]["scale"]["domain"])
        for panel in chart.to_dict()["hconcat"]
        for layer in panel["layer"]
        if "scale" in layer["encoding"].get("y", {})
    }
    (order,) = orders
    assert order[:2] == ("raising", "nothing")  # the worst first
    assert order.index("endless") < order.index("vast") < order.index("off") < order.index("sound")


def test_colour_and_shape_say_what_became_of_a_result() -> None:
    chart = result().plot()
    found = {row["implementation"]: row["outcome"] for row in marks(chart)["value"]}
    assert (
        found.items()
        >= {
            "sound": "within the tolerance",
            "off": "beyond the tolerance",
            "vast": "beyond the tolerance",
            "nothing": "NaN",
            "endless": "wrong infinity",
            "flushed": "accepted, with a note",
            "raising": "no result",
        }.items()
    )
    gradient = {row["implementation"]: row["outcome"] for row in marks(chart)["gradient"]}
    assert gradient["off"] == "not audited"
    assert gradient["raising"] == "no result"
    for name in ("color", "shape"):
        shown = channel(chart, name)
        assert set(shown) == {*found.values(), *gradient.values()}
        assert len(set(shown.values())) == len(shown)


def test_errors_are_logarithms_and_what_has_none_stands_beyond_them() -> None:
    (value, _) = marks(result().plot()).values()
    places = {row["implementation"]: row["x"] for row in value}
    assert places["off"] == pytest.approx(math.log10(2e6))
    assert places["vast"] == 18  # the end of the axis, with its number
    assert places["vast"] < places["nothing"] < places["endless"] < places["raising"]
    texts = {row["implementation"]: row["text"] for row in value}
    assert texts["vast"] == "1.0e300 wrong-sign"
    assert texts["off"] == "2.0e6"
    assert (texts["nothing"], texts["endless"]) == ("nan", "inf")


def test_the_limits_are_drawn() -> None:
    text = json.dumps(result().plot().to_dict())
    for ulps in (4.0, 0.5):
        assert json.dumps([{"x": math.log10(ulps)}]) in text
    assert "dashed: tolerance, 4; dotted: rounded, 0.5" in text


def test_a_row_has_the_error_of_its_worst_component() -> None:
    (_, gradient) = marks(result().plot()).values()
    (row,) = (each for each in gradient if each["implementation"] == "sound")
    assert (row["error"], row["component"]) == ("3.00", "1")


def test_of_many_rows_the_worst_are_drawn_and_one_has_a_text() -> None:
    many = [number(0.5, float(i), row=i) for i in range(1000)]
    (found,) = marks(result(line("slow", *many)).plot()).values()
    assert len(found) == pictures.MOST_ROWS
    assert [row["text"] for row in found if row["text"]] == ["999"]
    chart = result(line("slow", *many)).plot().to_dict()
    assert chart["title"]["subtitle"] == "1,000 rows"


def test_without_a_fault_there_is_no_band() -> None:
    chart = result(line("sound", number(0.5, 0.25))).plot()
    assert "no finite error" not in json.dumps(chart.to_dict())


def test_dtypes_stand_below_each_other_or_one_is_chosen() -> None:
    other = ProbeLine("sound", "float64", Quantity.VALUE, (number(0.5, 0.25),))
    both = result(*LINES, other)
    assert len(both.plot().to_dict()["vconcat"]) == 2
    assert both.plot(dtype="float64").to_dict()["title"]["text"].endswith(", float64")
    few = both.plot(dtype="float32", implementations=["off", "sound"])
    assert {row["implementation"] for row in marks(few)["value"]} == {"off", "sound"}


@pytest.mark.parametrize("words", [{"dtype": "float16"}, {"implementations": ["off", "nobody"]}])
def test_what_is_not_there_is_an_error(words: dict[str, Any]) -> None:
    with pytest.raises(UnknownNameError, match=r"float16|nobody"):
        result().plot(**words)


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "altair" else 1)
    with pytest.raises(UsageError, match=r"xentcheck\[html\]"):
        result().plot()


def texts(given: Any) -> Iterator[str]:
    if isinstance(given, dict):
        for each in given.values():
            yield from texts(each)
    elif isinstance(given, list):
        for each in given:
            yield from texts(each)
    elif isinstance(given, str):
        yield given


def test_a_nasty_name_stays_text() -> None:
    chart = result().plot().to_dict()
    assert not any("\u202e" in each for each in texts(chart))
    svg = vl_convert.vegalite_to_svg(chart)
    assert "<script" not in svg
    assert "<img" not in svg


def test_the_figures_of_a_probe_say_what_they_show() -> None:
    other = ProbeLine("sound", "float64", Quantity.VALUE, (number(0.5, 0.25),))
    made = list(pictures.probe_figures(result(other, *LINES)))
    names = [each.name for each in made]
    assert names == [f"softmax_cross_entropy-{dtype}-probe" for dtype in ("float32", "float64")]
    assert [each.faulty for each in made] == [True, False]
    assert made[0].says == (
        "softmax_cross_entropy, float32, [20, 0, 0] label 0: "
        "the errors in ulps of raising, nothing, endless and 5 more, value and gradient"
    )


def test_a_notebook_has_the_notes_of_a_probe() -> None:
    shown = notebook.of_probe(result(notes=("the labels <b> sum to 2",)))
    assert "note: the labels &lt;b&gt; sum to 2" in shown
    assert shown.index("note: ") < shown.index("sound")
