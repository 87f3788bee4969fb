"""How Sphinx builds the site: ``python -m sphinx -W docs build/site``. See docs/contributing.md."""

import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any

_DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(_DOCS.parent))  # the generators are the package `docs.pages` of this clone

from pygments.lexers.special import TextLexer  # noqa: E402
from sphinx.highlighting import lexers  # noqa: E402

from docs.pages.writing import write  # noqa: E402
from xentcheck import __version__  # noqa: E402

write(_DOCS)
lexers["mermaid"] = TextLexer()  # graphs of docs/contributing.md, as their text

project = "xentcheck"
author = "The xentcheck maintainers"
copyright = author  # noqa: A001
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
exclude_patterns = ["examples/**/.*", "pages/**", "pictures/**", "data/**"]

nitpicky = True  # a reference to nothing is a warning
nitpick_ignore = [("py:class", "xentcheck.registry.Function")]  # a type variable
nitpick_ignore_regex = [
    # Types as docstrings write them, and those of other packages, whose inventories are elsewhere.
    ("py:.*", r"[^.]*"),
    ("py:.*", r"(numpy|np|collections|os|pathlib|typing|click)\..*"),
]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_use_ivar = True
smartquotes = False  # "--format" is no dash
default_role = "code"  # docstrings write code between single backticks
copybutton_exclude = ".linenos, .gp, .go"

html_theme = "pydata_sphinx_theme"
html_title = "xentcheck"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["paper.js"]
html_favicon = "static/icon.svg"
html_context = {"default_mode": "auto"}  # without it the theme complains in the console
html_sidebars = {"index": [], "tutorial": []}
html_show_sourcelink = False
html_domain_indices = False  # modules are on the page of the Python interface
html_theme_options = {
    "navbar_align": "left",
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": {"**": ["page-toc"], "atlas": []},
    "show_prev_next": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}

linkcheck_anchors = False  # pages that are made by scripts have none
linkcheck_workers = 4


def _escaped(_: Any, __: Any, lines: list[str]) -> None:
    """Help texts are no reStructuredText: stars in patterns are stars."""
    lines[:] = [
        line if line.lstrip().startswith("..") else re.sub(r"(?<!\\)\*", r"\\*", line)
        for line in lines
    ]


def _described(app: Any, context: Any, lines: list[str]) -> None:
    """What a help text keeps as it stands, such as examples, is a block of code."""
    whole: list[str] = []
    for stands, group in groupby(lines, lambda line: line.startswith("| ")):
        part = list(group)
        if not stands:
            _escaped(app, context, part)
            whole += part
            continue
        head, *rest = (line.removeprefix("| ") for line in part)
        whole += [head, ""] if rest and head.endswith(":") else []
        shown = rest if rest and head.endswith(":") else [head, *rest]
        whole += [".. code-block:: text", "", *(f"   {line}" for line in shown), ""]
    lines[:] = whole


def _barred(_: Any, __: Any, ___: Any, ____: Any, _____: Any, lines: list[str]) -> None:
    """Bars in docstrings are absolute values."""
    lines[:] = [line.replace("|", r"\|") for line in lines]


def setup(app: Any) -> None:
    """Connect what help texts and docstrings need."""
    app.connect("sphinx-click-process-description", _described)
    for part in ("options", "arguments", "epilog"):
        app.connect(f"sphinx-click-process-{part}", _escaped)
    app.connect("autodoc-process-docstring", _barred)
