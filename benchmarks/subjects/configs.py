"""How many rows of the survey no fast tier decides."""

from benchmarks.auditing import audited
from benchmarks.findings import Figure, Findings, Plan, at_most
from benchmarks.inputs import SURVEY
from xentcheck import config as configuration
from xentcheck.execution import cores
from xentcheck.reference import Tier


def measure(plan: Plan, findings: Findings) -> None:
    """The share of rows by tier."""
    if not SURVEY.exists():
        findings.missing.append(f"{SURVEY} is not here: run this from the repository's root")
        return
    plan.say(str(SURVEY))
    report = audited(configuration.load(SURVEY), workers=cores())
    decided = report.reference["decided_by"]
    whole = sum(decided.values())
    findings.measured |= {f"{SURVEY}: rows decided by {tier}": decided[tier] for tier in decided}
    for tier in Tier:
        target = at_most(2) if tier is Tier.MPMATH else None
        share = 100 * decided[tier.value] / whole
        findings.figures.append(
            Figure(str(SURVEY), f"by {tier}", "% of rows", share, target=target)
        )
    beyond = sum(decided[each.value] for each in (Tier.BINARY128, Tier.MPMATH))
    findings.figures.append(
        Figure(
            str(SURVEY),
            "beyond double-double",
            "% of rows",
            100 * beyond / whole,
            target=at_most(3),
        )
    )
