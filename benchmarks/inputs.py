"""The configurations that the subjects audit."""

from pathlib import Path

from xentcheck.model import Config, InputSpec, Quantity, Sweep

SURVEY = Path("configs", "sweep.yaml")
SOUND = "numpy.log1p"
INACCURATE = "numpy.lse_minus_logit"
SCALE = 4.0


def large(dtype: str, classes: int, rows: int, implementation: str) -> Config:
    """One sweep of normally distributed logits for softmax_cross_entropy."""
    options = {"rows": rows, "classes": (classes,), "scale": (SCALE,)}
    return _single(
        Sweep(
            "large",
            ("softmax_cross_entropy",),
            (dtype,),
            (InputSpec("normal", options),),
            implementations=(implementation,),
            targets="random",
        )
    )


def exhaustive(
    loss: str, implementation: str, targets: str, regions: tuple[tuple[float, float], ...]
) -> Config:
    """Every float32 in some regions, for the value of an elementwise loss."""
    inputs = tuple(InputSpec("exhaustive", {"from": low, "to": high}) for low, high in regions)
    return _single(
        Sweep(
            "every",
            (loss,),
            ("float32",),
            inputs,
            quantities=(Quantity.VALUE,),
            implementations=(implementation,),
            targets=targets,
        )
    )


def _single(sweep: Sweep) -> Config:
    return Config((sweep,), document={"sweep": sweep.name})
