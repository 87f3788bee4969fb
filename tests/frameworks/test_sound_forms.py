"""Textbook-stable forms in tensors pass `check` by default; 1/(1 + exp(−x)) does not."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

TORCH = """
import torch

def softmax(x):
    return torch.softmax(x, -1)

def log_softmax(x):
    at = x.argmax(-1, keepdim=True)
    below = x - x.gather(1, at)
    return below - torch.log1p(below.exp().scatter(1, at, 0.0).sum(-1, keepdim=True))

def logsumexp(x):
    at = x.argmax(-1, keepdim=True)
    top = x.gather(1, at)
    shift = torch.where(torch.isfinite(top), top, torch.zeros_like(top))
    rest = (x - shift).exp().scatter(1, at, 0.0).sum(-1, keepdim=True)
    return (top + torch.log1p(rest))[:, 0]

def sigmoid(x):
    return 1 / (1 + torch.exp(-x))
"""

JAX = """
import jax
import jax.numpy as jnp

def others(x, at):
    return jnp.arange(x.shape[1])[None] != at

def softmax(x):
    return jax.nn.softmax(x)

def log_softmax(x):
    at = x.argmax(-1)[:, None]
    below = x - jnp.take_along_axis(x, at, 1)
    rest = jnp.where(others(x, at), jnp.exp(below), 0).sum(-1, keepdims=True)
    return below - jnp.log1p(rest)

def logsumexp(x):
    at = x.argmax(-1)[:, None]
    top = jnp.take_along_axis(x, at, 1)
    shift = jnp.where(jnp.isfinite(top), top, 0)
    rest = jnp.where(others(x, at), jnp.exp(x - shift), 0).sum(-1, keepdims=True)
    return (top + jnp.log1p(rest))[:, 0]

def sigmoid(x):
    return 1 / (1 + jnp.exp(-x))
"""


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("loss", ["softmax", "log_softmax", "logsumexp", "sigmoid"])
def test_by_default(tmp_path, framework, loss):
    """JAX flushes on the CPU: there the zeros of the sigmoid are no fault of its form."""
    if find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    status = 1 if (framework, loss) == ("torch", "sigmoid") else 0
    (tmp_path / "forms.py").write_text({"torch": TORCH, "jax": JAX}[framework])
    command = [sys.executable, "-m", "xentcheck", "check", f"forms.py:{loss}", "--loss", loss]
    options = ["--framework", framework, "--gradient", "none", "--dtype", "float32"]
    done = subprocess.run(
        [*command, *options, "--workers", "1"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == status, done.stdout
