"""The built-in NumPy implementations: a collection of right and wrong ways to write each loss.

Each module declares the forms in which people really write a family of losses. The summary of an
unsound form names its fault. `accurate` holds ``numpy.accurate`` of every loss. ``sound=True``
makes two claims. On finite inputs the error is at most a few roundings times the condition number
of the problem. A class that is masked with −inf causes no fault.
"""

from xentcheck.implementations.numpy import accurate, elementwise, probabilities, softmax
from xentcheck.model import Implementation
from xentcheck.registry import declared_in

_MODULES = (accurate, softmax, elementwise, probabilities)


def numpy_implementations() -> tuple[Implementation, ...]:
    """Return all built-in implementations; the entry point ``numpy`` names this function."""
    return tuple(each for module in _MODULES for each in declared_in(module))
