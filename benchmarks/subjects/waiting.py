"""How long a user waits, against what cannot be avoided.

For a probe of one row: the slowest import among those of
the frameworks it asks. For a check of one's own loss: the imports of what it uses, and for JAX the
check of the same loss in NumPy.
"""

import importlib.util
import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from benchmarks.findings import Findings, Plan, at_most, figure
from benchmarks.subjects.probing import INPUT
from benchmarks.subjects.startup import command
from benchmarks.timing import Times, Work, by_turns, clocked, ratio
from xentcheck.execution import cores

DEPENDENCIES = "import numpy, mpmath, click, rich, yaml, ml_dtypes"
PROBED = ("torch", "jax", "tensorflow", "keras", "scipy", "sklearn", "onnxruntime")
"""Modules of the frameworks that a probe asks, as far as they are installed."""
LOSSES = {
    "numpy": """
import numpy as np
def loss(logits, labels):
    e = np.exp(logits)
    return -np.log((e / e.sum(axis=1, keepdims=True))[np.arange(len(logits)), labels])
""",
    "torch": """
import torch
def loss(logits, labels):
    return -torch.log(torch.softmax(logits, 1))[torch.arange(len(logits)), labels]
""",
    "jax": """
import jax, jax.numpy as jnp
def loss(logits, labels):
    p = jax.nn.softmax(logits)
    return -jnp.take_along_axis(jnp.log(p), labels[:, None], axis=1)[:, 0]
""",
}
FAILED = 1
"""The status of a check that found something, as all three losses deserve."""


def measure(plan: Plan, findings: Findings) -> None:
    """A probe, and checks by NumPy, torch and JAX, first and again.

    The first time no compiled program is kept, and again there are those of the run before.
    """
    modules = [name for name in PROBED if importlib.util.find_spec(name) is not None]
    known = [name for name in LOSSES if importlib.util.find_spec(name) is not None]
    findings.missing += [name for name in LOSSES if name not in known]
    repetitions = plan.repetitions(full=5, quick=2)
    with tempfile.TemporaryDirectory() as folder:
        for name in known:
            Path(folder, f"by_{name}.py").write_text(LOSSES[name], encoding="utf-8")
        kept = {"XDG_CACHE_HOME": folder}
        works = {"dependencies": _python(DEPENDENCIES)}
        works |= {f"import {name}": _python(f"import {name}") for name in modules}
        works["probe"] = _probe({"XENTCHECK_NO_CACHE": "1"})
        works["probe again"] = _probe(kept)
        works |= {name: _check(folder, name, {"XENTCHECK_NO_CACHE": "1"}) for name in known}
        if "jax" in known:
            works["jax again"] = _check(folder, "jax", kept)
        for name, work in works.items():  # so that all of it lies in the file cache
            plan.say(name)
            work.clock()
        measured = by_turns(list(works.values()), repetitions)
        times: dict[str, Times] = dict(zip(works, measured, strict=True))
    findings.times += times.values()
    imports = [f"import {name}" for name in modules]
    slowest = max(imports, key=lambda each: times[each].median, default="dependencies")
    for place, name, base, most, of in (
        ("probe", "probe", slowest, None, f"{slowest}, the slowest"),
        ("probe", "probe again", slowest, 1.4, f"{slowest}, the slowest"),
        ("check", "numpy", "dependencies", 5, "importing its dependencies"),
        ("check", "torch", "import torch", 1.8, "import torch"),
        ("check", "jax", "numpy", 4, "the check of the NumPy loss"),
        ("check", "jax again", "numpy", 2.5, "the check of the NumPy loss"),
    ):
        if name in times and base in times:
            spread = ratio(times[name], times[base])
            target = None if most is None else at_most(most)
            findings.figures.append(figure(place, name, f"× {of}", spread, target))
    findings.notes.append(f"{cores()} cores; a probe asks {', '.join(modules) or 'NumPy alone'}")


def _python(code: str) -> Work:
    return Work(code, clocked(partial(command, code, ("-c", code))))


def _probe(environment: Mapping[str, str]) -> Work:
    run = partial(command, "probe", ("-m", "xentcheck", "probe", *INPUT), environment)
    return Work("probe", clocked(run))


def _check(folder: str, name: str, environment: Mapping[str, str]) -> Work:
    words = ["-m", "xentcheck", "check", str(Path(folder, f"by_{name}.py:loss"))]
    words += ["--loss", "softmax_cross_entropy", "--framework", name, "--workers", "2"]
    title = f"check of a loss in {name}"
    return Work(title, clocked(partial(command, title, tuple(words), environment, FAILED)))
