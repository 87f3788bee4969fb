"""How much longer a probe takes than what it cannot do without: importing the framework."""

import importlib.util
from functools import partial

from benchmarks.findings import Findings, Plan, at_most, figure
from benchmarks.subjects.startup import command
from benchmarks.timing import Work, by_turns, clocked, difference

INPUT = ("--loss", "softmax_cross_entropy", "--logits", "20,0,0", "--label", "0")
FRAMEWORKS = {  # the module that is imported, and whom the probe asks
    "torch": ("torch.*",),
    "jax": ("jax.*", "optax.*"),
    "tensorflow": ("tf.*", "keras.*"),
    "scipy": ("scipy.*",),
}


def measure(plan: Plan, findings: Findings) -> None:
    """A probe of one framework and NumPy against a Python that only imports the framework."""
    for module, patterns in FRAMEWORKS.items():
        if importlib.util.find_spec(module) is None:
            findings.missing.append(module)
            continue
        plan.say(module)
        asked = [word for each in (*patterns, "numpy.*") for word in ("--implementation", each)]
        works = [
            Work(f"import {module}", clocked(partial(command, module, ("-c", f"import {module}")))),
            Work(
                f"probe {module}",
                clocked(partial(command, module, ("-m", "xentcheck", "probe", *INPUT, *asked))),
            ),
        ]
        for work in works:  # so that all of it lies in the file cache
            work.clock()
        base, probe = by_turns(works, plan.repetitions(full=5, quick=3))
        findings.times += [base, probe]
        unit = "s more than the import"
        findings.figures.append(
            figure("xentcheck probe", module, unit, difference(probe, base), at_most(1))
        )
