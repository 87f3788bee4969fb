"""The built-in NumPy implementations: a collection of right and wrong ways to write each loss.

Each module declares the forms in which people really write a family of losses. The summary of an
unsound form names its fault. `accurate` holds ``numpy.accurate`` of every loss. ``sound=True``
makes two claims. On finite inputs the error is at most a few roundings times the condition number
of the problem. A class that is masked with −inf causes no fault.
"""

# ruff: noqa: PLC0415  (who needs the bridge alone imports none of them)

from xentcheck.model import Implementation


def numpy_implementations() -> tuple[Implementation, ...]:
    """Return all built-in implementations; the entry point ``numpy`` names this function."""
    from xentcheck.implementations.numpy import accurate, elementwise, probabilities, softmax
    from xentcheck.registry import declared_in

    modules = (accurate, softmax, elementwise, probabilities)
    return tuple(each for module in modules for each in declared_in(module))
