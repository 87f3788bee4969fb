"""A page for each cause, made from the table of causes, the examples and the reports."""

from collections.abc import Iterable, Iterator
from typing import Any

import mpmath
import numpy as np

from docs.pages.courses import COURSES
from docs.pages.examples import EXAMPLES, Example
from docs.pages.markdown import code, contents, folded, plain, table
from docs.pages.reports import REPORTS
from docs.pages.sketches import SKETCHES
from xentcheck.model import ABOUT_CAUSES, AboutCause, Cause

_MP = mpmath.mp.clone()
_MP.dps = 60
_WORDS = {name: getattr(_MP, name) for name in ("exp", "log", "log1p", "mpf", "inf")}


_ALL_DIGITS = {"float16": "2,048", "float32": "1.7e7"}


def computed(example: Example) -> Any:
    """What the code of an example gives."""
    names: dict[str, Any] = {"np": np}
    with np.errstate(all="ignore"):
        exec(example.code, names)
        return eval(example.result, names)


def exact(example: Example) -> Any:
    """The exact result of an example, as mpmath's number."""
    return eval(example.exact, _WORDS)


def pages() -> Iterator[tuple[str, Iterable[str]]]:
    """A page for each cause, and the table of all that ``causes.md`` includes."""
    for cause, about in ABOUT_CAUSES.items():
        yield f"{cause}.md", page(cause, about)
    yield "causes.inc", _table()


def _table() -> Iterator[str]:
    yield from table(
        ("cause", "what goes wrong", "instead"),
        (
            (f"[{cause}](causes/{cause}.md)", plain(about.says), plain(about.remedy))
            for cause, about in ABOUT_CAUSES.items()
        ),
    )
    yield from contents(f"causes/{cause}" for cause in ABOUT_CAUSES)


def page(cause: Cause, about: AboutCause) -> Iterator[str]:
    """The page of one cause, line by line."""
    yield f"# {cause}"
    yield ""
    yield from folded(plain(about.says))
    yield ""
    if cause is Cause.UNKNOWN:
        yield from folded(
            "No model agrees with the results on these rows, and no experiment decides. The"
            " diagnosis says what it has ruled out. Faults that are no question of the arithmetic"
            " end here too: another meaning of a parameter, a mask, an exception."
        )
        return
    yield "## What happens"
    yield ""
    yield from folded(plain(EXAMPLES[cause].story))
    yield ""
    yield from _smallest_example(EXAMPLES[cause])
    yield from _figure(cause)
    yield from _remedies(about)
    if cause in REPORTS:
        yield "## Public reports"
        yield ""
        for each in REPORTS[cause]:
            yield f"- [{each.name}]({each.url}): {each.says}"
        yield ""
    yield "## In the tool"
    yield ""
    yield from code(f"xentcheck explain {cause}", "sh")


def _smallest_example(example: Example) -> Iterator[str]:
    yield "## The smallest example"
    yield ""
    shown = f"{example.result}  # {_shown(computed(example))}, exact {_shown(exact(example))}"
    yield from code(f"import numpy as np\n\n{example.code}\n{shown}", "python")


def _figure(cause: Cause) -> Iterator[str]:
    if cause in COURSES:
        course = COURSES[cause]
        dtype, faulty, sound = course.dtype, f"`{course.faulty}`", f"`{course.sound}`"
    else:
        sketch = SKETCHES[cause]
        dtype, faulty, sound = sketch.dtype, f"“{sketch.faulty}”", f"“{sketch.sound}”"
    error = f"The error of {faulty} and of {sound}".replace("`", "")
    yield f"![{error}](../figures/{cause}.svg)"
    yield ""
    yield from folded(
        f"In {dtype}: {faulty} has the fault, {sound} has not. A cross is a row whose result is"
        f" wrongly NaN or infinite. {_ALL_DIGITS[dtype]} ulp is all digits."
    )
    yield ""


def _remedies(about: AboutCause) -> Iterator[str]:
    yield "## What to write instead"
    yield ""
    yield from code(about.remedy, "text")
    yield from folded(plain(f"Given {about.given}."))
    yield ""
    for name, remedy in (("NumPy", about.numpy), ("PyTorch", about.torch), ("JAX", about.jax)):
        yield f"{name}:"
        yield ""
        yield from code(remedy, "python")
    if about.one_logit:
        yield "For losses of one logit, given x: logits (rows,); z: labels (rows,):"
        yield ""
        yield from code(about.one_logit, "python")


def _shown(number: Any) -> str:
    return f"{float(number):.8g}"
