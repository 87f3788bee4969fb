"""Train a small classifier on scikit-learn's digits until p→1, and record its logits.

    pip install scikit-learn
    python configs/recorded/train_digits.py

writes digits.npz beside this file: ``logits`` float32 (1797, 10) and ``labels`` int64 (1797,),
training images and held-out ones alike, so that nearly all rows are certain and a few are
certainly wrong. Another machine's linear algebra may give other last bits.

Data: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, doi:10.24432/C50P49.
"""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

HIDDEN = 48
EPOCHS = 2000


def record(path: Path) -> None:
    """Train, check that the recording is worth auditing, and write it."""
    images, labels = load_digits(return_X_y=True)
    images = images / 16.0
    learnt, _, answers, _ = train_test_split(
        images, labels, train_size=0.5, random_state=0, stratify=labels
    )
    model = MLPClassifier(
        (HIDDEN,),
        alpha=0.0,
        learning_rate_init=0.01,
        max_iter=EPOCHS,
        tol=0.0,
        n_iter_no_change=EPOCHS,
        random_state=0,
    )
    for _ in range(EPOCHS):  # epoch by epoch: fit() would warn that tol=0 never converges
        model.partial_fit(learnt, answers, classes=np.unique(labels))
    first, last = model.coefs_
    hidden = np.maximum(images @ first + model.intercepts_[0], 0.0)
    logits = (hidden @ last + model.intercepts_[1]).astype(np.float32)

    true = logits[np.arange(len(labels)), labels]
    others = logits.copy()
    others[np.arange(len(labels)), labels] = -np.inf
    gap = true - others.max(axis=1)
    saturated = -np.log(np.finfo(np.float32).eps / 2)  # beyond it 1 + e^-gap is 1 in float32
    if np.median(gap) < saturated or not (gap < 0).any():
        message = "the model is not certain enough, or never wrong; train it differently"
        raise SystemExit(message)
    np.savez_compressed(path, logits=logits, labels=labels.astype(np.int64))


if __name__ == "__main__":
    record(Path(__file__).with_name("digits.npz"))
