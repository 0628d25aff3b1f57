# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""An executed notebook to its reports: nbconvert to asciidoc once, then to pages of each format."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, TemplateError
from nbconvert.exporters import ASCIIDocExporter
from nbformat import NotebookNode
from traitlets.config import Config

from autoflow.child.acceptance import BrokenReportError, Expected, check_html, check_pdf
from autoflow.child.asciidoc import literal, literal_block, source_block
from autoflow.child.asciidoctor import Line
from autoflow.child.captions import put_captions
from autoflow.child.content import SHOWN_OUTPUTS, keep_content, visible_text
from autoflow.child.front_matter import Heading, bring_logo, document
from autoflow.child.html_tables import html_to_asciidoc
from autoflow.child.manifest import sha256, write_manifest
from autoflow.child.markdown import convert_all, lookup, with_title
from autoflow.child.maths import draw_formulas
from autoflow.child.pages import ConversionError, to_html, to_pdf
from autoflow.child.pictures import REFERENCE, PictureError, bring_attachments, bring_files, prepare_outputs
from autoflow.notebooks import TokenScan
from autoflow.resources import config_file

TEMPLATE = "asciidoc_extended.tpl"

FILES = ("template", "theme")
"""Files that outputs may name."""

OLD_TEMPLATES = DictLoader({"asciidoc.tpl": "{% extends 'asciidoc/index.asciidoc.j2' %}"})
"""Names that templates for older versions of nbconvert extend."""


class ReportError(Exception):
    """No report could be made; the message is for a person."""


def work(request: Mapping[str, Any], workspace: Path, line: Line | None = None) -> dict[str, Any]:
    """Convert an executed notebook.

    Parameters
    ----------
    request
        ``notebook``: its path; ``outputs``: for each report its ``format`` and ``path``, ``template`` and
        ``theme`` (paths, or None for AutoFlow's own), and ``code``, whether it is shown; ``manifest``:
        its ``path``, and what is ``known`` of the run, or None; ``inputs_dir``: where relative paths of
        images begin; ``inputs_root``: what they may not lead out of; ``title_fallback``: for a notebook
        that does not begin with a title; ``heading``: what stands on every page, by `Heading`'s fields.
    line
        To a process that makes the pages of PDFs; without one asciidoctor-pdf is started for each.

    Returns
    -------
    dict
        ``warnings``: what a person should know of the reports.

    Raises
    ------
    ReportError
        Naming the step that failed, and why.
    """
    # for the scan alone: the programs that are called have no use for it
    scan = TokenScan.of(os.environ.pop("FLOWAPI_TOKEN", None))
    warnings: list[str] = []
    documents: dict[tuple[str | None, bool], Document] = {}
    made = []
    try:
        for output in request["outputs"]:
            manner = output.get("template"), output.get("code", False)
            if manner not in documents:
                directory = workspace / f"document-{len(documents) + 1}"
                directory.mkdir(exist_ok=True)
                documents[manner] = write_document(request, directory, *manner)
                warnings += documents[manner].warnings
            made.append(_make(documents[manner], output, scan, warnings, line))
    except (PictureError, ConversionError, BrokenReportError) as error:
        raise ReportError(str(error)) from error
    if request.get("manifest"):
        files = {key: next((each[key] for each in request["outputs"] if each.get(key)), None) for key in FILES}
        text = write_manifest(Path(request["manifest"]["path"]), request["manifest"]["known"], made, files)
        if scan.is_in(text):
            raise ReportError("FlowAPI's token is in the manifest; is it among the parameters?")
    return {"warnings": list(dict.fromkeys(warnings))}


def prepare() -> None:
    """Have ready what all reports need, before processes are forked for them."""
    import_module("pypdf")
    convert_all(["a *text*"], _html)
    _exporter(config_file(TEMPLATE)).from_notebook_node(nbformat.v4.new_notebook())


@dataclass(frozen=True)
class Document:
    """The asciidoc that reports of several formats are made of."""

    source: Path
    expected: Expected
    warnings: list[str]
    heading: Heading
    logo: Path | None


