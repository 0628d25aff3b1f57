# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""An executed notebook to its reports: nbconvert to asciidoc once, then to pages of each format."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, TemplateError
from nbconvert.exporters import ASCIIDocExporter
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from traitlets.config import Config

from autoflow.child.content import SHOWN_OUTPUTS, keep_content, visible_text
from autoflow.child.html_tables import html_to_asciidoc, literal
from autoflow.child.markdown import PandocError, convert_all, lookup, with_title
from autoflow.child.maths import draw_formulas
from autoflow.child.pages import ConversionError, Heading, document, to_html, to_pdf
from autoflow.child.pictures import PictureError, bring_attachments, bring_files, prepare_outputs
from autoflow.resources import config_file

TEMPLATE = "asciidoc_extended.tpl"

OLD_TEMPLATES = DictLoader({"asciidoc.tpl": "{% extends 'asciidoc/index.asciidoc.j2' %}"})
"""Names that templates for older versions of nbconvert extend."""


class ReportError(Exception):
    """No report could be made; the message is for a person."""


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """Convert an executed notebook.

    Parameters
    ----------
    request
        ``notebook``: its path; ``outputs``: the path of each format that is wanted, ``pdf`` or ``html``;
        ``template`` and ``theme``: paths, or None for AutoFlow's own; ``code``: whether code is shown;
        ``inputs_dir``: where relative paths of images begin; ``inputs_root``: what they may not lead out
        of; ``title_fallback``: for a notebook that does not begin with a title; ``heading``: what is known
        of the run, by the fields of `Heading`.

    Returns
    -------
    dict
        ``warnings``: what a person should know of the reports.

    Raises
    ------
    ReportError
        Naming the step that failed, and why.
    """
    notebook = nbformat.read(request["notebook"], as_version=4)
    outputs = {kind: Path(path) for kind, path in request["outputs"].items()}
    theme = Path(request["theme"]) if request.get("theme") else None
    try:
        source, warnings = write_document(notebook, request, workspace)
        if "pdf" in outputs:
            warnings += to_pdf(source, outputs["pdf"], theme)
        if "html" in outputs:
            warnings += to_html(source, outputs["html"])
    except (PandocError, PictureError, ConversionError) as error:
        raise ReportError(str(error)) from error
    return {"warnings": list(dict.fromkeys(warnings))}


def write_document(notebook: NotebookNode, request: Mapping[str, Any], workspace: Path) -> tuple[Path, list[str]]:
    """Write the asciidoc document that all formats are made of, its pictures beside it."""
    warnings = keep_content(notebook, code=request.get("code", False))
    prepare_outputs(notebook)
    bring_attachments(notebook, workspace)
    body = to_asciidoc(notebook, request.get("template"), workspace)
    inputs = Path(request["inputs_dir"])
    body, undrawn = draw_formulas(body, workspace)
    body = bring_files(body, inputs, Path(request.get("inputs_root") or inputs), workspace)
    title, body = with_title(body, literal(request["title_fallback"]))
    source = workspace / "report.adoc"
    source.write_text(document(body, Heading(title, **request.get("heading", {}))), encoding="utf-8")
    return source, warnings + undrawn


def to_asciidoc(notebook: NotebookNode, template: str | None, workspace: Path) -> str:
    """Convert to asciidoc, and leave the images in the workspace."""
    path = Path(template) if template else config_file(TEMPLATE)
    try:
        converted = convert_all(_markdown_of(notebook))
        exporter = ASCIIDocExporter(
            # by name and directory: given a path, nbconvert frowns on the suffix that its users' templates have
            template_file=path.name,
            extra_template_paths=[str(path.parent), str(config_file(TEMPLATE).parent)],
            extra_loaders=[OLD_TEMPLATES],
            exclude_input_prompt=True,
            exclude_output_prompt=True,
            config=Config({"NbConvertBase": {"display_data_priority": list(SHOWN_OUTPUTS)}}),
        )
        exporter.register_filter("markdown2asciidoc", lookup(converted))
        exporter.register_filter("html2asciidoc", _html)
        exporter.register_filter("literal_block", literal_block)
        exporter.register_filter("source_block", source_block)
        body, resources = exporter.from_notebook_node(notebook)
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f", line {number}" if number else ""
        raise ReportError(f"the template {path}{line}: {error}") from error
    for name, content in resources.get("outputs", {}).items():
        (workspace / name).write_bytes(content)
    return str(body)


def literal_block(text: str, mark: str = ".") -> str:
    """Show text as it is, in letters of one width."""
    plain = strip_ansi(text).rstrip()
    longest = max((len(line) for line in re.findall(rf"^[{mark}]{{4,}}$", plain, re.MULTILINE)), default=3)
    fence = mark * (longest + 1)
    escaped = re.sub(r"^(include|ifdef|ifndef|ifeval|endif)::", r"\\\g<0>", plain, flags=re.MULTILINE)
    return f"{fence}\n{escaped}\n{fence}" if plain else ""


def source_block(code: str) -> str:
    """Show code as it is."""
    return f"[source]\n{literal_block(code, '-')}"


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
