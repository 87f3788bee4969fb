"""Texts that say which limits would pass."""

from collections.abc import Mapping
from decimal import Decimal

from xentcheck.gate.would_pass import MOST, SIZED, Loosened, would_pass
from xentcheck.model import Grade, Report


def loosened_lines(report: Report) -> list[str]:
    """What would pass, one line for each limit that is violated; none without violations."""
    found = would_pass(report)
    return [_line(report, each, placed=len(found) > 1) for each in found]


def _line(report: Report, loosened: Loosened, *, placed: bool) -> str:
    known = [_written(report, each) for each in loosened.alternatives]
    alternatives = " or ".join(f"`{each}`" for each in known)
    parts = []
    if loosened.excluded:
        kinds = ", ".join(loosened.excluded)
        are = "is" if len(loosened.excluded) == 1 else "are"
        upto = f" up to {MOST:,.0f}" if SIZED.intersection(loosened.excluded) else ""
        parts.append(f"no bound would pass: {kinds} {are} not allowed at any{upto}")
    if loosened.undecided:
        parts.append(f"no bound is known to pass {', '.join(loosened.undecided)}")
    if alternatives:
        rest = "the rest would pass with " if parts else ""
        parts.append(f"{rest}{alternatives}" + ("" if rest else " would pass"))
    elif not parts:
        parts.append("no single bound would pass")
    if report.omissions:
        parts.append("what was not audited fails at any bound")
    place = f"{loosened.place}: " if placed else ""
    return place + "; ".join(parts)


def _written(report: Report, bounds: Mapping[str, Decimal | Grade]) -> str:
    """Bounds as options of `check`, or as keys of a limit."""
    checked = report.config.get("command") == "check"
    given = {name: _text(bound) for name, bound in bounds.items()}
    if not checked:
        return ", ".join(f"{name}: {text}" for name, text in given.items())
    bits = report.config.get("or_excess_bits")
    if "max_ulp" in given and bits is not None:  # beside a bound in ulps it has no default
        given["or_excess_bits"] = f"{bits:g}"
    return " ".join(f"--{name.replace('_', '-')} {text}" for name, text in given.items())


def _text(bound: Decimal | Grade) -> str:
    if isinstance(bound, Grade):
        return str(bound)
    exponent = bound.adjusted()
    if -3 <= exponent <= 4:
        text = f"{bound:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    head = bound.scaleb(-exponent)
    return f"{head:f}e{exponent}"
