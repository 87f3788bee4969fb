"""Finds the causes of findings: what is wrong, where it starts, and what to write instead."""

from xentcheck.diagnosis.diagnosing import Diagnosed, FailingLine, diagnose
from xentcheck.diagnosis.fingerprint import Variant, run

__all__ = ["Diagnosed", "FailingLine", "Variant", "diagnose", "run"]
