"""The remedies for PyTorch and JAX run as they stand, where these are installed."""

from typing import Any

import numpy as np
import pytest

from tests.diagnosis.proofs import DTYPES, PROOFS, Proof, ulps
from xentcheck.model import ABOUT_CAUSES, Cause

FEW_ULPS = 8.0  # their exp and log1p are a little less accurate than NumPy's

by_cause = pytest.mark.parametrize("cause", list(PROOFS))


def scored(proof: Proof, result: Any, dtype: str) -> float:
    return ulps(np.asarray(result), proof.exact(**proof.inputs(dtype)), dtype)


@by_cause
@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_remedy_is_right_on_the_rows_of_the_cause(cause: Cause, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    proof = PROOFS[cause]
    inputs = {
        name: torch.from_numpy(value.astype(np.int64) if value.dtype == np.uint16 else value)
        if isinstance(value, np.ndarray)
        else value
        for name, value in proof.inputs(dtype).items()
    }
    if proof.differentiated:
        inputs["x"].requires_grad_()
    names = {"torch": torch, **inputs}
    exec(ABOUT_CAUSES[cause].torch, names)
    if proof.differentiated:
        names["loss"].sum().backward()
        names[proof.result] = inputs["x"].grad
    assert names[proof.result].dtype == getattr(torch, dtype)
    assert scored(proof, names[proof.result].detach(), dtype) <= FEW_ULPS


@by_cause
def test_jax_remedy_is_right_on_the_rows_of_the_cause(cause: Cause) -> None:
    jax = pytest.importorskip("jax")
    proof = PROOFS[cause]
    inputs = {
        name: jax.numpy.asarray(value) if isinstance(value, np.ndarray) else value
        for name, value in proof.inputs("float32").items()
    }

    def result(**inputs: Any) -> Any:
        names = {"jnp": jax.numpy, **inputs}
        exec(ABOUT_CAUSES[cause].jax, names)
        return names

    if proof.differentiated:
        found = jax.grad(lambda x: result(x=x)["loss"].sum())(inputs["x"])
    else:
        found = result(**inputs)[proof.result]
    assert found.dtype == "float32"
    assert scored(proof, found, "float32") <= FEW_ULPS
