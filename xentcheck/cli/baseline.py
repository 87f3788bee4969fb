"""Handles the baseline of a run: checks its options, loads it and renews it."""

# ruff: noqa: PLC0415

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from xentcheck.cli.output import writable
from xentcheck.errors import UsageError

if TYPE_CHECKING:
    from xentcheck.gate.baseline import Baseline
    from xentcheck.model import Config, Report


@dataclass(frozen=True, slots=True)
class Keeping:
    """The baseline options of a run. The paths are as given, "" for none.

    ``slack`` is the relative change that counts as none; None: the defaults of the gate.
    """

    baseline: str = ""
    write: str = ""
    ratchet: bool = False
    fail_on_stale: bool = False
    slack: float | None = None

    @staticmethod
    def planned(
        config: "Config",
        baseline: str | None,
        write: str | None,
        ratchet: bool,
        stale: bool,
        slack: float | None = None,
        taken: Collection[Path | None] = (),
    ) -> "Keeping":
        """The plan for these options, checked.

        Args:
            config: names a baseline, maybe.
            baseline: the file of ``--baseline``.
            write: the file of ``--write-baseline``.
            ratchet: whether ``--ratchet`` is given.
            stale: whether ``--fail-on-stale`` is given.
            slack: the number of ``--slack``.
            taken: the files of reports; None is standard output.

        Raises:
            UsageError: options exclude each other, or need a baseline and there is none.
        """
        for option, path in (("--baseline", baseline), ("--write-baseline", write)):
            if path is not None and not path.strip(" -"):
                raise UsageError(f"{option} {path!r}: expected the name of a file")
        for option, given in (("--baseline", baseline is not None), ("--ratchet", ratchet)):
            if write is not None and given:
                raise UsageError(
                    f"--write-baseline and {option} exclude each other\n"
                    "    help: --write-baseline records everything anew, --ratchet takes back what "
                    "has become better"
                )
        known = baseline or write or config.baseline
        if slack is not None and not math.isfinite(slack):
            raise UsageError(f"--slack {slack}: has to be a number such as 0.01")
        for option, given in (
            ("--ratchet", ratchet),
            ("--fail-on-stale", stale),
            ("--slack", slack is not None),
        ):
            if given and not known:
                raise UsageError(
                    f"{option} needs a baseline\n"
                    "    help: --baseline FILE, or `baseline: FILE` in the configuration"
                )
        if write is not None and writable(write, "--write-baseline").resolve() in [
            each.resolve() for each in taken if each is not None
        ]:
            raise UsageError(f"{write}: the baseline and a report would go to one file")
        return Keeping(baseline or "", write or "", ratchet, stale, slack)

    def loaded(self, config: "Config") -> "Baseline | None":
        """The baseline to compare with; None if there is none.

        Raises:
            ConfigError: the file is missing or has problems.
        """
        path = self.baseline or config.baseline
        if not (self.write or path):
            return None
        from xentcheck.gate import baseline_file

        return baseline_file.known(self.write) if self.write else baseline_file.load(path)

    def taken(
        self, report: "Report", baseline: "Baseline | None", config: "Config"
    ) -> tuple["Report", str | None, str]:
        """Renew the baseline from a report, if the options ask for it.

        Returns:
            The report to deliver; the text of the new baseline, None if it is unchanged; a note for
            the user, "" if there is none.
        """
        report = replace(report, strict=self.fail_on_stale)
        if baseline is None or not (self.write or self.ratchet):
            return report, None, ""
        from xentcheck.auditing.check import DEFAULT_LIMITS
        from xentcheck.gate import baseline_file
        from xentcheck.gate.baseline import bounds_of, taken

        today = datetime.now().astimezone().date().isoformat()
        limited = config if config.limits else replace(config, limits=DEFAULT_LIMITS)
        described = (*(each.cell for each in report.measurements), *report.unaudited)
        new, settled = taken(
            report,
            baseline,
            today,
            tighten=self.ratchet,
            slack=self.slack,
            bounds=bounds_of(limited, described),
        )
        told = f"{new.faults:,} faults in {len(new.entries):,} cells are tolerated"
        if baseline.entries:
            told += f"; before, {baseline.faults:,} in {len(baseline.entries):,}"
        strange = {each.cell for each in baseline.entries} - {
            *(each.cell for each in report.measurements),
            *report.unaudited,
        }
        if strange:
            told += f"; {len(strange):,} of them the configuration does not describe"
        changed = new != baseline or not Path(new.path).exists()
        text = baseline_file.dumps(new) if changed else None
        return (report if self.ratchet else settled), text, f"{new.path}: {told}"