def _make(
    document: Document, output: Mapping[str, Any], scan: TokenScan, warnings: list[str], line: Line | None
) -> dict[str, Any]:
    """Make one report, look at it, and describe it."""
    path = Path(output["path"])
    if output["format"] == "pdf":
        warnings += to_pdf(document.source, path, Path(output["theme"]) if output.get("theme") else None, line)
        found = check_pdf(path, document.expected)
    else:
        warnings += to_html(document.source, path, document.heading, document.logo)
        found = check_html(path, document.expected)
    if scan.is_in(found.text) or (output["format"] == "html" and scan.is_in(path.read_text(encoding="utf-8"))):
        raise ReportError(f"FlowAPI's token is in the {output['format']}, which is not kept")
    return {
        "file": path.name,
        "format": output["format"],
        "pages": found.pages,
        "made_by": found.producer,
        "sha256": sha256(path),
    }


def write_document(request: Mapping[str, Any], directory: Path, template: str | None, code: bool) -> Document:
    """Write the asciidoc document that all formats are made of, its pictures beside it."""
    notebook = nbformat.read(request["notebook"], as_version=4)
    warnings = keep_content(notebook, code=code)
    prepare_outputs(notebook)
    put_captions(notebook)
    bring_attachments(notebook, directory)
    converted = convert_all(_markdown_of(notebook), _html)
    body = to_asciidoc(notebook, converted, template, directory)
    inputs = Path(request["inputs_dir"])
    body, undrawn = draw_formulas(body, directory)
    body = bring_files(body, inputs, Path(request.get("inputs_root") or inputs), directory)
    heading = Heading(**request.get("heading", {}))
    title, body = with_title(body, literal(request["title_fallback"]), literal(heading.title or ""))
    source = directory / "report.adoc"
    logo = bring_logo(heading, directory)
    source.write_text(document(body, title, heading, logo), encoding="utf-8")
    pictures = {directory / match.group(2) for match in REFERENCE.finditer(body)}
    shown = "\n".join([*_shown(notebook), *converted.values(), *map(str, request.get("heading", {}).values())])
    expected = Expected(frozenset(picture for picture in pictures if picture.is_file()), shown)
    return Document(source, expected, warnings + undrawn, heading, logo)


def _shown(notebook: NotebookNode) -> Iterator[str]:
    """Give the texts that pages may quote as they are."""
    for cell in notebook.cells:
        yield str(cell.metadata.get("caption", ""))
        if cell.cell_type != "markdown":
            yield cell.source
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            yield output.get("text", "")
            yield data.get("text/plain", "")
            yield data.get("text/latex", "")
            yield visible_text(data.get("text/html", ""))


def to_asciidoc(notebook: NotebookNode, converted: Mapping[str, str], template: str | None, workspace: Path) -> str:
    """Convert to asciidoc, and leave the images in the workspace."""
    path = Path(template) if template else config_file(TEMPLATE)
    try:
        exporter = _exporter(path)
        exporter.register_filter("markdown2asciidoc", lookup(converted, _html))
        body, resources = exporter.from_notebook_node(notebook)
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f", line {number}" if number else ""
        raise ReportError(f"the template {path}{line}: {error}") from error
    for name, content in resources.get("outputs", {}).items():
        (workspace / name).write_bytes(content)
    return str(body)


@cache
def _exporter(template: Path) -> ASCIIDocExporter:
    """Make what converts with a template, which keeps what it has compiled of that."""
    exporter = ASCIIDocExporter(
        # by name and directory: given a path, nbconvert frowns on the suffix that its users' templates have
        template_file=template.name,
        extra_template_paths=[str(template.parent), str(config_file(TEMPLATE).parent)],
        extra_loaders=[OLD_TEMPLATES],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        config=Config({"NbConvertBase": {"display_data_priority": list(SHOWN_OUTPUTS)}}),
    )
    exporter.register_filter("html2asciidoc", _html)
    exporter.register_filter("literal_block", literal_block)
    exporter.register_filter("source_block", source_block)
    return exporter


def _html(html: str) -> str:
    """Convert HTML: tables ourselves, anything else as its text."""
    tables = html_to_asciidoc(html)
    if tables is not None:
        return tables
    return "\n\n".join(literal(line) for line in visible_text(html).splitlines() if line.strip())


def _markdown_of(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield cell.source
        for output in cell.get("outputs", ()):
            for kind in ("text/markdown", "text/latex"):
                if kind in output.get("data", {}):
                    yield output.data[kind]
