"""The command: the corpus → the shares on stdout, the whole document into ``docs/``."""

import sys
import time
from pathlib import Path

import click

from benchmarks.causes.document import NO_CAUSE, lines, shares
from benchmarks.causes.judging import Outcome, judged
from tests.faults.corpus import CORPUS
from xentcheck.losses import LOSSES

DOCUMENT = Path("docs/diagnosis-matrix.md")
FAILED = 1


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", type=click.Choice(list(LOSSES)), multiple=True, help="Repeatable.")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help=f"Instead of {DOCUMENT}. With --only nothing is written unless it is given.",
)
def main(only: tuple[str, ...], output: Path | None) -> None:
    """Audit the corpus, and hold the causes that are claimed against those that its faults have.

    The exit status is 1 if a cause is claimed that a fault has not.
    """
    start = time.perf_counter()

    def say(what: str) -> None:
        click.echo(f"{what} ({time.perf_counter() - start:.0f} s)", err=True)

    corpus = [each for each in CORPUS if not only or each.fixture.loss in only]
    found = list(judged(corpus, say))
    text = list(lines(found))
    click.echo("\n".join(text[: text.index("## Evidence")]))
    for each in found:
        if each.outcome is not Outcome.RIGHT:
            claimed = ", ".join(claim.cause for claim in each.claims) or "nothing"
            wanted = " or ".join(each.labelled.expected.main) or NO_CAUSE
            click.echo(
                f"{each.outcome}: {each.dtype} {each.labelled.name}: {wanted}; claimed {claimed}"
            )
    share, wrong = shares(found)
    click.echo(f"{100 * share:.1f} % right, {wrong} wrong")
    if output is not None or not only:
        (output or DOCUMENT).write_text("\n".join(text) + "\n", encoding="utf-8")
    sys.exit(FAILED if wrong else 0)


if __name__ == "__main__":
    main(prog_name="python -m benchmarks.causes")
