"""The page of causes, made from the table of causes and the examples.

``python -m tests.diagnosis.page`` prints the page as it stands in ``docs/causes.md``.
"""

from collections.abc import Iterator
from typing import Any

import mpmath
import numpy as np

from tests.diagnosis.examples import EXAMPLES, Example
from xentcheck.model import ABOUT_CAUSES, Cause

_MP = mpmath.mp.clone()
_MP.dps = 60
_WORDS = {name: getattr(_MP, name) for name in ("exp", "log", "log1p", "mpf", "inf")}
_WIDTH = 100


def computed(example: Example) -> Any:
    """What the code of an example gives."""
    names: dict[str, Any] = {"np": np}
    with np.errstate(all="ignore"):
        exec(example.code, names)
        return eval(example.result, names)


def exact(example: Example) -> Any:
    """The exact result of an example, as mpmath's number."""
    return eval(example.exact, _WORDS)


def lines() -> Iterator[str]:
    """The page, line by line."""
    yield "# Causes"
    yield ""
    yield from _folded(
        "What `xentcheck` names as the cause of a fault, and what to write instead. A cause is"
        " claimed from behaviour, never from a name in the code."
        " [diagnosis-matrix.md](diagnosis-matrix.md) shows how often that is right."
    )
    yield ""
    yield from _folded(
        "Each example is run by the tests, and its exact result computed by mpmath. Each remedy is"
        " whole: it runs as it stands once the names above it have values. The tests run the ones"
        " for NumPy, PyTorch and JAX on rows on which the cause fails, in float32 and float64, and"
        " hold them to a few ulps. `xentcheck list causes` prints the table."
    )
    yield ""
    yield "| cause | what goes wrong | instead |"
    yield "|---|---|---|"
    for cause, about in ABOUT_CAUSES.items():
        remedy = about.remedy.replace("|", "\\|")
        yield f"| [{cause}](#{cause}) | {about.says} | {remedy} |"
    for cause in ABOUT_CAUSES:
        yield ""
        yield f"## {cause}"
        yield ""
        yield from _section(cause)
    yield ""
    yield "This page is printed by `python -m tests.diagnosis.page`."


def _section(cause: Cause) -> Iterator[str]:
    about = ABOUT_CAUSES[cause]
    if cause is Cause.UNKNOWN:
        yield from _folded(
            "No model agrees with the results on these rows, and no experiment decides. The"
            " diagnosis says what it has ruled out. Faults that are no question of the arithmetic"
            " end here too: another meaning of a parameter, a mask, an exception."
        )
        return
    example = EXAMPLES[cause]
    yield from _folded(example.story)
    yield ""
    yield "```python"
    yield from example.code.splitlines()
    yield f"{example.result}  # {_shown(computed(example))}, exact {_shown(exact(example))}"
    yield "```"
    yield ""
    yield from _folded(f"Instead: {about.remedy}.")
    yield from _folded(f"Given {about.given}.")
    for name, code in (("NumPy", about.numpy), ("PyTorch", about.torch), ("JAX", about.jax)):
        yield ""
        yield f"{name}:"
        yield ""
        yield "```python"
        yield from code.splitlines()
        yield "```"
    if about.one_logit:
        yield ""
        yield "For losses of one logit, given x: logits (rows,); z: labels (rows,):"
        yield ""
        yield "```python"
        yield from about.one_logit.splitlines()
        yield "```"


def _shown(number: Any) -> str:
    return f"{float(number):.8g}"


def _folded(text: str) -> Iterator[str]:
    line = ""
    for word in text.split():
        if line and len(line) + 1 + len(word) > _WIDTH:
            yield line
            line = word
        else:
            line = f"{line} {word}".lstrip()
    yield line


if __name__ == "__main__":
    print("\n".join(lines()))  # noqa: T201
