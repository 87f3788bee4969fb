"""Finds a loss by its name. Every interface that accepts the name of a loss uses this module.

Case, separators and a suffix such as ``loss`` do not matter, so ``CrossEntropyLoss``,
``softmax-cross-entropy`` and ``log loss`` are names too. An alias stands for one loss. A word that
people use for several losses is refused; the message names these losses and the input of each.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from xentcheck.errors import UnknownNameError, did_you_mean, nearest

ALIASES: Mapping[str, tuple[str, ...]] = {
    "softmax_cross_entropy": (
        "cross_entropy",
        "ce",
        "xent",
        "softmax_ce",
        "softmax_xent",
        "cross_entropy_with_logits",
        "softmax_cross_entropy_with_logits",
        "softmax_cross_entropy_with_logits_v2",
        "softmax_cross_entropy_with_integer_labels",
        "sparse_softmax_cross_entropy",
        "sparse_softmax_cross_entropy_with_logits",
        "softmax_with_cross_entropy",
    ),
    "sigmoid_binary_cross_entropy": (
        "bce_with_logits",
        "bce_logits",
        "sigmoid_bce",
        "binary_cross_entropy_with_logits",
        "sigmoid_cross_entropy",
        "sigmoid_cross_entropy_with_logits",
    ),
    "binary_cross_entropy": ("bce_loss",),
    "nll_loss": ("nll",),
    "kl_divergence": (
        "kl",
        "kld",
        "kl_div",
        "kullback_leibler",
        "kullback_leibler_divergence",
        "relative_entropy",
    ),
    "js_divergence": ("js", "jsd", "js_div", "jensen_shannon", "jensen_shannon_divergence"),
    "entropy": ("shannon_entropy",),
    "sigmoid_focal_loss": (
        "focal",
        "sigmoid_focal",
        "focal_with_logits",
        "binary_focal_with_logits",
        "sigmoid_focal_cross_entropy",
    ),
    "logsumexp": ("lse", "log_sum_exp", "reduce_logsumexp"),
    "sigmoid": ("logistic", "logistic_function", "expit"),
    "log_sigmoid": ("log_expit", "log_logistic"),
    "softplus": ("log1pexp", "log_1_plus_exp"),
}
"""Other names of each loss, by loss id."""

AMBIGUOUS: Mapping[str, tuple[str, ...]] = {
    "bce": ("sigmoid_binary_cross_entropy", "binary_cross_entropy"),
    "sparse_categorical_cross_entropy": ("softmax_cross_entropy", "categorical_cross_entropy"),
    "sparse_cross_entropy": ("softmax_cross_entropy", "categorical_cross_entropy"),
    "cce": ("categorical_cross_entropy", "softmax_cross_entropy"),
    "scce": ("categorical_cross_entropy", "softmax_cross_entropy"),
    "multiclass_cross_entropy": ("softmax_cross_entropy", "categorical_cross_entropy"),
    "log_loss": (
        "binary_cross_entropy",
        "categorical_cross_entropy",
        "sigmoid_binary_cross_entropy",
    ),
    "binary_log_loss": ("binary_cross_entropy", "sigmoid_binary_cross_entropy"),
    "multi_log_loss": ("categorical_cross_entropy", "softmax_cross_entropy"),
    "logistic_loss": ("sigmoid_binary_cross_entropy", "softplus"),
    "logistic_regression": ("sigmoid_binary_cross_entropy", "softmax_cross_entropy"),
    "negative_log_likelihood": ("nll_loss", "softmax_cross_entropy"),
    "neg_log_likelihood": ("nll_loss", "softmax_cross_entropy"),
    "log_likelihood": ("nll_loss", "softmax_cross_entropy"),
    "binary_focal": ("sigmoid_focal_loss",),
    "binary_focal_cross_entropy": ("sigmoid_focal_loss",),
    "categorical_focal_cross_entropy": ("sigmoid_focal_loss",),
    "softmax_focal": ("sigmoid_focal_loss",),
    "js_distance": ("js_divergence",),
    "jensen_shannon_distance": ("js_divergence",),
    "label_smoothing": ("softmax_cross_entropy", "sigmoid_binary_cross_entropy"),
    "label_smoothing_cross_entropy": ("softmax_cross_entropy",),
}
"""Words that stand for several losses, or for something similar to a loss.

Each word has the losses that it may mean, the most likely one first.
"""

_SEPARATORS = re.compile(r"[\s_-]+")
_SUFFIXES = ("losses", "loss", "function", "fn", "criterion")
_MOST_SUFFIXES = 2
_SLIP = 0.8  # lowest difflib ratio at which a word counts as a misspelt name


@dataclass(frozen=True, slots=True)
class Names:
    """Finds names among some losses. ``takes`` says what each loss takes as input, by loss id."""

    takes: Mapping[str, str]

    def of(self, written: str) -> str:
        """The id of the loss with this name; "" if the name fits no loss or several losses."""
        if written in self.takes:
            return written
        own = {_key(each): each for each in self.takes}
        for key in _keys(written):
            if key in _SEVERAL_BY_KEY:
                return ""
            found = own.get(key) or _BY_KEY.get(key, "")
            if found in self.takes:
                return found
        return ""

    def meant(self, written: str) -> tuple[str, ...]:
        """The losses that an unknown or ambiguous word may mean."""
        for key in _keys(written):
            if key in _SEVERAL_BY_KEY:
                return tuple(each for each in _SEVERAL_BY_KEY[key] if each in self.takes)
        import difflib  # noqa: PLC0415

        own = {_key(each): each for each in self.takes}
        slip = difflib.get_close_matches(_key(written), [*own, *_BY_KEY], n=1, cutoff=_SLIP)
        best = {**_BY_KEY, **own}[slip[0]] if slip else nearest(written, self.takes)
        return () if best is None else (best,)

    def hint(self, written: str) -> str:
        """``did you mean 'x' (of logits) or 'y' (of probabilities)?``; "" if no name is close."""
        meant = self.meant(written)
        if len(meant) < 2:
            return f"did you mean {meant[0]!r}?" if meant else ""
        named = [f"{each!r} (of {self.takes[each]})" for each in meant]
        return f"did you mean {', '.join(named[:-1])} or {named[-1]}?"

    def meaning(self, written: str) -> str:
        """``; did you mean …?``, or the known names."""
        hint = self.hint(written)
        return f"; {hint}" if hint else did_you_mean(written, self.takes)

    def unknown(self, written: str) -> UnknownNameError:
        """The error for a name that fits no loss or several losses."""
        return UnknownNameError("loss", written, self.takes, self.meaning(written))


def _key(name: str) -> str:
    """A name in lower case and without separators."""
    return _SEPARATORS.sub("", name).casefold()


def _keys(written: str) -> tuple[str, ...]:
    """The keys to look a name up by: the whole name, then without suffixes such as ``loss``."""
    keys = [_key(written)]
    for _ in range(_MOST_SUFFIXES):
        for suffix in _SUFFIXES:
            if keys[-1].endswith(suffix) and keys[-1] != suffix:
                keys.append(keys[-1].removesuffix(suffix))
                break
    return tuple(keys)


_BY_KEY = {_key(alias): loss for loss, aliases in ALIASES.items() for alias in aliases}
_SEVERAL_BY_KEY = {_key(word): losses for word, losses in AMBIGUOUS.items()}
