"""The keys of a configuration, with their values and meaning."""

from collections.abc import Mapping
from dataclasses import dataclass

from xentcheck.bounds import BOUNDS
from xentcheck.implementations.bridge import LABEL_DTYPES
from xentcheck.implementations.shapes import SHAPES
from xentcheck.implementations.user import FRAMEWORKS
from xentcheck.model import LabelKind
from xentcheck.sweeps.labels import TARGETS

LABEL_KINDS = tuple(kind.value for kind in LabelKind if kind is not LabelKind.NONE)


@dataclass(frozen=True, slots=True)
class Field:
    """A key that a configuration may have: the values that it takes and its meaning."""

    name: str
    takes: str
    doc: str
    default: str = ""
    required: bool = False


LIMIT_NUMBERS = (
    "max_ulp",
    "p99_ulp",
    "max_excess_bits",
    "or_abs",
    "or_rel",
    "or_excess_bits",
    "max_norm",
)
"""The bounds of a limit, in the order of its keys."""


def _bound(name: str) -> Field:
    (bound,) = (each for each in BOUNDS if each.name == name)
    return Field(name, bound.takes, bound.key, bound.default)


FIELDS: Mapping[str, tuple[Field, ...]] = {
    "configuration": (
        Field("version", "`1`", "The version of this schema.", "`1`"),
        Field("seed", "whole number ≥ 0", "Everything random is drawn from it.", "`0`"),
        Field("implementations", "list of implementations", "Your own code.", "none"),
        Field("sweeps", "mapping of names to sweeps", "What is audited on what.", required=True),
        Field("limits", "list of limits", "Makes the run a gate.", "none: a survey"),
        Field(
            "baseline",
            "path",
            "A file that says which violations are tolerated today; relative to the configuration.",
            "none",
        ),
        Field(
            "allow_skips",
            "`true`, `false`",
            "Whether a gate passes though something that is named here was not audited.",
            "`false`",
        ),
    ),
    "implementation": (
        Field("loss", "loss", "What the code computes.", required=True),
        Field(
            "target",
            "`module:attribute` or `file.py:attribute`",
            "`fn(logits, labels, **parameters)`; a file is relative to the configuration.",
        ),
        Field(
            "command",
            "list of words",
            "Instead of `target`: a program. `{logits}`, `{labels}`, `{out}` and the names of "
            "parameters stand for paths of `.npy` files and for numbers; a program that is named "
            "by a path is relative to the configuration.",
        ),
        Field(
            "framework",
            ", ".join(f"`{each}`" for each in FRAMEWORKS),
            "What arrays `target` is given. All but NumPy also differentiate it.",
            "`numpy`",
        ),
        Field(
            "gradient",
            "like `target`, an attribute of the same module, `auto`, `none`, or with `command` its "
            "words",
            "Same arguments; returns the shape of `logits`. An argument `cotangent`, `grad_output` "
            "or `upstream` is given the upstream gradient: one number per row. "
            "`auto`: by the framework; with NumPy "
            "arrays a function beside `target` that is named after it.",
            "none; with a framework `auto`",
        ),
        Field(
            "name",
            "text",
            "What reports call it.",
            "`file.attribute` from `target`, the program of `command`",
        ),
        Field(
            "parameters",
            "mapping",
            "Keyword arguments of every call, or of a class's constructor. One that is a parameter "
            "of the loss is built in.",
            "none",
        ),
        Field(
            "built_in",
            "mapping of parameters to values",
            "Parameters of the loss that the code computes with and does not take. It is audited "
            "where a sweep has these values.",
            "none",
        ),
        Field(
            "shape",
            ", ".join(f"`{each}`" for each in SHAPES),
            "What the code wants: `rows`, (rows, classes); `sequence`, (batch, sequence, classes); "
            "`class-second`, (batch, classes, sequence).",
            "`rows`",
        ),
        Field(
            "label_dtype",
            ", ".join(f"`{each}`" for each in LABEL_DTYPES),
            "Of integer labels.",
            "`int64`",
        ),
    ),
    "sweep": (
        Field("losses", "losses or patterns, or `all`", "What is audited.", required=True),
        Field(
            "dtypes",
            "dtypes, or `all`",
            "`all` is float16, bfloat16, float32 and float64.",
            required=True,
        ),
        Field("inputs", "list of inputs", "Where the rows come from.", required=True),
        Field("quantities", "`value`, `gradient`", "What is scored.", "both"),
        Field("implementations", "patterns", "Who computes it.", '`["*"]`'),
        Field("labels", "mapping", "What the labels are.", "each loss's own first kind"),
        Field(
            "parameters",
            "mapping of parameters to a value or a list of values",
            "Axes: every combination is audited.",
            "each loss's defaults",
        ),
    ),
    "labels": (
        Field(
            "kind",
            ", ".join(f"`{kind}`" for kind in LABEL_KINDS),
            "A loss that takes no such labels is left out.",
            "each loss's own first kind",
        ),
        Field(
            "targets",
            ", ".join(f"`{choice}`" for choice in TARGETS),
            "Which labels a row gets.",
            "`all`",
        ),
    ),
    "input": (
        Field("generator", "generator", "Where rows come from.", required=True),
        Field("…", "", "The options of that generator, below."),
    ),
    "limit": (
        Field("loss", "pattern", "The losses it is for.", "`*`"),
        Field("implementation", "pattern", "The implementations it is for.", "`*`"),
        Field("dtype", "pattern", "The dtypes it is for.", "`*`"),
        Field("quantity", "pattern", "The quantities it is for.", "`*`"),
        Field("sweep", "pattern", "The sweeps it is for.", "`*`"),
        *(_bound(name) for name in LIMIT_NUMBERS),
        Field(
            "min_grade",
            "`broken` to `rounded`",
            "The worst [grade](grades.md) that passes. Without a bound of the ulps beside it, only "
            "the grade decides how far results may be off.",
            "none",
        ),
        Field(
            "times_condition",
            "`true`, `false`",
            "Whether `max_ulp` and `p99_ulp` grow with the problem's condition number.",
            "`false`",
        ),
        Field(
            "batch_invariant",
            "`true`, `false`",
            "Whether no row may change with its batch, not by one ulp: `batch-variant` is "
            "forbidden. Batches of many sizes are called then.",
            "`false`",
        ),
        Field(
            "against",
            "implementations",
            "Peers by name: no row may be worse than theirs, by kind or by more than 4 ulp and "
            "twice their error. They are audited as well. Nothing else is asked for then, unless "
            "`max_ulp`, `p99_ulp` or `max_excess_bits` is given.",
            "none",
        ),
        Field("allow", "list of kinds", "Kinds of finding that are no violation.", "none"),
        Field(
            "forbid",
            "list of kinds",
            "Kinds to treat as violations. Every kind is one already except the notes "
            "`batch-variant`, `convention`, `fp-signal` and `ftz`.",
            "none",
        ),
    ),
}
