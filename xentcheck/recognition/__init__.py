"""Check whether a function computes the audited loss; if not, recognise what it computes."""

from xentcheck.recognition.recognising import Recognition, recognised, reduced
from xentcheck.recognition.sanity import Sanity, check, guarded

__all__ = ["Recognition", "Sanity", "check", "guarded", "recognised", "reduced"]
