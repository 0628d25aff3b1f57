# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The docs hang together: links lead somewhere, and every page can be found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from autoflow.cli import build_parser
from tests.conftest import ROOT
from tests.reference import REFERENCE, written_anew

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r'\]\(([^)\s]+)\)|(?:src|href|srcset)="([^"]+)"')


def prose(page: Path) -> str:
    """Return a page without its blocks of code."""
    return FENCED.sub("", page.read_text(encoding="utf-8"))


def links_of(page: Path) -> Iterator[str]:
    for match in LINK.finditer(re.sub(r"`[^`\n]+`", "", prose(page))):
        if not re.match(r"[a-z]+:", target := match[1] or match[2]):
            yield target


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_are_there(page: Path) -> None:
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page}: {link}"
        assert not anchor or anchor in anchors_of(target), f"{page}: {link}"
        assert page.parent == ROOT or target.is_relative_to(DOCS), f"{page}: {link} leaves the site that docs/ makes"


def test_every_page_is_linked_from_the_first_one() -> None:
    linked = {(DOCS / link.partition("#")[0]).resolve() for link in links_of(DOCS / "README.md")}
    assert set(DOCS.rglob("*.md")) - linked == {DOCS / "README.md"}


def test_every_page_has_its_place_in_the_site() -> None:
    placed = re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text())
    assert sorted(placed) == sorted(str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md"))


@pytest.mark.parametrize("picture", sorted(DOCS.rglob("*.svg")), ids=lambda picture: picture.name)
def test_pictures_can_be_read_in_the_dark_and_by_ear_and_load_nothing(picture: Path) -> None:
    root = ElementTree.parse(picture).getroot()
    assert all(root.findtext(f"{{{root.tag[1:].partition('}')[0]}}}{name}") for name in ("title", "desc"))
    assert "prefers-color-scheme: dark" in picture.read_text()
    assert re.findall(r"https?://[^\"]+", picture.read_text()) == ["http://www.w3.org/2000/svg"]


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


@pytest.mark.parametrize("page", sorted(REFERENCE.glob("*.md")), ids=lambda page: page.name)
def test_the_reference_is_what_the_code_says(page: Path) -> None:
    assert written_anew(page.read_text()) == page.read_text(), "write it anew: make reference"


def test_every_command_is_explained() -> None:
    explained = (REFERENCE / "commands.md").read_text().partition("<!-- commands -->")[0]
    help_text = build_parser().format_help().partition("\ncommands:")[2].partition("\n\n")[0]
    commands = re.findall(r"^    ([a-z-]+)", help_text, re.MULTILINE)
    assert len(commands) > 15
    assert [name for name in commands if f"autoflow {name}" not in explained and f"`{name}`" not in explained] == []


def test_messages_that_troubleshooting_explains_are_those_of_the_code() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "autoflow").rglob("*.py"))
    headings = re.findall(r"^### (.*)$", (DOCS / "troubleshooting.md").read_text(), re.MULTILINE)
    parts = {
        part.strip()
        for heading in headings
        for message in re.findall(r"`([^`]+)`", heading)
        for part in message.split("...")
        if part.strip(" ():;")
    }
    assert len(parts) > 20
    theirs = {"/api/0/poll/", "not found", "status 'errored'"}
    assert [part for part in parts - theirs if part not in code] == []
