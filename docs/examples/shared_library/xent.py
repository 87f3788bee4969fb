"""The functions of libxent as xentcheck calls them: NumPy arrays in, NumPy arrays out."""

import ctypes
from pathlib import Path

import numpy as np

_library = np.ctypeslib.load_library("libxent", Path(__file__).parent)
_float32 = np.ctypeslib.ndpointer(np.float32, flags="C_CONTIGUOUS")
_int64 = np.ctypeslib.ndpointer(np.int64, flags="C_CONTIGUOUS")
for _kernel in (_library.xent, _library.xent_naive):
    _kernel.argtypes = (_float32, _int64, ctypes.c_size_t, ctypes.c_size_t, _float32, _float32)
    _kernel.restype = None


def _computed(kernel, logits, labels):
    # the kernels know no strides
    logits, labels = np.ascontiguousarray(logits), np.ascontiguousarray(labels)
    value, gradient = np.empty(len(logits), np.float32), np.empty_like(logits)
    kernel(logits, labels, *logits.shape, value, gradient)
    return value, gradient


def loss(logits, labels):
    """Softmax cross-entropy by xent."""
    return _computed(_library.xent, logits, labels)[0]


def loss_gradient(logits, labels):
    return _computed(_library.xent, logits, labels)[1]


def naive(logits, labels):
    """Softmax cross-entropy by xent_naive."""
    return _computed(_library.xent_naive, logits, labels)[0]


def naive_gradient(logits, labels):
    return _computed(_library.xent_naive, logits, labels)[1]
