"""The sizes of the terms that results are differences of. The grade of an error uses them.

A gradient p − y has terms of the size of the label mass, however small their difference is. Each
function is a `xentcheck.losses.spec.Sizer`, which documents the arguments.
"""

from xentcheck.deferred import np
from xentcheck.losses.labels import ignored_rows, masses
from xentcheck.losses.spec import Block
from xentcheck.model import Float64Array, Quantity


def gaps(x: Float64Array) -> Float64Array:
    """The gap of each row, (rows,): its largest finite logit minus its smallest.

    For an elementwise loss, where ``x`` is (rows,), it is |x|: the other logit is 0. Rows without
    a finite logit have 0.
    """
    if x.ndim == 1:
        return np.where(np.isfinite(x), np.abs(x), 0.0)
    flat = x.reshape(len(x), -1)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = flat.max(axis=1, initial=-np.inf) - flat.min(axis=1, initial=np.inf)
        if not np.isfinite(gap).all():
            finite = np.isfinite(flat)
            largest = flat.max(axis=1, initial=-np.inf, where=finite)
            smallest = flat.min(axis=1, initial=np.inf, where=finite)
            gap = np.where(finite.any(axis=1), largest - smallest, 0.0)
    return np.asarray(np.minimum(gap, np.finfo(np.float64).max))


def of_cross_entropy(block: Block, quantity: Quantity) -> Float64Array:
    """Σc of each row, times its gap for a value, divided by the temperature for a gradient.

    z-loss adds 2 z_loss log S, with the largest |logit| and log n for log S.
    """
    smoothing = block.parameters.get("label_smoothing", 0.0)
    weight = block.parameters.get("weight", 1.0)
    temperature = block.parameters.get("temperature", 1.0)
    z_loss = block.parameters.get("z_loss", 0.0)
    smoothed = (1.0 - smoothing) * masses(block) + smoothing / block.x.shape[1]
    mass = np.abs(weight * smoothed).sum(axis=1)
    if quantity is Quantity.VALUE:
        terms = mass * np.maximum(gaps(block.x) / temperature, 1.0)
    else:
        terms = mass / temperature
        if z_loss:
            size = np.abs(block.x).max(axis=1, initial=0.0, where=np.isfinite(block.x))
            log_sum = size / temperature + np.log(block.x.shape[1])
            terms = terms + 2.0 * z_loss * log_sum / temperature
    return np.where(ignored_rows(block), 0.0, terms)


def of_softmax(block: Block, quantity: Quantity) -> Float64Array:
    """p_i / temperature for the gradient p_i (δ_ij − p_j) / temperature; 0 for a value."""
    if quantity is Quantity.VALUE:
        return np.zeros(block.rows)
    assert block.labels is not None
    temperature = block.parameters.get("temperature", 1.0)
    z = (block.x + block.parameters.get("noise", 0.0)) / temperature
    with np.errstate(invalid="ignore", over="ignore"):
        power = np.exp(z - z.max(axis=1, keepdims=True))
        own = np.take_along_axis(power, block.labels[:, np.newaxis], axis=1)[:, 0]
        return np.asarray(np.nan_to_num(own / power.sum(axis=1)) / temperature)


def of_one_minus(block: Block, quantity: Quantity) -> Float64Array:
    """1 for a gradient 1 − p, 0 for a value."""
    return np.full(block.rows, float(quantity is Quantity.GRADIENT))


def of_sigmoid(block: Block, quantity: Quantity) -> Float64Array:
    """σ(x) for the gradient σ(x) (1 − σ(x)), 0 for a value."""
    if quantity is Quantity.VALUE:
        return np.zeros(block.rows)
    with np.errstate(over="ignore"):
        return np.asarray(np.nan_to_num(1.0 / (1.0 + np.exp(-block.x))))


def of_binary_cross_entropy(block: Block, quantity: Quantity) -> Float64Array:
    """w z + (1 − z), the label mass of both classes; times |x| for a value."""
    smoothing = block.parameters.get("label_smoothing", 0.0)
    target = np.asarray(block.labels) * (1.0 - smoothing) + smoothing / 2
    mass = np.abs(block.parameters.get("pos_weight", 1.0) * target) + np.abs(1.0 - target)
    return _of_two_classes(block, quantity, mass)


def of_focal_loss(block: Block, quantity: Quantity) -> Float64Array:
    """α_t, the balance of both classes; times |x| for a value."""
    target, alpha = np.asarray(block.labels), block.parameters.get("alpha")
    mass = np.ones(block.rows) if alpha is None else alpha * target + (1 - alpha) * (1 - target)
    return _of_two_classes(block, quantity, np.abs(mass))


def _of_two_classes(block: Block, quantity: Quantity, mass: Float64Array) -> Float64Array:
    terms = mass * np.maximum(gaps(block.x), 1.0) if quantity is Quantity.VALUE else mass
    return np.asarray(np.nan_to_num(terms))
