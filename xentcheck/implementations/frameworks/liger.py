"""Liger Kernel: its Triton kernels, run by Triton's interpreter on the CPU, or on CUDA.

The interpreter runs the kernels with NumPy. Formulas, masks and the places of rounding are those of
the kernels. The last bits of exp and log differ from those of a GPU. Kernels that the interpreter
cannot run are not declared: kernels that convert a float argument (class weights, liger_kl_div),
and the backward pass of liger_softmax in bfloat16, because the interpreter multiplies its bits as
integers.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from xentcheck.implementations.bridge import adapter, deferred
from xentcheck.implementations.frameworks.pytorch import TorchBridge
from xentcheck.model import Implementation, LabelKind, Process

liger: Any = deferred("liger_kernel.transformers.functional")

PROCESS = Process(
    "liger",
    ("torch", "triton", "liger_kernel"),
    install="pip install 'xentcheck[liger]'",
    environment=(("TRITON_INTERPRET", "1"),),
)


class LigerBridge(TorchBridge):
    """Torch's bridge, in a process where Triton interprets."""

    process = PROCESS
    variants: Mapping[str, str] = MappingProxyType({})


def cross_entropy(
    logits: Any,
    labels: Any,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Any:
    """liger_cross_entropy: in float32 inside, its gradient written over the logits."""
    return liger.liger_cross_entropy(
        logits,
        labels,
        ignore_index=ignore_index,
        label_smoothing=label_smoothing,
        lse_square_scale=z_loss,
        reduction=reduction,
    )


def softmax(logits: Any) -> Any:
    """liger_softmax."""
    return liger.liger_softmax(logits)


class LigerCudaBridge(TorchBridge):
    """Torch's bridge, in a process where Triton compiles for the device it finds."""

    process = Process("liger-cuda", PROCESS.modules, install=PROCESS.install)
    variants: Mapping[str, str] = MappingProxyType({"cuda": "compiled, on a CUDA device"})


LIGER, LIGER_CUDA = LigerBridge(), LigerCudaBridge()

_MODULE = "liger_kernel.transformers.functional"


def liger_implementations() -> tuple[Implementation, ...]:
    """Return all declared implementations of Liger Kernel; the entry point ``liger``."""
    return (*_of(LIGER), *(each for each in _of(LIGER_CUDA, ("cuda",)) if each.plain))


def _of(bridge: TorchBridge, variants: tuple[str, ...] = ()) -> tuple[Implementation, ...]:
    return (
        *adapter(
            bridge,
            "softmax_cross_entropy",
            f"{_MODULE}.liger_cross_entropy",
            cross_entropy,
            label_kinds=(LabelKind.INTEGER,),
            parameters=("ignore_index", "label_smoothing", "z_loss", "reduction"),
            variants=variants,
        ),
        *adapter(
            bridge,
            "softmax",
            f"{_MODULE}.liger_softmax",
            softmax,
            dtypes=("float16", "float32", "float64"),
            variants=variants,
        ),
    )
