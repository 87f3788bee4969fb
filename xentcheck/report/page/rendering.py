"""Fills the templates of pages."""

import functools
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import altair
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xentcheck._version import __version__
from xentcheck.model import Measurement
from xentcheck.model.profiles import ERROR
from xentcheck.report.page.packing import packed, packed_json, packed_profiles
from xentcheck.report.pictures import charts

SIGNS: Mapping[str, str] = {"passed": "✔", "failed": "✘", "incomplete": "!", "survey": "●"}
"""The sign of each state: colour never stands alone."""


def rendered(
    template: str,
    data: dict[str, Any],
    details: Any,
    measurements: Sequence[Measurement | None],
    **shown: Any,
) -> str:
    """A page as text.

    Args:
        template: the name of its template.
        data: what the script needs at once.
        details: what it needs when a cell is opened.
        measurements: those of the cells whose profiles are drawn, in the order of ``data``.
        shown: the variables of the template. Their texts are clean; the template escapes them.
    """
    head, profiles, merged = packed_profiles(measurements)
    library = ""
    if data["axes"]:
        data |= {"profiles": head, "figures": figures(tuple(data["axes"])), "most": charts.MOST}
        library = packed_library()
    packs = {
        "data": packed_json(data),
        "details": packed_json(details),
        "profiles": profiles,
        "library": library,
    }
    text = _environment().get_template(template)
    return text.render(
        packs={name: Markup(pack) for name, pack in packs.items()},
        style=_file("style.css"),
        script=_file("page.js"),
        version=__version__,
        merged=merged,
        **shown,
    )


@functools.cache
def figures(axes: tuple[str, ...]) -> dict[str, Any]:
    """The specifications of the charts by axis, without data."""
    made = {axis: charts.errors(axis).to_dict() for axis in axes}
    return {**made, ERROR: charts.distribution().to_dict()}


@functools.cache
def packed_library() -> str:
    """The scripts that draw charts, out of the package vl-convert-python, packed."""
    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    keep = "window.vegaEmbed = vegaEmbed;"
    return packed(vl_convert.javascript_bundle(keep, vl_version=version))


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("xentcheck.report.page", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def _file(name: str) -> Markup:
    """A style sheet or script of this package. It must not end its own element."""
    text = resources.files("xentcheck.report.page").joinpath(name).read_text("utf-8")
    assert "</s" not in text, name
    return Markup(text)
