"""The bounds of a tolerance as data: the options of `check`, the keys of a limit and the schema.

Nothing heavy is imported here: the help of the command line is made of this table.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bound:
    """A number of 0 or more that says how far a result may be off.

    Attributes:
        name: what configurations and the Python interface call it.
        option: what the help of `check` says of it.
        key: what the table of the keys of a limit says of it.
        takes: what the key takes.
        default: what holds where the key is not given.
        alone: it bounds the ulps by itself: the default of 4 ulp does not hold beside it.
    """

    name: str
    option: str
    key: str
    takes: str = "number ≥ 0"
    default: str = "none"
    alone: bool = False

    @property
    def flag(self) -> str:
        """The name of the option."""
        return f"--{self.name.replace('_', '-')}"


BOUNDS = (
    Bound(
        "max_ulp",
        "The largest error allowed, in ulps. Without this and the other bounds of the ulps: 4 "
        "ulp, or 2 excess bits.",
        "The largest error allowed, in ulps.",
        "number ≥ 0, or `inf`",
        "`4`; with `p99_ulp` or `max_excess_bits` none",
        alone=True,
    ),
    Bound(
        "p99_ulp",
        "The largest 99th percentile allowed.",
        "The 99th percentile allowed: of a hundred rows with a finite error one may be farther "
        "off.",
        alone=True,
    ),
    Bound(
        "or_abs",
        "An absolute error that is fine as well.",
        "An absolute error that also passes.",
        default="`0`",
    ),
    Bound(
        "or_rel",
        "A relative error that is fine as well.",
        "Relative error that also passes.",
        default="`0`",
    ),
    Bound(
        "max_excess_bits",
        "The most bits that may be lost beyond what the condition number explains.",
        "The most bits that may be lost beyond what the condition number explains.",
        alone=True,
    ),
    Bound(
        "max_norm",
        "The largest error allowed relative to the scale of its row: the gradient's largest "
        "component; max(1, the loss, the logits' gaps).",
        "The largest error allowed relative to the scale of its row, see "
        "[grades](grades.md#the-scale-of-a-row).",
        alone=True,
    ),
    Bound(
        "or_excess_bits",
        "An error also passes if it costs at most this many bits beyond what the condition number "
        "explains.",
        "An error is allowed as well if it costs at most this many bits beyond what the "
        "condition number explains. `check` has 2.",
    ),
)
"""Every bound, in the order of the options of `check`."""

GRADES = ("broken", "lossy", "absolute", "accurate", "faithful", "rounded")
"""The grades, worst first; those of `xentcheck.model.grades`."""

NAMES = tuple(each.name for each in BOUNDS)
