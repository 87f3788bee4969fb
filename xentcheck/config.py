"""Configurations: YAML text in, a checked `Config` out, or one `ConfigError` with every problem."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from xentcheck.errors import ConfigError, nearest
from xentcheck.floats import FORMATS, STANDARD
from xentcheck.gate.limits import IN_TOLERANCE
from xentcheck.implementations.bridging import LABEL_DTYPE, LABEL_DTYPES
from xentcheck.implementations.shapes import CLASS_SECOND, ROWS, SHAPES
from xentcheck.implementations.user import FRAMEWORKS
from xentcheck.losses import LOSSES, NAMES
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    AUTO,
    Config,
    InputSpec,
    Kind,
    LabelKind,
    Layout,
    Limit,
    Option,
    Parameter,
    Quantity,
    Sweep,
    Target,
    Tolerance,
)
from xentcheck.reading.yaml import (
    Place,
    Reader,
    compose,
    file_problem,
    is_null,
    listed,
    read_text,
    remedy_for,
    shown,
)
from xentcheck.sweeps import GENERATORS, Generator
from xentcheck.sweeps.labels import TARGETS
from xentcheck.sweeps.parameters import MATRIX_WORDS, VECTOR_WORDS

LABEL_KINDS = tuple(kind.value for kind in LabelKind if kind is not LabelKind.NONE)

_LIMIT_PATTERNS = ("loss", "implementation", "dtype", "quantity", "sweep")
_LIMIT_NUMBERS = ("max_ulp", "p99_ulp", "max_excess_bits", "or_abs", "or_rel", "or_excess_bits")
_WILDCARD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Field:
    """A key that a configuration may have: what it takes and what it means."""

    name: str
    takes: str
    doc: str
    default: str = ""
    required: bool = False


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
        Field(
            "max_ulp",
            "number ≥ 0, or `inf`",
            "The largest error allowed, in ulps.",
            "`4`; with `p99_ulp` or `max_excess_bits` none",
        ),
        Field(
            "p99_ulp",
            "number ≥ 0",
            "The 99th percentile allowed: of a hundred rows with a finite error one may be farther "
            "off.",
            "none",
        ),
        Field(
            "max_excess_bits",
            "number ≥ 0",
            "The most bits that may be lost beyond what the condition number explains.",
            "none",
        ),
        Field(
            "or_abs",
            "number ≥ 0",
            "An absolute error that also passes.",
            "`0`",
        ),
        Field("or_rel", "number ≥ 0", "Relative error that also passes.", "`0`"),
        Field(
            "or_excess_bits",
            "number ≥ 0",
            "An error is allowed as well if it costs at most this many bits beyond what the "
            "condition number explains. `check` has 2.",
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


TEMPLATE = """\
# What xentcheck audits: `xentcheck run` followed by the name of this file.
# Every key is described in docs/configuration.md; `xentcheck list losses` (or
# generators, implementations, dtypes) says what can be named here. `xentcheck schema config`
# prints a JSON Schema, with which an editor completes the keys.

version: 1
seed: 0          # everything random is drawn from it

# Your own code joins the built-in implementations. A file is relative to this one.
# The function is called as fn(logits, labels, **parameters).
#
# implementations:
#   - loss: softmax_cross_entropy
#     target: ./mine.py:loss
#     gradient: ./mine.py:gradient      # same arguments; returns the shape of logits
#     name: mine

sweeps:
  ordinary:
    losses: [softmax_cross_entropy, sigmoid_binary_cross_entropy]    # or patterns, or all
    dtypes: [float32, bfloat16]         # all: float16, bfloat16, float32, float64
    # quantities: [value, gradient]     # both, unless you say otherwise
    # implementations: ["numpy.*"]      # every one, unless you say otherwise
    # labels: {targets: random}         # all, unless you say otherwise
    # parameters:                       # axes: every combination is audited
    #   label_smoothing: [0, 0.1]
    inputs:
      - {generator: normal, rows: 16, classes: [2, 10], scale: [1, 10]}

  extreme:
    losses: [softmax_cross_entropy, sigmoid_binary_cross_entropy]
    dtypes: [float32, bfloat16]
    inputs:
      - {generator: gap, from: 0, to: 120, points: 25}       # through p -> 1, and beyond
      - {generator: explicit, values: [[1000, 2000, 3000], [1e4, -1e4, 0]]}
      - {generator: boundary, classes: 2, patterns: zeros}   # where exp overflows, and so on

