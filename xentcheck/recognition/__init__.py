"""Whether a function computes the loss that it is audited as, and what it looks like if not."""

from xentcheck.recognition.recognising import Recognition, recognised, reduced
from xentcheck.recognition.sanity import Sanity, check, guarded

__all__ = ["Recognition", "Sanity", "check", "guarded", "recognised", "reduced"]
