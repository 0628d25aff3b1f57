# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The docs hang together: links lead somewhere, and every page can be found."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from autoflow.cli import build_parser
from autoflow.parser import json_schema
from tests.conftest import ROOT
from tests.reference import REFERENCE, written_anew

DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
FENCED = re.compile(r"^( *)```.*?^\1```", re.MULTILINE | re.DOTALL)
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
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


def test_no_bar_is_in_the_code_of_a_table() -> None:
    """GitHub wants it escaped, and elsewhere the escape is shown."""
    assert [page for page in PAGES if r"\|" in prose(page)] == []


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


PLACEHOLDERS = {
    "WORKFLOW": "flows", "NAME": "flows", "DATE": "2016-01-31", "FROM": "2016-01-01", "TO": "2016-01-31", "RUN": "12",
    "FILE": "file", "DIR": "directory", "SOURCE": "runs.csv", "FILE.py": "dag.py",
}  # fmt: skip
"""What stands for something else in the examples of commands."""


CALL = re.compile(r"(?:^|[;&|(] *|/bin/|exec autoflow |\w=\S+ )autoflow(?: ([^;|&)>]*)|$)")


def commands_of(page: Path) -> Iterator[list[str]]:
    """Yield the arguments of each call of autoflow in the blocks of a page."""
    for block in re.findall(r"^ *```console\n(.*?)^ *```", page.read_text(), re.MULTILINE | re.DOTALL):
        for line in re.findall(r"^ *[$#] (.*)$", block.replace("\\\n", ""), re.MULTILINE):
            for match in CALL.finditer(line.partition(" #")[0]):
                yield [PLACEHOLDERS.get(word, word) for word in shlex.split((match[1] or "").removesuffix(" 2"))]


def test_commands_in_the_docs_are_commands_that_there_are() -> None:
    parser = build_parser()
    calls = [(page, words) for page in PAGES for words in commands_of(page) if words != ["--version"]]
    assert len(calls) > 30
    for page, words in calls:
        try:
            parser.parse_args(words)
        except SystemExit:
            pytest.fail(f"{page}: autoflow {' '.join(words)}")


def without_requirements(schema: Any) -> Any:
    """Return a schema that takes parts of a file too."""
    if isinstance(schema, dict):
        return {key: without_requirements(value) for key, value in schema.items() if key != "required"}
    return [without_requirements(value) for value in schema] if isinstance(schema, list) else schema


def as_file(part: Any) -> Any:
    """Put a part of workflows.yml where it belongs in the file."""
    part = part[0] if isinstance(part, list) else part
    if "notebooks" in part:
        return {"workflows": [{"name": "w", **part}]}
    if "workflow_name" in part:
        return {"available_dates_sensor": {"workflows": [part]}}
    if set(part) == {"workflows"} and "workflow_name" in part["workflows"][0]:
        return {"available_dates_sensor": part}
    return part


def test_examples_of_workflows_yml_have_the_keys_that_there_are() -> None:
    validator = jsonschema.Draft202012Validator(without_requirements(json_schema()))
    examples = [(page, block) for page in PAGES for block in YAML.findall(page.read_text())]
    assert len(examples) > 10
    for page, block in examples:
        # dates are text for JSON Schema
        file = json.loads(json.dumps(as_file(yaml.safe_load(block)), default=str))
        wrong = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(file)]
        assert wrong == [], f"{page}: {block}"
