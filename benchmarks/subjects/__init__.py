"""What is measured, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.findings import Findings, Plan
from benchmarks.subjects import (
    audit,
    configs,
    exhaustive,
    formats,
    memory,
    probing,
    reference,
    scaling,
    search,
    searching,
    startup,
    survey,
    waiting,
    workers,
)


@dataclass(frozen=True, slots=True)
class Subject:
    """A subject: what it is about, and how it is measured.

    ``measure`` fills the findings; it raises BenchmarkError when the rest would mean nothing.
    """

    summary: str
    measure: Callable[[Plan, Findings], None]


SUBJECTS: Mapping[str, Subject] = {
    "reference": Subject("the truth of a case, per logit", reference.measure),
    "audit": Subject("a whole audit against the implementation alone", audit.measure),
    "workers": Subject("two workers against one", workers.measure),
    "scaling": Subject("time per logit as rows and classes grow", scaling.measure),
    "memory": Subject("peak resident memory of an audit", memory.measure),
    "exhaustive": Subject("every float32 of a region, two workers", exhaustive.measure),
    "startup": Subject("commands that compute nothing", startup.measure),
    "waiting": Subject("a probe and a check, as a user waits for them", waiting.measure),
    "probing": Subject("a probe against importing the framework it asks", probing.measure),
    "search": Subject("the standard sweep's worst error against a minute's search", search.measure),
    "searching": Subject(
        "worst errors by search, against random sampling and hypothesis", searching.measure
    ),
    "formats": Subject("every format, and the page in a browser", formats.measure),
    "survey": Subject("the survey with every framework, and its memory", survey.measure),
    "configs": Subject("rows of the survey that reach mpmath", configs.measure),
}
