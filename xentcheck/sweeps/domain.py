"""Convert logits to the domain of a loss. All in float64, so that only one rounding follows."""

from xentcheck.deferred import np
from xentcheck.model import Domain, Float64Array


def to_domain(logits: Float64Array, domain: Domain) -> Float64Array:
    """Convert logits (rows, classes) or (rows,) to a domain. The shape stays the same.

    One-dimensional logits are single logits: they go through the sigmoid. A row of −inf becomes a
    row of zero probabilities.
    """
    if domain is Domain.LOGITS:
        return logits
    log_p = _log_sigmoid(logits) if logits.ndim == 1 else _log_softmax(logits)
    return np.exp(log_p) if domain is Domain.PROBABILITIES else log_p


def to_probabilities(rows: Float64Array, domain: Domain) -> Float64Array:
    """Return a distribution (rows, classes) for rows of the domain.

    A row that gives no distribution, such as one of NaN, gets the even one.
    """
    if domain is Domain.PROBABILITIES:
        p = rows
    elif domain is Domain.LOG_PROBABILITIES:
        p = np.exp(np.minimum(rows, 0.0))
    else:
        p = np.exp(_log_softmax(rows))
    broken = ~np.isfinite(p).all(axis=1) | ~(p.sum(axis=1) > 0)
    return np.where(broken[:, None], 1.0 / rows.shape[1], p)


def _log_sigmoid(x: Float64Array) -> Float64Array:
    return np.negative(np.logaddexp(0.0, -x))


def _log_softmax(rows: Float64Array) -> Float64Array:
    """Return log-softmax. The sum leaves the maximum out, so a certain class keeps its deficit."""
    index = np.arange(len(rows))
    top = rows.argmax(axis=1)
    highest = rows[index, top][:, None]
    with np.errstate(invalid="ignore", over="ignore"):
        below = np.where(highest == -np.inf, -np.inf, rows - highest)
    others = np.exp(below)
    others[index, top] = 0.0
    return np.asarray(below - np.log1p(others.sum(axis=1, keepdims=True)))
