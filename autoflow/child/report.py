# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""An executed notebook to a PDF: nbconvert to asciidoc, then asciidoctor-pdf."""

from __future__ import annotations

import base64
import mimetypes
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader, TemplateError
from nbconvert.exporters import ASCIIDocExporter
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode
from traitlets.config import Config

from autoflow.child.html_tables import html_to_asciidoc, literal
from autoflow.child.markdown import PandocError, convert_all, lookup, with_title
from autoflow.resources import config_file

TEMPLATE = "asciidoc_extended.tpl"
THEME = "report-theme.yml"
CONVERSION_TIMEOUT = 1500.0

SHOWN_OUTPUTS = ("text/html", "text/markdown", "image/svg+xml", "image/png", "image/jpeg", "text/latex", "text/plain")

OBJECT = re.compile(r"<[\w.]*(Figure|Axes|AxesSubplot|Text|Line2D|Colorbar)\b.*>|\[<matplotlib.*>\]", re.DOTALL)
"""How Python shows a plot's object: no content next to the plot itself."""

OLD_TEMPLATES = DictLoader({"asciidoc.tpl": "{% extends 'asciidoc/index.asciidoc.j2' %}"})
"""Names that templates for older versions of nbconvert extend."""


class ReportError(Exception):
    """No report could be made; the message is for a person."""


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """Convert an executed notebook.

    Parameters
    ----------
    request
        ``notebook`` and ``output``: paths; ``template``: path, or None for AutoFlow's own;
        ``inputs_dir``: where relative paths of images begin; ``title_fallback``: for a notebook that
        does not begin with a title.

    Returns
    -------
    dict
        ``warnings``: what asciidoctor-pdf had to say.

    Raises
    ------
    ReportError
        Naming the step that failed, and why.
    """
    notebook = nbformat.read(request["notebook"], as_version=4)
    tidy(notebook)
    bring_attachments(notebook, workspace)
    body = to_asciidoc(notebook, request["template"], workspace)
    body = _bring_images(body, Path(request["inputs_dir"]), workspace)
    source = workspace / "report.adoc"
    source.write_text(with_title(body, literal(request["title_fallback"])), encoding="utf-8")
    return {"warnings": to_pdf(source, Path(request["output"]))}


def tidy(notebook: NotebookNode) -> None:
    """Take out what is no content: errors, warnings on stderr, and the names of plots' objects."""
    for cell in notebook.cells:
        if cell.cell_type != "code":
            continue
        has_plot = any(key.startswith("image/") for output in cell.outputs for key in output.get("data", ()))
        cell.outputs = [
            output
            for output in cell.outputs
            if output.output_type != "error"
            and output.get("name") != "stderr"
            and not (has_plot and set(output.get("data", ())) == {"text/plain"} and OBJECT.fullmatch(_text(output)))
        ]
        for output in cell.outputs:
            _settle_html(output)


def _settle_html(output: NotebookNode) -> None:
    """Leave HTML only where it is a table, or where there is nothing else that a page can show."""
    data = output.get("data", {})
    html = data.get("text/html")
    if html is not None and html_to_asciidoc(html) is None and any(kind in data for kind in SHOWN_OUTPUTS[1:]):
        del data["text/html"]


def bring_attachments(notebook: NotebookNode, workspace: Path) -> None:
    """Write images that are attached to markdown cells into the workspace, and refer to them there."""
    for number, cell in enumerate(notebook.cells):
        for position, (name, contents) in enumerate(cell.get("attachments", {}).items()):
            for kind, content in contents.items():
                suffix = mimetypes.guess_extension(kind) or ""
                file = workspace / f"attachment-{number}-{position}{suffix}"
                file.write_bytes(base64.b64decode(content))
                cell.source = cell.source.replace(f"attachment:{name}", file.name)


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
        body, resources = exporter.from_notebook_node(notebook)
    except PandocError as error:
        raise ReportError(str(error)) from None
    except TemplateError as error:
        number = getattr(error, "lineno", None)
        line = f", line {number}" if number else ""
        raise ReportError(f"the template {path}{line}: {error}") from error
    for name, content in resources.get("outputs", {}).items():
        (workspace / name).write_bytes(content)
    return str(body)


def to_pdf(source: Path, output: Path) -> list[str]:
    """Run asciidoctor-pdf, and give what it warns of."""
    command = [
        "asciidoctor-pdf",
        # files outside of the workspace can not be included
        "--safe-mode=safe",
        f"--base-dir={source.parent}",
        "--attribute=allow-uri-read!",
        f"--attribute=pdf-themesdir={config_file(THEME).parent}",
        f"--attribute=pdf-theme={THEME.removesuffix('-theme.yml')}",
        "--attribute=table-caption!",
        "--attribute=figure-caption!",
        "--out-file",
        str(output),
        str(source),
    ]
    try:
        process = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=CONVERSION_TIMEOUT, check=False
        )
    except FileNotFoundError:
        raise ReportError("asciidoctor-pdf not found; install with: apt-get install ruby-asciidoctor-pdf") from None
    except subprocess.TimeoutExpired:
        raise ReportError(f"asciidoctor-pdf did not end within {CONVERSION_TIMEOUT:g} s") from None
    messages = process.stderr.strip().splitlines()
    if process.returncode != 0 or not output.exists():
        raise ReportError(f"asciidoctor-pdf failed (exit code {process.returncode}): {' '.join(messages[-5:])}")
    return messages[:10]


def literal_block(text: str) -> str:
    """Show text as it is, in letters of one width."""
    plain = strip_ansi(text).rstrip()
    longest = max((len(dots) for dots in re.findall(r"^\.{4,}$", plain, re.MULTILINE)), default=3)
    fence = "." * (longest + 1)
    escaped = re.sub(r"^(include|ifdef|ifndef|ifeval|endif)::", r"\\\g<0>", plain, flags=re.MULTILINE)
    return f"{fence}\n{escaped}\n{fence}" if plain else ""


def _html(html: str) -> str:
    """Convert HTML: tables ourselves, anything else as its text."""
    tables = html_to_asciidoc(html)
    if tables is not None:
        return tables
    from bs4 import BeautifulSoup

    soup = BeautifulSoup(html, "html.parser")
    for unseen in soup(["style", "script"]):
        unseen.decompose()
    return "\n\n".join(literal(line) for line in soup.get_text("\n").splitlines() if line.strip())


def _markdown_of(notebook: NotebookNode) -> Iterator[str]:
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            yield cell.source
        for output in cell.get("outputs", ()):
            if "text/markdown" in output.get("data", {}):
                yield output.data["text/markdown"]


def _text(output: NotebookNode) -> str:
    text: str = output.get("data", {}).get("text/plain", "")
    return text.strip()


def _bring_images(body: str, inputs_dir: Path, workspace: Path) -> str:
    """Copy images that markdown refers to beside the report; those outside of the inputs stay out."""

    def bring(match: re.Match[str]) -> str:
        name = match.group(2)
        source = (inputs_dir / name).resolve()
        if (workspace / name).exists() or "://" in name or not source.is_relative_to(inputs_dir.resolve()):
            return match.group()
        if not source.is_file():
            return match.group()
        copy = workspace / f"image-{source.name}"
        shutil.copyfile(source, copy)
        return f"{match.group(1)}{copy.name}["

    return re.sub(r"(image::?)([^\s\[:][^\[\n]*)\[", bring, body)
