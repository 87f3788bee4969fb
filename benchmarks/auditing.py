"""Audits that are timed: one that was not finished is no measurement."""

from benchmarks.findings import BenchmarkError
from xentcheck.auditing.run import audit
from xentcheck.model import Config, Report


def audited(config: Config, workers: int = 1) -> Report:
    """The report of a whole audit.

    Raises:
        BenchmarkError: nothing was measured, a row could not be certified, or a worker died.
        KeyboardInterrupt: it was interrupted; the audit itself would return what it has.
    """
    report = audit(config, workers=workers)
    if report.interrupted:
        raise KeyboardInterrupt
    trouble = (*report.uncertified, *report.deaths)
    if trouble or not report.measurements:
        message = f"the audit went wrong: {trouble[0] if trouble else 'nothing was measured'}"
        raise BenchmarkError(message)
    return report
