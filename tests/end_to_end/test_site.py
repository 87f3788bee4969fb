"""The documentation site: it builds without a warning, leads nowhere outside, and is complete."""

import re
from pathlib import Path
from urllib.parse import unquote, urldefrag

import click
import pytest
from lxml import html

from xentcheck.cli import cli
from xentcheck.config import FIELDS
from xentcheck.losses import LOSSES
from xentcheck.model import Cause, Kind

pytestmark = pytest.mark.slow

pytest.importorskip("sphinx", reason="the extra docs is not installed")


def tree(page: Path) -> html.HtmlElement:
    return html.document_fromstring(page.read_bytes())


def text_of(page: Path) -> str:
    return " ".join(tree(page).text_content().split())


def test_every_link_within_the_site_leads_somewhere(site: Path) -> None:
    pages = {each.resolve(): tree(each) for each in site.rglob("*.html")}
    names = {
        page: {each.get("id") for each in root.iter() if each.get("id")}
        for page, root in pages.items()
    }
    seen = 0
    for page, root in pages.items():
        for link in root.xpath("//a/@href"):
            address, anchor = urldefrag(link)
            if re.match(r"[a-z]+:", address):
                continue
            target = (page.parent / unquote(address)).resolve() if address else page
            assert target.exists(), (page, link)
            if anchor and target in names:
                assert unquote(anchor) in names[target], (page, link)
            seen += 1
    assert seen > 5_000


def test_no_page_loads_anything_from_outside(site: Path) -> None:
    for page in site.rglob("*.html"):
        root = tree(page)
        loaded = root.xpath("//script/@src | //img/@src | //link[@rel='stylesheet']/@href")
        assert loaded
        for each in loaded:
            assert not re.match(r"([a-z]+:)?//", each), (page, each)
    for style in [*site.rglob("*.css"), *site.rglob("*.svg")]:
        text = style.read_text(encoding="utf-8")
        assert not re.search(r"(url\(|@import )[\"']?https?:", text), style


def test_what_is_generated_is_complete(site: Path) -> None:
    for loss in LOSSES:
        assert (site / "losses" / f"{loss}.html").exists()
    for cause in Cause:
        page = site / "causes" / f"{cause}.html"
        assert bool(tree(page).xpath("//article//img/@src")) == (cause is not Cause.UNKNOWN)
    findings = tree(site / "findings.html")
    assert {each.get("id") for each in findings.iter()} >= set(Kind)
    commands = text_of(site / "commands.html")
    for name in cli.list_commands(click.Context(cli)):
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        assert f"xentcheck {name}" in commands
        for each in command.params:
            assert each.name == "help" or any(opt in commands for opt in each.opts), each
    document = text_of(site / "json" / "report.html")
    assert all(each in document for each in ("measurements", "max_ulp", "safe_ranges"))
    interface = text_of(site / "api.html")
    assert "assert_accurate" in interface
    assert "max_excess_bits" in interface
    assert FIELDS


def test_the_atlas_has_a_page_for_each_framework_and_loss(site: Path) -> None:
    from docs.pages.atlas import measured

    lines, _ = measured()
    for framework, loss in {(each.framework, each.loss) for each in lines}:
        functions = {
            each.function for each in lines if (each.framework, each.loss) == (framework, loss)
        }
        for page in (f"framework-{framework}.html", f"loss-{loss}.html"):
            shown = text_of(site / "atlas" / page)
            assert all(name in shown for name in functions)
    assert list(site.rglob("atlas.csv"))
