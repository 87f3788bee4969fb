"""The limit in ulps that a chart shows for a cell."""

import math
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any

from xentcheck.bounds import BOUNDS
from xentcheck.model import SURVEY_TOLERANCE, Cell, Report

_PATTERNS = ("loss", "implementation", "dtype", "quantity", "sweep")

_ALONE = ("min_grade", "against", *(each.name for each in BOUNDS if each.alone))


def limit_of(report: Report, cell: Cell) -> tuple[float, str]:
    """The largest error that is allowed, in ulps, and its name; NaN if errors have no such bound.

    A survey has the tolerance of a survey: beyond it, errors are findings.
    """
    if not report.gated:
        return SURVEY_TOLERANCE.max_ulp, "tolerance"
    if report.config.get("command") == "check":
        return _bound(report.config), "limit"
    governing = [each for each in _limits(report.config) if _selects(each, cell)]
    return (_bound(governing[-1]), "limit") if governing else (math.nan, "")


def _limits(config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = config.get("limits")
    if isinstance(found, Mapping):
        return [found]
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _selects(limit: Mapping[str, Any], cell: Cell) -> bool:
    """Whether the patterns of a limit match the cell; the last such limit governs it."""
    return all(fnmatchcase(str(getattr(cell, key)), str(limit.get(key, "*"))) for key in _PATTERNS)


def _bound(written: Mapping[str, Any]) -> float:
    """The bound of a limit as it was written; 4 unless another bound stands alone."""
    given = written.get("max_ulp")
    if isinstance(given, int | float):
        return float(given) if math.isfinite(given) else math.nan
    if given is not None or any(written.get(key) for key in _ALONE):
        return math.nan
    return SURVEY_TOLERANCE.max_ulp
