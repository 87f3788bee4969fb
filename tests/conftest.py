"""Tests of adapters are collected only where their frameworks are installed; the header says so."""

from importlib.util import find_spec

_NEEDS = {
    "boosting": ("xgboost", "lightgbm"),
    "jax": ("jax", "optax"),
    "liger": ("liger_kernel",),
    "mlx": ("mlx",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "paddle": ("paddle",),
    "pytorch": ("torch",),
    "scipy": ("scipy",),
    "sklearn": ("sklearn",),
    "tensorflow": ("tensorflow", "keras"),
}
_MISSING = {
    name: [module for module in modules if find_spec(module) is None]
    for name, modules in _NEEDS.items()
}

collect_ignore = [f"frameworks/test_{name}.py" for name, missing in _MISSING.items() if missing]


def pytest_report_header() -> str:
    missing = sorted({module for modules in _MISSING.values() for module in modules})
    return f"adapters not tested, not installed: {', '.join(missing) or 'none'}"