# With limits this becomes a gate: a finding beyond them makes the exit code 1. The last limit
# that selects a cell governs it; cells that none selects are only surveyed.
#
# limits:
#   - {implementation: mine, max_ulp: 4}
#   - {implementation: mine, dtype: bfloat16, p99_ulp: 1, or_abs: 1e-6, allow: [plateau]}
#
# What is named above and cannot be audited (a gradient that is gone, a framework that is missing)
# fails a gate as well, unless that is allowed:
#
# allow_skips: true
#
# What is beyond the limits today and is tolerated, as `--write-baseline baseline.yaml` wrote it:
#
# baseline: baseline.yaml
"""


def load(path: str | Path) -> Config:
    """The configuration in a file. Raises ConfigError with every problem it has."""
    path = Path(path)
    return loads(read_text(path), str(path))


def loads(text: str, path: str = "") -> Config:
    """The configuration in a text; ``path`` is the file it is from.

    Raises ConfigError with every problem it has. Relative paths in it are relative to ``path``.
    """
    root = compose(text, path)
    if root is None or is_null(root):
        remedy = "`xentcheck init` writes a commented configuration to start from"
        raise ConfigError([file_problem(path, "the file is empty", remedy=remedy)])
    reader = _ConfigReader(path)
    place = Place(root, "", root.start_mark)
    reader.check_tree(place)
    config = None if reader.fatal else reader.config(place)
    if config is None or reader.problems:
        raise ConfigError(reader.ordered())
    return replace(config, document=reader.document(root))


@dataclass(slots=True)
class _ConfigReader(Reader):
    """Reads the sections, noting every problem."""

    def section(self, place: Place, what: str) -> dict[str, Place] | None:
        declared = FIELDS[what]
        article = "an" if what[0] in "aeiou" else "a"
        return self.fields(
            place,
            f"{article} {what}" if what != "labels" else what,
            [each.name for each in declared],
            [each.name for each in declared if each.required],
        )

    def config(self, place: Place) -> Config | None:
        entries = self.section(place, "configuration")
        if entries is None:
            return None
        if "version" in entries and (version := self.integer(entries["version"])) not in (1, None):
            self.fault(
                entries["version"],
                f"version {version} is unknown",
                "this xentcheck reads version 1",
            )
        seed = self.integer(entries["seed"], 0) if "seed" in entries else 0
        targets = self.targets(entries["implementations"]) if "implementations" in entries else ()
        sweeps, names, complete = [], list[str](), True
        for name, child in self._sweep_entries(entries).items():
            names.append(name)
            sweep, whole = self.sweep(name, child)
            sweeps.append(sweep)
            complete = complete and whole
        limits = (
            self.limits(entries["limits"], sweeps, names, complete) if "limits" in entries else ()
        )
        baseline = self.text(entries["baseline"], "a path") if "baseline" in entries else None
        if baseline is not None:
            baseline = str(Path(self.file).parent / baseline)
        allowed = self.flag(entries["allow_skips"]) if "allow_skips" in entries else False
        return Config(
            tuple(sweeps),
            limits,
            targets,
            seed or 0,
            self.file,
            baseline or "",
            allow_skips=bool(allowed),
        )

    def _sweep_entries(self, entries: Mapping[str, Place]) -> dict[str, Place]:
        if "sweeps" not in entries:
            return {}
        sweeps = self.mapping(entries["sweeps"], "named sweeps") or {}
        for name, child in sweeps.items():
            if not re.fullmatch(r"\w[\w-]*", name):
                at = self.at_key(entries["sweeps"], name, child)
                self.fault(
                    at,
                    f"{shown(name)} cannot name a sweep",
                    "use letters, digits, hyphens and underscores",
                )
        return sweeps

    def targets(self, place: Place) -> tuple[Target, ...]:
        found: dict[tuple[str, str], None] = {}
        targets = []
        for item in self.items(place) or ():
            entries = self.section(item, "implementation")
            if entries is None:
                continue
            loss = self.loss(entries["loss"]) if "loss" in entries else None
            target = self.callable_text(entries["target"]) if "target" in entries else None
            command = self.command(entries["command"]) if "command" in entries else None
            misspelt = {"target", "command"} & self.meant.get(item.path, set())
            if ("target" in entries) == ("command" in entries) and not misspelt:
                self.fault(item, "either 'target' or 'command' has to be given")
            framework: str | None = "numpy"
            if "framework" in entries:
                framework = self.one_of(entries["framework"], FRAMEWORKS, "framework")
                if "command" in entries:
                    self.fault(entries["framework"], "a command is given files, not arrays")
            gradient = None if framework == "numpy" else AUTO
            gradient_command: tuple[str, ...] = ()
            if "gradient" in entries:
                if "command" in entries:
                    gradient_command = self.command(entries["gradient"]) or ()
                    gradient = None
                else:
                    gradient = self.callable_text(entries["gradient"], bare=True)
                    gradient = None if gradient == "none" else gradient
            parameters: dict[str, Any] = {}
            if "parameters" in entries:
                given = self.mapping(entries["parameters"], "keyword arguments") or {}
                parameters = {key: self.literal(child.node) for key, child in given.items()}
                for keyword, child in given.items():
                    if not keyword.isidentifier():
                        self.fault(child, f"{shown(keyword)} cannot be a keyword argument")
            shape: str | None = ROWS
            if "shape" in entries:
                shape = self.one_of(entries["shape"], SHAPES, "shape")
                elementwise = loss is not None and LOSSES[loss].layout is Layout.ELEMENTWISE
                if shape == CLASS_SECOND and elementwise:
                    self.fault(entries["shape"], f"{loss} has no classes that could come second")
            label_dtype: str | None = LABEL_DTYPE
            if "label_dtype" in entries:
                place_ = entries["label_dtype"]
                label_dtype = self.one_of(place_, LABEL_DTYPES, "dtype of labels")
            built_in = self.built_in(entries["built_in"], loss) if "built_in" in entries else {}
            name: str | None = None
            if "name" in entries:
                name = self.text(entries["name"], "a name")
                if name is not None and not re.fullmatch(r"[\w.:/-]+", name):
                    self.fault(
                        entries["name"],
                        f"{shown(name)} cannot name an implementation",
                        "use letters, digits and . : / - _",
                    )
            elif target is not None:
                source, _, attribute = target.rpartition(":")
                name = f"{Path(source).stem if source.endswith('.py') else source}.{attribute}"
            elif command:
                name = Path(command[0]).name
            if loss is None or name is None or framework is None or not (target or command):
                continue
            if shape is None or label_dtype is None:
                continue
            if (loss, name) in found:
                self.fault(item, f"{name!r} already names an implementation of {loss}")
            found[loss, name] = None
            targets.append(
                Target(
                    loss,
                    target or "",
                    name,
                    gradient,
                    parameters,
                    framework,
                    command or (),
                    gradient_command,
                    built_in=built_in,
                    shape=shape,
                    label_dtype=label_dtype,
                )
            )
        return tuple(targets)

    def built_in(self, place: Place, loss: str | None) -> dict[str, Any]:
        """Values of parameters that code computes with and does not take."""
        found: dict[str, Any] = {}
        for name, child in (self.mapping(place, "parameters") or {}).items():
            spec = None if loss is None else LOSSES[loss].parameter(name)
            if spec is not None:
                found[name] = self.parameter(child, spec)
            elif loss is not None:
                known = [each.name for each in LOSSES[loss].parameters]
                self.fault(child, f"unknown parameter {shown(name)}", remedy_for(name, known))
        return {name: value for name, value in found.items() if value is not None}

    def command(self, place: Place) -> tuple[str, ...] | None:
        """The words of a program; one named by a path is found from here."""
        words = [self.text(item, "a word of a command") for item in self.items(place) or ()]
        if not words or None in words:
            return None
        program, *rest = (word or "" for word in words)
        if not any("{out}" in word for word in rest):
            self.fault(
                place,
                "no word of the command has {out}",
                "{logits}, {labels} and {out} stand for the files it is given and has to write",
            )
            return None
        if "/" in program:
            # absolute, and no link is resolved: what a link leads to need not be the same program
            path = self.file_path(place, program)
            return None if path is None else (str(Path(path).absolute()), *rest)
        return (program, *rest)

    def callable_text(self, place: Place, *, bare: bool = False) -> str | None:
        """``module:attribute``, or ``file.py:attribute`` with the file found from here.

        ``bare``: an attribute alone will do.
        """
        text = self.text(place, "module:attribute or file.py:attribute")
        if text is None:
            return None
        source, _, attribute = text.rpartition(":")
        if bare and ":" not in text and _is_dotted(text):
            return text
        if not _is_dotted(attribute) or not (source.endswith(".py") or _is_dotted(source)):
            self.fault(place, f"{shown(text)} is neither module:attribute nor file.py:attribute")
            return None
        if not source.endswith(".py"):
            return text
        path = self.file_path(place, source)
        return None if path is None else f"{path}:{attribute}"

    def file_path(self, place: Place, text: str) -> str | None:
        """An existing file, relative to the configuration."""
        path = Path(self.file).parent / text
        try:
            exists, is_file = path.exists(), path.is_file()
        except (OSError, ValueError):
            exists = is_file = False
        if is_file:
            return str(path)
        message = "is no file" if exists else "does not exist"
        beside = [each.name for each in path.parent.glob("*") if each.is_file()]
        best = nearest(path.name, beside)
        remedy = (
            f"looked in {path.parent}" if path.parent.is_dir() else f"there is no {path.parent}"
        )
        remedy += f"; did you mean {best!r}?" if best else ""
        self.fault(place, f"{shown(text)} {message}", remedy)
        return None

    def sweep(self, name: str, place: Place) -> tuple[Sweep, bool]:
        """What could be read of a sweep, and whether that was all of it."""
        before = len(self.problems)
        entries = self.section(place, "sweep") or {}
        losses, named = self.losses(entries["losses"]) if "losses" in entries else ((), {})
        dtypes, by_name = self.dtypes(entries["dtypes"]) if "dtypes" in entries else ((), ())
        words = {*named, *by_name}
        quantities: tuple[str, ...] | None = tuple(Quantity)
        if "quantities" in entries:
            quantities = self.several(entries["quantities"], tuple(Quantity), "quantity")
            words.update(quantities or ())
        implementations: tuple[str, ...] = ("*",)
        if "implementations" in entries:
            patterns = self.items(entries["implementations"]) or []
            texts = [self.text(item, "a pattern") for item in patterns]
            implementations = tuple(text for text in texts if text is not None)
        kind, targets = None, "all"
        if "labels" in entries:
            kind, targets = self.labels(entries["labels"], losses, named)
        parameters: dict[str, tuple[Any, ...]] = {}
        if "parameters" in entries:
            given = self.mapping(entries["parameters"], "parameters") or {}
            for parameter, child in given.items():
                at = self.at_key(entries["parameters"], parameter, child)
                axis = self.axis(parameter, child, at, losses, kind)
                if axis is not None:
                    parameters[parameter] = axis
        inputs = self.inputs(entries["inputs"], losses, named) if "inputs" in entries else ()
        sweep = Sweep(
            name,
            losses,
            dtypes,
            inputs,
            tuple(Quantity(each) for each in quantities or ()),
            implementations,
            kind,
            targets,
            parameters,
            named=frozenset(words),
        )
        return sweep, len(self.problems) == before

    def losses(self, place: Place) -> tuple[tuple[str, ...], dict[str, Place]]:
        """The losses that are meant, in their own order, and where each named one stands."""
        chosen: set[str] = set()
        named: dict[str, Place] = {}
        for item in self.items(place) or ():
            text = self.text(item, "a loss")
            if text is None:
                continue
            if text == "all" or _WILDCARD.search(text):
                matching = [loss for loss in LOSSES if text == "all" or fnmatchcase(loss, text)]
                chosen.update(matching)
                if not matching:
                    stem = _WILDCARD.sub("", text)
                    self.fault(item, f"{shown(text)} matches no loss", remedy_for(stem, LOSSES))
            elif loss := self.loss(item):
                if loss in named:
                    other = "" if loss == text else f": it is {loss}"
                    self.fault(item, f"{shown(text)} stands twice{other}")
                chosen.add(loss)
                named[loss] = item
        return tuple(loss for loss in LOSSES if loss in chosen), named

    def dtypes(self, place: Place) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The dtypes that are meant, and those that are named."""
        if isinstance(place.node, yaml.ScalarNode) and place.node.value == "all":
            return STANDARD, ()
        read = self.several(place, [*FORMATS, "all"], "dtype") or ()
        meant = dict.fromkeys(d for name in read for d in (STANDARD if name == "all" else [name]))
        return tuple(meant), tuple(name for name in read if name != "all")

    def labels(
        self, place: Place, losses: Sequence[str], named: Mapping[str, Place]
    ) -> tuple[LabelKind | None, str]:
        entries = self.section(place, "labels") or {}
        targets = None
        if "targets" in entries:
            targets = self.one_of(entries["targets"], TARGETS, "choice of targets")
        text = None
        if "kind" in entries:
            text = self.one_of(entries["kind"], LABEL_KINDS, "kind of label")
        if text is None:
            return None, targets or "all"
        kind = LabelKind(text)
        if losses and not any(kind in LOSSES[loss].label_kinds for loss in losses):
            having = [loss for loss in LOSSES if kind in LOSSES[loss].label_kinds]
            message = f"none of the selected losses takes {kind} labels"
            self.fault(entries["kind"], message, f"losses that do: {', '.join(having)}")
        else:
            for loss, at in named.items():
                if kind not in LOSSES[loss].label_kinds:
                    takes = " or ".join(LOSSES[loss].label_kinds)
                    message = f"{loss} takes no {kind} labels"
                    self.fault(at, message, f"it takes {takes}; give it a sweep of its own")
        return kind, targets or "all"

    def axis(
        self,
        name: str,
        place: Place,
        at: Place,
        losses: Sequence[str],
        kind: LabelKind | None,
    ) -> tuple[Any, ...] | None:
        """The values of a parameter, valid for every selected loss that has it."""
        having = [LOSSES[loss] for loss in losses if LOSSES[loss].parameter(name)]
        if not having and losses:
            elsewhere = [loss for loss in LOSSES if LOSSES[loss].parameter(name)]
            if elsewhere:
                message = "none of the selected losses has this parameter"
                self.fault(at, message, f"losses that have it: {', '.join(elsewhere)}")
            else:
                known = {each.name for loss in losses for each in LOSSES[loss].parameters}
                self.fault(at, f"unknown parameter {shown(name)}", remedy_for(name, sorted(known)))
            return None
        takers = [
            parameter
            for loss in having
            for parameter in loss.parameters
            if parameter.name == name and _goes_with(parameter, loss, kind)
        ]
        if having and not takers:
            kinds = " or ".join(
                dict.fromkeys(
                    kind
                    for loss in having
                    for parameter in loss.parameters
                    if parameter.name == name
                    for kind in parameter.label_kinds or loss.label_kinds
                )
            )
            self.fault(at, f"of the selected losses, it goes with {kinds} labels only")
            return None
        axis: tuple[Any, ...] | None = None
        for spec in dict.fromkeys(takers):
            before = len(self.problems)
            values = [self.parameter(item, spec) for item in self.items(place) or ()]
            if len(self.problems) != before:
                return None
            axis = tuple(values)
        return axis

    def parameter(self, place: Place, spec: Parameter) -> Any:
        """One value of a parameter; None stands for "not given" where that is the default."""
        node = place.node
        absent = isinstance(node, yaml.ScalarNode) and node.value == "none"
        if absent and spec.default is None and spec.kind != "choice":
            return None
        if spec.kind == "flag":
            return self.flag(place)
        if spec.kind == "choice":
            return self.one_of(place, spec.choices, f"choice of {spec.name}")
        if spec.kind == "integer":
            return self.integer(place, spec.minimum, spec.maximum)
        words = {"class-vector": VECTOR_WORDS, "row-matrix": MATRIX_WORDS}.get(spec.kind, ())
        if isinstance(node, yaml.ScalarNode) and node.value in words:
            return node.value
        if words and isinstance(node, yaml.SequenceNode):
            return tuple(
                self.number(item, spec.minimum, spec.maximum, finite=True)
                for item in self.items(place) or ()
            )
        return self.number(place, spec.minimum, spec.maximum, finite=True)

    def inputs(
        self, place: Place, losses: Sequence[str], named: Mapping[str, Place]
    ) -> tuple[InputSpec, ...]:
        inputs: list[InputSpec] = []
        generators: list[Generator | None] = []
        for item in self.items(place) or ():
            entries = self.mapping(item, "an input")
            if entries is None:
                generators.append(None)
                continue
            generator, values = self.input(item, entries)
            generators.append(generator)
            if generator is None:
                continue
            layouts = {LOSSES[loss].layout for loss in losses}
            if losses and not layouts & set(generator.layouts):
                self.fault(
                    entries["generator"],
                    f"{generator.name} makes no rows for any of the selected losses",
                    f"it is for losses of layout {' or '.join(generator.layouts)}",
                )
            inputs.append(InputSpec(generator.name, values))
        known = [generator for generator in generators if generator is not None]
        fed = {layout for generator in known for layout in generator.layouts}
        if len(known) == len(generators) and any(LOSSES[loss].layout in fed for loss in losses):
            for loss, at in named.items():
                if LOSSES[loss].layout not in fed:
                    self.fault(at, f"no input of this sweep makes rows for {loss}")
        return tuple(inputs)

    def input(
        self, place: Place, entries: dict[str, Place]
    ) -> tuple[Generator | None, dict[str, Any]]:
        if "generator" not in entries:
            self.fault(place, "'generator' is missing", listed(GENERATORS))
            return None, {}
        name = self.one_of(entries["generator"], GENERATORS, "generator")
        if name is None:
            return None, {}
        generator = GENERATORS[name]
        options = {option.name: option for option in generator.options}
        self.fields(
            place,
            "an input",
            ["generator", *options],
            [option.name for option in generator.options if option.required],
        )
        values = {
            key: self.option(child, options[key])
            for key, child in entries.items()
            if key in options
        }
        return generator, values

    def option(self, place: Place, option: Option) -> Any:
        if option.kind == "rows":
            return self.rows(place, option)
        if option.many:
            return tuple(self.option_value(item, option) for item in self.items(place) or ())
        if isinstance(place.node, yaml.SequenceNode):
            self.fault(place, "expected one value, not a list")
            return None
        return self.option_value(place, option)

    def option_value(self, place: Place, option: Option) -> Any:
        if option.kind == "integer":
            return self.integer(place, option.minimum, option.maximum)
        if option.kind == "real":
            return self.real(place, option)
        if option.kind == "choice":
            return self.one_of(place, option.choices, f"choice of {option.name}")
        text = self.text(place)
        return self.file_path(place, text) if option.kind == "path" and text is not None else text

    def real(self, place: Place, option: Option) -> float | str | None:
        number = self.named_number(place, option.minimum, option.maximum)
        if number != number and not option.many and option.kind != "rows":
            self.fault(place, "expected a number, not nan")
            return None
        return number

    def rows(self, place: Place, option: Option) -> tuple[Any, ...]:
        """Lists of numbers; a list may also be flat."""
        items = self.items(place, single=False) or ()
        if all(isinstance(item.node, yaml.ScalarNode) for item in items):
            return tuple(self.real(item, option) for item in items)
        return tuple(
            tuple(self.real(number, option) for number in self.items(row, single=False) or ())
            for row in items
        )

    def limits(
        self, place: Place, sweeps: Sequence[Sweep], names: Sequence[str], complete: bool
    ) -> tuple[Limit, ...]:
        limits: list[Limit] = []
        places: list[Place] = []
        for item in self.items(place) or ():
            entries = self.section(item, "limit")
            if entries is None:
                continue
            patterns: dict[str, str] = {}
            for key in _LIMIT_PATTERNS:
                pattern = self.text(entries[key], "a pattern") if key in entries else "*"
                patterns[key] = "*" if pattern is None else pattern
                if key == "loss":
                    patterns[key] = NAMES.of(patterns[key]) or patterns[key]
            before = len(self.problems)
            tolerance = self.tolerance(entries)
            kinds = {
                key: frozenset(
                    Kind(each)
                    for each in self.several(entries[key], tuple(Kind), "kind of finding") or ()
                )
                if key in entries
                else frozenset()
                for key in ("allow", "forbid")
            }
            if "batch_invariant" in entries and self.flag(entries["batch_invariant"]):
                kinds["forbid"] |= {Kind.BATCH_VARIANT}
            for kind in sorted(kinds["forbid"] & IN_TOLERANCE):
                self.fault(
                    entries["forbid"],
                    f"{kind} is what is beyond the bounds of the limit, and forbidden there",
                    f"{', '.join(_LIMIT_NUMBERS)} say where that begins",
                )
            for kind in sorted(kinds["allow"] & kinds["forbid"]):
                by = "forbid" if "forbid" in entries else "batch_invariant"
                self.fault(entries[by], f"{kind} is allowed by the same limit")
            self.reach(item, entries, patterns, sweeps, names, complete)
            if len(self.problems) == before:
                limits.append(
                    Limit(
                        tolerance,
                        kinds["allow"],
                        kinds["forbid"],
                        loss=patterns["loss"],
                        implementation=patterns["implementation"],
                        dtype=patterns["dtype"],
                        quantity=patterns["quantity"],
                        sweep=patterns["sweep"],
                        path=item.path,
                        line=item.mark.line + 1,
                    )
                )
                places.append(item)
        for index, (limit, item) in enumerate(zip(limits, places, strict=True)):
            for later in limits[index + 1 :]:
                if all(
                    getattr(later, key) in ("*", getattr(limit, key)) for key in _LIMIT_PATTERNS
                ):
                    message = f"never applies: {later.path} selects all that it does"
                    self.fault(item, message, "the last limit that selects a cell governs it")
                    break
        return tuple(limits)

    def tolerance(self, entries: Mapping[str, Place]) -> Tolerance:
        """What the numbers of a limit say. Another bound of the ulps stands for `max_ulp`."""
        read = {key: self.number(entries[key], 0) for key in _LIMIT_NUMBERS if key in entries}
        given = {key: number for key, number in read.items() if number is not None}
        times = self.flag(entries["times_condition"]) if "times_condition" in entries else False
        bounded = "p99_ulp" in given or "max_excess_bits" in given
        return Tolerance(
            max_ulp=given.get("max_ulp", math.inf if bounded else 4.0),
            or_abs=given.get("or_abs", 0.0),
            or_rel=given.get("or_rel", 0.0),
            times_condition=bool(times),
            max_excess_bits=given.get("max_excess_bits", math.inf),
            p99_ulp=given.get("p99_ulp", math.inf),
            or_excess_bits=given.get("or_excess_bits", -math.inf),
        )

    def reach(
        self,
        item: Place,
        entries: Mapping[str, Place],
        patterns: Mapping[str, str],
        sweeps: Sequence[Sweep],
        names: Sequence[str],
        complete: bool,
    ) -> None:
        """Notes a limit that no cell of this configuration can meet or break."""
        anywhere: dict[str, Iterable[str]] = {
            "loss": LOSSES,
            "dtype": FORMATS,
            "quantity": tuple(Quantity),
            "sweep": names,
        }
        here: dict[str, list[str]] = {
            "loss": [loss for sweep in sweeps for loss in sweep.losses],
            "dtype": [dtype for sweep in sweeps for dtype in sweep.dtypes],
            "quantity": [quantity for sweep in sweeps for quantity in sweep.quantities],
            "sweep": list(names),
        }
        before = len(self.problems)
        for key, known in anywhere.items():
            pattern = patterns[key]
            if key not in entries or (key == "sweep" and not names):
                continue
            if not _matches(pattern, known):
                stem = _WILDCARD.sub("", pattern)
                remedy = (NAMES.hint(stem) if key == "loss" else "") or remedy_for(stem, known)
                self.fault(entries[key], f"{shown(pattern)} matches no {key}", remedy)
            elif complete and not _matches(pattern, here[key]):
                remedy = f"the sweeps have: {', '.join(dict.fromkeys(here[key]))}"
                self.fault(entries[key], f"no sweep here has a {key} {shown(pattern)}", remedy)
        if not complete or len(self.problems) != before:
            return
        if not any(
            _matches(patterns["sweep"], [sweep.name])
            and _matches(patterns["loss"], sweep.losses)
            and _matches(patterns["dtype"], sweep.dtypes)
            and _matches(patterns["quantity"], sweep.quantities)
            for sweep in sweeps
        ):
            self.fault(item, "no sweep here has all that this limit names together")


def _matches(pattern: str, names: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names)


def _is_dotted(text: str) -> bool:
    return all(part.isidentifier() for part in text.split("."))


def _goes_with(parameter: Parameter, loss: Loss, kind: LabelKind | None) -> bool:
    """Whether the parameter can be given with these labels; a loss without them is left out."""
    chosen = kind or loss.label_kinds[0]
    return chosen in loss.label_kinds and (
        not parameter.label_kinds or chosen in parameter.label_kinds
    )
