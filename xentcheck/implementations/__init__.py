"""The built-in NumPy implementations: a field guide of right and wrong.

Each module declares the forms in which a family of losses is really written, the unsound ones with
the fault that their summary names; ``numpy.accurate`` of every loss is in `accurate`. ``sound``
claims: no fault on finite inputs beyond a few roundings times the problem's condition number, and
none where a class is masked with −inf.
"""

from xentcheck.implementations.numpy import accurate, elementwise, probabilities, softmax
from xentcheck.model import Implementation
from xentcheck.registry import declared_in

_MODULES = (accurate, softmax, elementwise, probabilities)


def numpy_implementations() -> tuple[Implementation, ...]:
    """All built-in implementations; the entry point ``numpy``."""
    return tuple(each for module in _MODULES for each in declared_in(module))
