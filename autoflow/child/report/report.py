# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""An executed notebook to its reports: nbconvert to asciidoc once, then to pages of each format."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, TemplateError
from nbconvert.exporters import ASCIIDocExporter
from nbformat import NotebookNode
from traitlets.config import Config

from autoflow.child.asciidoctor import Line
from autoflow.child.report.acceptance import BrokenReportError, Expected, check_html, check_pdf
from autoflow.child.report.asciidoc import literal, literal_block, source_block
from autoflow.child.report.captions import put_captions
from autoflow.child.report.content import SHOWN_OUTPUTS, keep_content
from autoflow.child.report.conversion import ConversionError, Note, to_html, to_pdf
from autoflow.child.report.expected import expected_cells, markdown_text
from autoflow.child.report.front_matter import Heading, bring_logo, document
from autoflow.child.report.html_content import Converted, convert, visible_text
from autoflow.child.report.manifest import write_manifest
from autoflow.child.report.markdown import convert_all, lookup, with_title
from autoflow.child.report.maths import draw_formulas
from autoflow.child.report.notices import MARK, as_json, cells_with, placed
from autoflow.child.report.pictures import (
    REFERENCE,
    PictureError,
    Pictures,
    bring_attachments,
    bring_files,
    prepare_outputs,
)
from autoflow.files import file_hash
from autoflow.notebooks import TokenScan
from autoflow.notices import Notice
from autoflow.resources import config_file

TEMPLATE = "asciidoc_extended.tpl"

FILES = ("template", "theme")
"""Files that outputs may name."""

OLD_TEMPLATES = DictLoader({"asciidoc.tpl": "{% extends 'asciidoc/index.asciidoc.j2' %}"})
"""Names that templates for older versions of nbconvert extend."""


RAW_HTML = re.compile(r"autoflow-html-([01])-([0-9a-f]*)")
"""What stands in the place of HTML among markdown until it is known which cell it is of."""

