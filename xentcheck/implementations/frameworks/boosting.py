"""XGBoost and LightGBM, called through boosters without trees.

XGBoost's scores are float32. Its predictions are audited: ``binary:logistic`` and
``multi:softprob`` apply the objective's own link to a base margin. Its metrics (logloss, mlogloss)
cannot be audited because ``Booster.eval`` returns them as text with 17 decimals. Its gradients
cannot be audited because they are not accessible.

LightGBM's initial scores are float64, its labels float32. Its metrics are audited:
``Booster.eval_train`` returns them as float64. A metric is the mean over a data set, so without a
reduction every row is a data set of its own. Its predictions ignore initial scores, and its
gradients are not accessible.
"""

from functools import cache
from typing import Any

from xentcheck.deferred import np
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.bridge import NUMPY_DATA, Bridge, Job, Sketch, adapter, deferred
from xentcheck.model import Array, Implementation, LabelKind, Process

xgb: Any = deferred("xgboost")
lgb: Any = deferred("lightgbm")


class XGBoostBridge(Bridge):
    """Passes logits as the base margin of rows without features."""

    process = Process("xgboost", ("xgboost",), "pip install 'xentcheck[xgboost]'")
    dtypes = ("float32",)
    variants = {"inplace": "by Booster.inplace_predict"}  # noqa: RUF012

    def value(self, job: Job) -> Array:
        """Return the booster's predictions."""
        return np.asarray(job.function(job.logits, inplace=job.variant == "inplace"))

    def script(self, sketch: Sketch) -> tuple[str, ...]:
        """Return the line of the call."""
        more = ("inplace=True",) if sketch.variant == "inplace" else ()
        return (f"result = {sketch.called(*NUMPY_DATA, *more)}",)


@cache
def _xgboost_booster(objective: str, classes: int) -> Any:
    options = {"objective": objective, "nthread": 1, "verbosity": 0}
    if classes:
        options["num_class"] = classes
    data = xgb.DMatrix(np.zeros((1, 1), np.float32), label=[0.0])
    return xgb.train(options, data, num_boost_round=0)


def _xgboost_prediction(booster: Any, margin: Array, inplace: bool) -> Any:
    features = np.zeros((len(margin), 1), np.float32)
    if inplace:
        return booster.inplace_predict(features, base_margin=margin)
    return booster.predict(xgb.DMatrix(features, base_margin=margin))


def binary_logistic(logits: Array, *, inplace: bool = False) -> Any:
    """binary:logistic of a base margin, by Booster.predict"""
    return _xgboost_prediction(_xgboost_booster("binary:logistic", 0), logits, inplace)


def multi_softprob(logits: Array, *, inplace: bool = False) -> Any:
    """multi:softprob of base margins, by Booster.predict"""
    rows, classes = logits.shape
    booster = _xgboost_booster("multi:softprob", classes)
    return np.reshape(_xgboost_prediction(booster, logits, inplace), (rows, classes))


def xgboost_implementations() -> tuple[Implementation, ...]:
    """Return all of XGBoost's implementations; the entry point ``xgboost``."""
    bridge = XGBoostBridge()
    return tuple(
        each
        for loss, name, function in (
            ("sigmoid", "xgboost.binary-logistic", binary_logistic),
            ("softmax", "xgboost.multi-softprob", multi_softprob),
        )
        for each in adapter(bridge, loss, name, function, gradient=False, variants=("inplace",))
    )


class LightGBMBridge(Bridge):
    """Passes logits as initial scores."""

    process = Process("lightgbm", ("lightgbm",), "pip install 'xentcheck[lightgbm]'")
    dtypes = ("float64",)

    def value(self, job: Job) -> Array:
        """Return the metric of the block, or of each row."""
        return np.asarray(job.function(job.logits, job.labels, **job.parameters))


MOST_CLASSES = 4096
"""Limit on the classes: LightGBM takes some 25 bytes per pair of classes, 0.4 GB here."""

QUIET = {"verbosity": -1, "num_threads": 1}


def _lightgbm_metric(
    logits: Array, labels: Array, options: dict[str, Any], reduction: str
) -> Array:
    if reduction == "sum":
        raise UnsupportedError("has no reduction sum")
    count = len(labels) if reduction == "mean" else 1
    data = lgb.Dataset(
        np.zeros((count, 1)),
        label=labels[:count],
        init_score=_scores(logits[:count]),
        params={**QUIET, "min_data_in_bin": 1, "feature_pre_filter": False},
    )
    if reduction == "mean":
        return np.asarray(_evaluated(data, options))
    data.construct()
    results = []
    for row in range(len(labels)):
        data.set_label(labels[row : row + 1])
        data.set_init_score(_scores(logits[row : row + 1]))
        results.append(_evaluated(data, options))
    return np.asarray(results, dtype=np.float64)


def _scores(logits: Array) -> Array:
    """Return initial scores in LightGBM's order, class after class."""
    return logits.ravel(order="F")


def _evaluated(data: Any, options: dict[str, Any]) -> Any:
    booster = lgb.Booster({**QUIET, **options}, data)
    return booster.eval_train()[0][2]


def binary_logloss(logits: Array, labels: Array, *, reduction: str = "none") -> Array:
    """The metric binary_logloss of initial scores, by Booster.eval_train"""
    if not np.isin(labels, (0, 1)).all():
        raise UnsupportedError("takes no targets but 0 and 1")
    return _lightgbm_metric(logits, labels, _metric("binary", "binary_logloss"), reduction)


def cross_entropy(logits: Array, labels: Array, *, reduction: str = "none") -> Array:
    """The metric cross_entropy of initial scores, by Booster.eval_train"""
    return _lightgbm_metric(logits, labels, _metric("cross_entropy", "cross_entropy"), reduction)


def multi_logloss(logits: Array, labels: Array, *, reduction: str = "none") -> Array:
    """The metric multi_logloss of initial scores, by Booster.eval_train"""
    classes = logits.shape[1]
    if classes < 2:
        raise UnsupportedError("takes two classes or more")
    if classes > MOST_CLASSES:
        raise UnsupportedError(f"takes {MOST_CLASSES} classes at most, for its memory's sake")
    options = _metric("multiclass", "multi_logloss") | {"num_class": classes}
    return _lightgbm_metric(logits, labels, options, reduction)


def _metric(objective: str, metric: str) -> dict[str, Any]:
    return {"objective": objective, "metric": metric, "boost_from_average": False}


def lightgbm_implementations() -> tuple[Implementation, ...]:
    """Return all of LightGBM's implementations; the entry point ``lightgbm``."""
    bridge = LightGBMBridge()
    return tuple(
        each
        for loss, name, function, kinds in (
            ("sigmoid_binary_cross_entropy", "binary_logloss", binary_logloss, ()),
            ("sigmoid_binary_cross_entropy", "cross_entropy", cross_entropy, ()),
            (
                "softmax_cross_entropy",
                "multi_logloss",
                multi_logloss,
                (LabelKind.INTEGER,),
            ),
        )
        for each in adapter(
            bridge,
            loss,
            f"lightgbm.{name}",
            function,
            label_kinds=kinds,
            parameters=("reduction",),
            gradient=False,
        )
    )
