"""The violations of a report as plain text, for assertions and test reports."""

from xentcheck.model import Report
from xentcheck.report.words.causes import causes_text
from xentcheck.report.words.finding import causes, in_full, leading, limit_lines, omitted_lines


def violations_text(report: Report, most: int) -> str:
    """The violations and the omissions as plain text.

    First the causes; then at most ``most`` violations in full: the gravest first, and each kind
    before repetitions.
    """
    chosen = leading(report.violations)[:most]
    parts = [" and ".join(causes(report)) or "0 violations"]
    parts += [f"not audited: {text}" for text in omitted_lines(report)]
    parts += causes_text(report)
    parts += [in_full(report, each.finding, *limit_lines(each)) for each in chosen]
    if more := len(report.violations) - len(chosen):
        parts.append(f"and {more:,} more")
    return "\n\n".join(parts)
