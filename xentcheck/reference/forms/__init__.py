"""Every loss over arrays: one form per loss, for float64 and for binary128 alike."""

from xentcheck.reference.forms import divergence, probabilities, sigmoid, softmax
from xentcheck.reference.forms.result import Form, FormResult, Partial

FORMS: dict[str, Form] = {
    **softmax.FORMS,
    **sigmoid.FORMS,
    **probabilities.FORMS,
    **divergence.FORMS,
}

__all__ = ["FORMS", "Form", "FormResult", "Partial"]
