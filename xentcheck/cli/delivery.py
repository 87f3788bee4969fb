"""Where reports go: formats, files, the terminal; and progress on the way."""

# ruff: noqa: PLC0415

import contextlib
import functools
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from xentcheck.cli.door import (
    INTERNAL,
    INTERRUPTED,
    NOTHING_AUDITED,
    VIOLATIONS,
    WITHIN_LIMITS,
    complain,
    note,
)
from xentcheck.errors import INTERNAL_ERROR, UsageError
from xentcheck.report.formats import NAMES, SUFFIXES, rendered

if TYPE_CHECKING:
    from xentcheck.auditing import Progress
    from xentcheck.model import Config, Implementation, Report
    from xentcheck.ratchet import Baseline

_STDOUT = ("-", "/dev/stdout")
_PATIENCE = 2.0  # seconds before progress is shown
_REDRAW = 0.1  # seconds between two drawings of it


class Render(Protocol):
    """Gives a report as text in a format, for a width."""

    def __call__(self, form: str, width: int, *, color: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class _Destination:
    """One format and where it goes; no path is standard output."""

    format: str
    path: Path | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where a report goes, checked before the work starts."""

    destinations: tuple[_Destination, ...]
    color: str

    @staticmethod
    def planned(
        formats: Sequence[str],
        outputs: Sequence[str],
        color: str,
        suffixes: Mapping[str, str] = SUFFIXES,
    ) -> "Delivery":
        """Format i goes to output i; without one, as ``suffixes`` has it for the file's name.

        Raises UsageError for what could not be written later.
        """
        pairs = []
        for i in range(max(len(formats), len(outputs), 1)):
            output = outputs[i] if i < len(outputs) else "-"
            path = None if output in _STDOUT else writable(output)
            pairs.append(_Destination(_format(formats, i, path, suffixes), path))
        paths = [pair.path for pair in pairs]
        for path in paths:
            if paths.count(path) > 1:
                place = "standard output" if path is None else str(path)
                message = (
                    f"two formats would go to {place}\n"
                    "    help: the first --format goes to the first --output, and so on; "
                    "--output - is standard output"
                )
                raise UsageError(message)
        return Delivery(tuple(pairs), color)

    def deliver(self, render: Render) -> None:
        """Write what ``render(format, width, color)`` gives to every destination."""
        for destination in self.destinations:
            if destination.path is None:
                terminal = sys.stdout is not None and sys.stdout.isatty()
                emit(render(destination.format, width_of(terminal), color=self._colored(terminal)))
            else:
                write(destination.path, render(destination.format, width_of(False), color=False))

    def _colored(self, terminal: bool) -> bool:
        if self.color != "auto":
            return self.color == "always"
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return terminal and not plain


def _format(
    formats: Sequence[str], position: int, path: Path | None, suffixes: Mapping[str, str]
) -> str:
    if position < len(formats):
        return formats[position]
    if path is None:
        return "table"
    if path.suffix not in suffixes:
        known = NAMES if suffixes is SUFFIXES else dict.fromkeys(suffixes.values())
        raise UsageError(
            f"no format is given for {path}\n    help: add --format {' or '.join(known)}"
        )
    return suffixes[path.suffix]


def writable(output: str, option: str = "--output") -> Path:
    path = Path(output)
    if path.is_dir():
        raise UsageError(f"{option} {output} is a directory")
    if not path.parent.is_dir():
        message = f"{option} {output}: there is no directory {path.parent}"
        raise UsageError(f"{message}\n    help: mkdir -p {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UsageError(f"{option} {output}: permission denied")
    return path


def width_of(terminal: bool) -> int:
    """The width of the terminal, or what COLUMNS says, or a hundred columns."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    return shutil.get_terminal_size((100, 24)).columns if terminal else 100


def emit(text: str) -> None:
    """Write to standard output. A reader that has gone is no error: the exit status stands."""
    stream = sys.stdout
    if stream is None:
        return
    try:
        stream.write(_encodable(text, stream.encoding))
        stream.flush()
    except OSError as error:
        # What Python still holds would fail again at exit.
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        if not isinstance(error, BrokenPipeError):
            raise UsageError(f"cannot write to standard output: {error.strerror}") from None


def _encodable(text: str, encoding: str | None) -> str:
    """The text with stand-ins of the same width for what the encoding lacks."""
    encoding = encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        plain = text.translate(str.maketrans("→…·×−", ">~|x-"))
        return plain.encode(encoding, "replace").decode(encoding)
    return text


def write(path: Path, text: str) -> None:
    """Write a file in one piece: nobody sees half of it, and a failure leaves the old one."""
    try:
        if path.exists() and not path.is_file():  # a pipe, or /dev/null
            path.write_text(text, encoding="utf-8")
            return
        final = path.resolve()
        partial = final.with_name(f".{final.name}.{os.getpid()}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(final)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None


def foreign() -> contextlib.AbstractContextManager[Any]:
    """Around everything that loads or calls code of others: what it prints goes to stderr."""
    return contextlib.redirect_stdout(sys.stderr)


class _ProgressBar:
    """Progress on stderr, when that is a terminal and the work takes longer than a moment.

    It is drawn when something is reported and by no thread of its own: worker processes are forked
    from this one.
    """

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._drawn = 0.0
        self._wanted = sys.stderr is not None and sys.stderr.isatty()
        self._live: Any = None

    def __enter__(self) -> "_ProgressBar":
        return self

    def __call__(self, progress: "Progress") -> None:
        now = time.monotonic()
        if not self._wanted or now - self._started < _PATIENCE or now - self._drawn < _REDRAW:
            return
        from xentcheck.report import progress as line

        if self._live is None:
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            self._live = Live(console=console, auto_refresh=False, transient=True)
            self._live.start()
        self._drawn = now
        width = self._live.console.width
        self._live.update(line.render(progress, now - self._started, width), refresh=True)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()


def run_audit(
    config: "Config",
    delivery: Delivery,
    select: Sequence[str] = (),
    extra: Sequence["Implementation"] = (),
    workers: int | None = None,
    timeout_s: float | None = None,
    keeping: "Keeping | None" = None,
    witnesses: str = "",
) -> int:
    """Audit, deliver the report, and say with which status to exit.

    ``keeping`` is what to do with a baseline, ``witnesses`` a folder for the inputs of findings.
    """
    from xentcheck.api import audit_config

    keeping = keeping or Keeping()
    baseline = keeping.loaded(config)
    with foreign(), _ProgressBar() as progress:
        report = audit_config(
            config,
            select=select,
            extra=extra,
            baseline=baseline,
            workers=workers,
            timeout_s=timeout_s,
            progress=progress,
        )
    report, text = keeping.taken(report, baseline)
    delivery.deliver(functools.partial(rendered, report))
    if witnesses:
        from xentcheck.report.witnesses import save

        with foreign():
            saved = save(report, witnesses, config.sweeps)
        note(f"{witnesses}: {len(saved):,} files of {len(report.findings):,} findings")
    status = status_of(report)
    if text is not None and report.baseline:
        if status in (INTERNAL, INTERRUPTED, NOTHING_AUDITED):
            complain(f"{report.baseline} is left as it was: not everything was audited")
        else:
            write(Path(report.baseline), text)
    stale = [each for each in report.changes if each.standing == "gone"]
    if keeping.fail_on_stale and stale and status == WITHIN_LIMITS:
        entries = "1 entry is" if len(stale) == 1 else f"{len(stale)} entries are"
        complain(f"{report.baseline}: {entries} stale", "--ratchet takes out what is not there")
        return VIOLATIONS
    return status


@dataclass(frozen=True, slots=True)
class Keeping:
    """What a run does with its baseline: the paths as given, "" for none."""

    baseline: str = ""
    write: str = ""
    ratchet: bool = False
    fail_on_stale: bool = False

    @staticmethod
    def planned(
        config: "Config", baseline: str | None, write: str | None, ratchet: bool, stale: bool
    ) -> "Keeping":
        """Raises UsageError for options that exclude each other, or want a baseline."""
        for option, given in (("--baseline", baseline is not None), ("--ratchet", ratchet)):
            if write is not None and given:
                raise UsageError(
                    f"--write-baseline and {option} exclude each other\n"
                    "    help: --write-baseline records everything anew, --ratchet takes back what "
                    "has become better"
                )
        known = baseline or write or config.baseline
        for option, given in (("--ratchet", ratchet), ("--fail-on-stale", stale)):
            if given and not known:
                raise UsageError(
                    f"{option} needs a baseline\n"
                    "    help: --baseline FILE, or `baseline: FILE` in the configuration"
                )
        if write is not None:
            writable(write, "--write-baseline")
        return Keeping(baseline or "", write or "", ratchet, stale)

    def loaded(self, config: "Config") -> "Baseline | None":
        """The baseline to be held against. Raises ConfigError."""
        from xentcheck import baselines

        if self.write:
            return baselines.known(self.write)
        path = self.baseline or config.baseline
        return baselines.load(path) if path else None

    def taken(self, report: "Report", baseline: "Baseline | None") -> tuple["Report", str | None]:
        """The report to deliver, and the text of a baseline to write, if it is another."""
        if baseline is None or not (self.write or self.ratchet):
            return report, None
        from datetime import datetime

        from xentcheck import baselines, ratchet

        today = datetime.now().astimezone().date().isoformat()
        new, settled = ratchet.taken(report, baseline, today, tighten=self.ratchet)
        told = f"{new.faults:,} faults in {len(new.entries):,} cells are tolerated"
        if baseline.entries:
            told += f"; before, {baseline.faults:,} in {len(baseline.entries):,}"
        note(f"{new.path}: {told}")
        changed = new != baseline or not Path(new.path).exists()
        return (report if self.ratchet else settled), baselines.dumps(new) if changed else None


def status_of(report: "Report") -> int:
    for death in report.deaths:
        note(death)
    for case in report.uncertified:
        complain(case if case.startswith(INTERNAL_ERROR) else f"not audited: {case}")
    if report.uncertified:
        return INTERNAL
    if report.interrupted:
        complain("interrupted: the report has only what was finished until then")
        return INTERRUPTED
    if report.violations:
        return VIOLATIONS
    if not report.measurements and not report.findings:
        reasons = dict.fromkeys(skip.reason for skip in report.skips)
        complain("nothing was audited", "; ".join(reasons) or "the configuration has no cases")
        return NOTHING_AUDITED
    return WITHIN_LIMITS
