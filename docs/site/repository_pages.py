"""MkDocs hook: brings into the site what lies outside ``docs/``, and points links there.

README, changelog and model cards become pages; so does the source of every other file or folder that a page links to.
The documents themselves stay as they are: their links work in a checkout as well.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
CARDS, BENCHMARKS = "models/cards", "docs/benchmarks"
IMAGES = (".png", ".jpg", ".svg")
LANGUAGES = {".py": "python", ".toml": "toml"}
# A link or an image of Markdown; addresses and anchors within the page are left alone.
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Lists the pages of which there will be more; one that the nav does not name is a guide."""
    guides = next(section["Guides"] for section in config.nav if "Guides" in section)
    named = str(config.nav)
    guides += [path.name for path in sorted((ROOT / "docs").glob("*.md")) if f"'{path.name}'" not in named]
    config.nav += [
        {"Models": [{path.stem: _site_path(_name(path))} for path in sorted((ROOT / CARDS).glob("*.md"))]},
        {"Benchmarks": [{path.stem: _site_path(_name(path))} for path in sorted((ROOT / BENCHMARKS).glob("*.md"))]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds pages and pictures from outside ``docs/``."""
    for path in (*PAGES, *(_name(card) for card in sorted((ROOT / CARDS).glob("*.md")))):
        if (ROOT / path).is_file():
            files.append(File.generated(config, _site_path(path), abs_src_path=str(ROOT / path)))
    for page in [file for file in files if file.is_documentation_page()]:
        for target in _linked(page.content_string, _repository_path(page.src_uri)):
            _add(target, files, config)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Links of the checkout as links of the site."""
    here = _repository_path(page.file.src_uri)

    def moved(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(here), unquote(link[1])))
        if not (ROOT / target).exists():
            return link[1]  # a strict build complains about it
        return posixpath.relpath(_site_path(target), posixpath.dirname(page.file.src_uri) or ".")

    return LINK.sub(moved, markdown)


def _add(target: str, files: Files, config: MkDocsConfig) -> None:
    """The page or picture of one file or folder of the checkout, if it is not there yet."""
    uri, path = _site_path(target), ROOT / target
    if files.get_file_from_path(uri) is not None or not path.exists():
        return
    if path.suffix in IMAGES:
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    elif path.is_dir():
        inside = sorted(_name(file) for file in path.iterdir() if file.suffix in LANGUAGES)
        here = posixpath.dirname(uri)
        lines = [f"- [{posixpath.basename(name)}]({posixpath.relpath(_site_path(name), here)})" for name in inside]
        files.append(File.generated(config, uri, content="\n".join([f"# {target}", "", *lines])))
        for name in inside:
            _add(name, files, config)
    else:
        language, text = LANGUAGES.get(path.suffix, "text"), path.read_text(encoding="utf-8")
        files.append(File.generated(config, uri, content=f"# {target}\n\n````{language}\n{text}````\n"))


def _linked(markdown: str, here: str) -> Iterator[str]:
    """What a page of the checkout links to, as paths from the root of the checkout."""
    for link in LINK.findall(markdown):
        yield posixpath.normpath(posixpath.join(posixpath.dirname(here), unquote(link)))


def _site_path(path: str) -> str:
    """Where a file of the checkout lies in the site."""
    if path in PAGES:
        return PAGES[path]
    if path.endswith(".md"):
        return path.removeprefix("docs/").replace(CARDS, "models")
    return path if path.endswith(IMAGES) else f"source/{path.lstrip('.')}.md"  # MkDocs passes over hidden files


def _repository_path(uri: str) -> str:
    """The inverse for pages."""
    whole = {page: path for path, page in PAGES.items()}
    if uri in whole:
        return whole[uri]
    return uri.replace("models", CARDS, 1) if uri.startswith("models/") else f"docs/{uri}"


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()
