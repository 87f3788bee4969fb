"""The array forms: one function per loss that encloses whole arrays, in float64 or binary128."""

from xentcheck.reference.forms import divergence, probabilities, sigmoid, softmax
from xentcheck.reference.forms.result import Form, FormResult, Partial

FORMS: dict[str, Form] = {
    **softmax.FORMS,
    **sigmoid.FORMS,
    **probabilities.FORMS,
    **divergence.FORMS,
}

__all__ = ["FORMS", "Form", "FormResult", "Partial"]
