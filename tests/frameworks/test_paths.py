"""The value on the way to a gradient, in the frameworks that can be asked for it."""

import importlib.util
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from xentcheck import audit
from xentcheck.model import Kind

TORCH = """
    import torch
    from torch.nn import functional

    def sound(x, y):
        return functional.cross_entropy(x, y, reduction="none")

    def two(x, y):
        return sound(x, y) + 1e-4 * torch.is_grad_enabled()
"""

JAX = """
    import jax
    import jax.numpy as jnp

    @jax.custom_vjp
    def two(x, y):
        return sound(x, y)

    def sound(x, y):
        lse = jax.nn.logsumexp(x, axis=1)
        return lse - jnp.take_along_axis(x, y[:, None], axis=1)[:, 0]

    def forward(x, y):
        return sound(x, y) + 1e-4, (x, y)

    def backward(saved, g):
        x, y = saved
        return g[:, None] * (jax.nn.softmax(x) - jax.nn.one_hot(y, x.shape[1])), None

    two.defvjp(forward, backward)
"""


@pytest.mark.parametrize(("framework", "code"), [("torch", TORCH), ("jax", JAX)])
@pytest.mark.parametrize(("name", "differs"), [("sound", False), ("two", True)])
def test_a_value_that_differs_on_the_way_to_a_gradient_is_inconsistent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    framework: str,
    code: str,
    name: str,
    *,
    differs: bool,
) -> None:
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(dedent(code))

    rows = (np.array([[0.0, 1.0], [2.0, 0.5]], dtype=np.float32), np.array([0, 1]))
    report = audit(
        f"mine.py:{name}",
        "softmax_cross_entropy",
        framework=framework,
        inputs=rows,
        quantities="value",
        or_abs=1e-3,
        sanity_check=False,
    )
    kinds = {each.kind for each in report.findings}
    assert (Kind.INCONSISTENT in kinds) is differs
    assert Kind.INVARIANT not in kinds
