"""The documentation as a site: built strictly, so that every link, anchor and docstring of it holds."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer
from installed import needs

import tracker
from tracker.cli import app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    needs("mkdocs", "material", "mkdocstrings", extra="docs")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", "docs/site/mkdocs.yml", "-d", str(folder)]
    # A proxy that isn't there: whatever is fetched fails.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    run = subprocess.run(build, cwd=ROOT, env=os.environ | nowhere, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return folder


def test_every_page_of_the_documents_is_in(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    missing = [page for page in pages if not (site / page.with_suffix(".html")).is_file()]
    assert missing == []
    for page in ("index", "changelog", "contributing", "models/fine256"):
        assert (site / f"{page}.html").is_file()


def test_the_commands_are_told_as_the_command_line_has_them(site: Path) -> None:
    page = html.unescape((site / "reference" / "commands.html").read_text(encoding="utf-8"))
    group = typer.main.get_group(app)
    context = typer.Context(group, info_name="fewmark")
    for name in group.list_commands(context):
        assert f'<h2 id="fewmark-{name}">fewmark {name}' in page
    assert "--model NAME|FILE" in page
    assert "fewmark train landmarks" in page


def test_the_public_names_are_told_as_the_code_has_them(site: Path) -> None:
    page = html.unescape((site / "reference" / "tracker.html").read_text(encoding="utf-8"))
    for name in tracker.__all__:
        assert f'id="tracker.{name}"' in page
    assert "(H, W, 3) RGB" in page  # the comment behind Frame.image


def test_the_reader_fetches_nothing_from_elsewhere(site: Path) -> None:
    outside = re.compile(r"""<(?:script|img|iframe|link)\b[^>]*(?:src|href)=["']?(?:https?:)?//[^>]*>""")
    fetched = {found[0] for path in site.rglob("*.html") for found in outside.finditer(path.read_text("utf-8"))}
    assert fetched == set()


def test_every_link_leads_somewhere(site: Path) -> None:
    link = re.compile(r"""<(?:a|img)\b[^>]*?(?:href|src)="(?![a-z]+:|#)([^"#?]+)""")
    dead = [
        f"{page.relative_to(site)}: {target}"
        for page in site.rglob("*.html")
        if page.name != "404.html"  # served for any address
        for target in link.findall(page.read_text(encoding="utf-8"))
        if not (page.parent / unquote(html.unescape(target))).exists()
    ]
    assert dead == []


def test_an_example_is_a_page_with_its_source(site: Path) -> None:
    page = (site / "source" / "docs" / "examples" / "live_loop.py.html").read_text(encoding="utf-8")
    assert "open_tracker" in page
    library = (site / "library.html").read_text(encoding="utf-8")
    assert 'href="source/docs/examples/live_loop.py.html"' in library
