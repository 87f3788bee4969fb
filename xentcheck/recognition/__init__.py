"""Recognise whether a function computes the audited loss, and if not, what it computes instead."""

from xentcheck.recognition.recognising import Recognition, recognised, reduced
from xentcheck.recognition.sanity import Sanity, check, guarded

__all__ = ["Recognition", "Sanity", "check", "guarded", "recognised", "reduced"]