FOLDED_CODE = r"ifdef::backend-html5\[\]\n.*?\nendif::\[\]\n"


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
        ``warnings``: what a person should know of the reports, each with its ``cell`` and ``message``.

    Raises
    ------
    ReportError
        Naming the step that failed, and why.
    """
    # for the scan alone: the programs that are called have no use for it
    scan = TokenScan.of(os.environ.pop("FLOWAPI_TOKEN", None))
    notices: list[Notice] = []
    documents: dict[tuple[str | None, bool], Document] = {}
    made = []
    try:
        for output in request["outputs"]:
            manner = output.get("template"), output.get("code", False)
            if manner not in documents:
                directory = workspace / f"document-{len(documents) + 1}"
                directory.mkdir(exist_ok=True)
                documents[manner] = write_document(request, directory, *manner)
                notices += documents[manner].notices
            made.append(_make(documents[manner], output, scan, notices, line))
    except (PictureError, ConversionError, BrokenReportError) as error:
        raise ReportError(str(error)) from error
    if request.get("manifest"):
        files = {key: next((each[key] for each in request["outputs"] if each.get(key)), None) for key in FILES}
        known = {**request["manifest"]["known"], "warnings": as_json(notices)}
        text = write_manifest(Path(request["manifest"]["path"]), known, made, files)
        if scan.is_in(text):
            raise ReportError("FlowAPI's token is in the manifest; is it among the parameters?")
    return {"warnings": as_json(notices)}


def prepare() -> None:
    """Prepare what all reports need, before processes are forked for them."""
    import_module("pypdfium2")
    convert_all(["a *text*"], lambda text, _: text)
    markdown_text("a *text*")
    visible_text("<p>text</p>")
    _exporter(config_file(TEMPLATE)).from_notebook_node(nbformat.v4.new_notebook())


@dataclass(frozen=True)
class Document:
    """The asciidoc that reports of several formats are made of."""

    source: Path
    expected: Expected
    notices: list[Notice]
    texts: Mapping[int, str]
    """What each cell shows, by its number."""
    heading: Heading
    logo: Path | None


def _make(
    document: Document, output: Mapping[str, Any], scan: TokenScan, notices: list[Notice], line: Line | None
) -> dict[str, Any]:
    """Make one report, look at it, and describe it."""
    path = Path(output["path"])
    if output["format"] == "pdf":
        said = to_pdf(document.source, path, Path(output["theme"]) if output.get("theme") else None, line)
        blank = frozenset(character for each in said for character in each.blank)
        found = check_pdf(path, document.expected, blank)
    else:
        said = to_html(document.source, path, document.heading, document.logo)
        found = check_html(path, document.expected)
    for each in said:
        notices += _with_cells(each, document)
    if scan.is_in(found.text) or (output["format"] == "html" and scan.is_in(path.read_text(encoding="utf-8"))):
        raise ReportError(f"FlowAPI's token is in the {output['format']}, which is therefore discarded")
    return {
        "file": path.name,
        "format": output["format"],
        "pages": found.pages,
        "made_by": found.producer,
        "sha256": file_hash(path),
    }


def _with_cells(said: Note, document: Document) -> list[Notice]:
    """Say which cells a message is about: by the characters that it is about, or by its line."""
    if said.characters:
        cells = cells_with(said.characters, document.texts)
        return [Notice(cell, said.message) for cell in cells] or [Notice(None, said.message)]
    return [placed(said.message, document.source.read_text(encoding="utf-8"))]


def write_document(request: Mapping[str, Any], directory: Path, template: str | None, code: bool) -> Document:
    """Write the asciidoc document that all formats are made of, its pictures beside it."""
    notebook = nbformat.read(request["notebook"], as_version=4)
    inputs = Path(request["inputs_dir"])
    pictures = Pictures(inputs, Path(request.get("inputs_root") or inputs), directory)
    notices = [*keep_content(notebook, code=code), *prepare_outputs(notebook)]
    put_captions(notebook)
    bring_attachments(notebook, directory)
    content = _convert(notebook, pictures)
    body = bring_files(to_asciidoc(notebook, content, template, directory), pictures)
    body, undrawn = draw_formulas(body, directory)
    heading = Heading(**request.get("heading", {}))
    title, body = with_title(_unmarked_head(body), literal(request["title_fallback"]), literal(heading.title or ""))
    source = directory / "report.adoc"
    logo = bring_logo(heading, directory)
    text = document(body, title, heading, logo)
    source.write_text(text, encoding="utf-8")
    texts = {cell.metadata["autoflow"]["number"]: _text_of(cell) for cell in notebook.cells}
    notices += content.notices
    for each in undrawn:
        notices.append(Notice(next(iter(cells_with([each.formula], texts)), None), each.message))
    known = [*_shown(notebook), *content.markdown.values(), *map(str, request.get("heading", {}).values())]
    # what a template of somebody's own leaves out is left out on purpose
    wanted = () if template else expected_cells(notebook, content.html_texts, text, directory)
    files = {directory / match.group(2) for match in REFERENCE.finditer(body)}
    expected = Expected(frozenset(file for file in files if file.is_file()), "\n".join(known), wanted)
    return Document(source, expected, notices, texts, heading, logo)


@dataclass(frozen=True)
class Content:
    """What cells show, as asciidoc by what it is made of."""

    markdown: Mapping[str, str]
    html: Mapping[str, str]
    html_texts: Mapping[str, str]
    """What a reader sees of HTML."""
    notices: list[Notice]
    others: Callable[..., str]
    """Converts HTML that no cell has, as a template may make."""


def _convert(notebook: NotebookNode, pictures: Pictures) -> Content:
    """Convert the markdown and the HTML of all cells.

    Raises
    ------
    PictureError
        With all pictures that are not there, and their cells.
    """
    notices: list[Notice] = []
    missing: list[str] = []
    html: dict[tuple[str, bool], Converted] = {}

    def converted(number: int, text: str, *, nested: bool = False) -> str:
        if (text, nested) not in html:
            html[text, nested] = convert(text, pictures, nested=nested)
        made = html[text, nested]
        notices.extend(Notice(number, f"{what} cannot be in a report") for what in made.lost)
        if made.empty:
            notices.append(Notice(number, "a table has no rows"))
        missing.extend(f"cell {number}: {what}" for what in made.missing)
        return made.asciidoc

    texts = list(_markdown_of(notebook))
    markdown = convert_all((text for _, text in texts), _placeholder)
    for text, number in {text: number for number, text in reversed(texts)}.items():
        whole = RAW_HTML.sub(partial(_in_place, partial(converted, number)), markdown[text])
        try:
            markdown[text] = bring_files(whole, pictures, f"cell {number}: ")
        except PictureError as error:
            missing.append(str(error))
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):
                converted(cell.metadata["autoflow"]["number"], output.data["text/html"])
    if missing:
        raise PictureError("; ".join(dict.fromkeys(missing)))
    return Content(
        markdown,
        {text: each.asciidoc for (text, nested), each in html.items() if not nested},
        {text: each.text for (text, nested), each in html.items() if not nested},
        notices,
        lambda text, nested=False: convert(text, pictures, nested=nested).asciidoc,
    )


def _placeholder(html: str, nested: bool) -> str:
    return f"autoflow-html-{nested:d}-{html.encode().hex()}"


def _in_place(converted: Callable[..., str], placeholder: re.Match[str]) -> str:
    """Convert the HTML that a placeholder stands for."""
    return converted(bytes.fromhex(placeholder[2]).decode(), nested=placeholder[1] == "1")


def _unmarked_head(body: str) -> str:
    """Remove the marks of cells from what is above the first heading, where the title is looked for."""
    head = re.match(rf"(?:\s|{MARK.pattern}|{FOLDED_CODE})*", body, re.MULTILINE | re.DOTALL)
    return MARK.sub("", head.group()) + body[head.end() :] if head else body


def _text_of(cell: NotebookNode) -> str:
    """Join all that a cell has."""
    outputs = cell.get("outputs", ())
    datas = [output.get("data", {}) for output in outputs]
    return "\n".join(
        [
            cell.source,
            *(output.get("text", "") for output in outputs),
            *(str(v) for data in datas for k, v in data.items() if k.startswith("text/")),
        ]
    )


def _shown(notebook: NotebookNode) -> Iterator[str]:
    """Yield the texts that pages may quote as they are."""
    for cell in notebook.cells:
        yield str(cell.metadata.get("caption", ""))
        if cell.cell_type != "markdown":
            yield cell.source
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            yield str(output.get("metadata", {}).get("caption", ""))
            yield output.get("text", "")
            yield data.get("text/plain", "")
            yield data.get("text/latex", "")
            yield visible_text(data.get("text/html", ""))


def to_asciidoc(notebook: NotebookNode, content: Content, template: str | None, workspace: Path) -> str:
    """Convert to asciidoc, and leave the images in the workspace."""
    path = Path(template) if template else config_file(TEMPLATE)
    try:
        exporter = _exporter(path)
        exporter.register_filter("markdown2asciidoc", lookup(content.markdown, content.others))
        exporter.register_filter("html2asciidoc", lambda text: content.html.get(text) or content.others(text))
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
    # those of the notebook take their place
    exporter.register_filter("html2asciidoc", literal)
    exporter.register_filter("markdown2asciidoc", literal)
    exporter.register_filter("literal_block", literal_block)
    exporter.register_filter("source_block", source_block)
    return exporter


def _markdown_of(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    for cell in notebook.cells:
        number = cell.metadata["autoflow"]["number"]
        if cell.cell_type == "markdown":
            yield number, cell.source
        for output in cell.get("outputs", ()):
            for kind in ("text/markdown", "text/latex"):
                if kind in output.get("data", {}):
                    yield number, output.data[kind]
