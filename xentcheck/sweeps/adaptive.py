"""Inputs that depend on the implementation. `xentcheck.searching` finds them."""

from collections.abc import Iterator

from xentcheck.model import Option
from xentcheck.sweeps.generator import EVERY_LAYOUT, Batch, Generator, Request

MOST_ROUNDS = 4096  # largest number of blocks that a climb may try
MOST_KEPT = 64  # largest number of starts of a climb, and of rows that it keeps


def _nothing(_request: Request) -> Iterator[Batch]:
    return iter(())


ADAPTING = (
    Generator(
        "climb",
        "a short climb in ulps from the worst rows of the other inputs, for each "
        "implementation and quantity; rows of up to 64 numbers",
        (
            Option(
                "rounds",
                "integer",
                "blocks of rows that are tried at most",
                16,
                minimum=1,
                maximum=MOST_ROUNDS,
            ),
            Option(
                "starts",
                "integer",
                "how many class counts it starts from: those with the largest errors",
                1,
                minimum=1,
                maximum=MOST_KEPT,
            ),
            Option(
                "rows",
                "integer",
                "how many of the worst rows found are kept",
                2,
                minimum=1,
                maximum=MOST_KEPT,
            ),
        ),
        EVERY_LAYOUT,
        _nothing,
        adaptive=True,
    ),
    Generator(
        "threshold",
        "the numbers on both sides of jumps of an implementation's error, where it changes its "
        "form: single numbers, or the first of two classes",
        (
            Option("from", "real", "where the axis begins, as a logit", -128.0),
            Option("to", "real", "where it ends", 128.0),
        ),
        EVERY_LAYOUT,
        _nothing,
        adaptive=True,
    ),
)
