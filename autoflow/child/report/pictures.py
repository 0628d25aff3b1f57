# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Pictures: what a notebook holds or refers to, made into files that asciidoctor-pdf takes and draws quickly."""

from __future__ import annotations

import base64
import io
import mimetypes
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from nbformat import NotebookNode
from PIL import Image, UnidentifiedImageError

from autoflow.notices import Notice

NAMED = re.compile(r"autoflow-picture-([0-9a-f]*)")
REFERENCE = re.compile(r"(image::?)([^\s\[:][^\[\n]*)\[")
EMBEDDED = re.compile(r"data:(image/[\w.+-]+)((?:;[^,;]*)*),(.*)", re.DOTALL | re.IGNORECASE)
RASTER = ("image/png", "image/jpeg")
SVG = "{http://www.w3.org/2000/svg}"
XLINK_HREF = "{http://www.w3.org/1999/xlink}href"

LOST = {
    f"{SVG}script": "a script within a drawing (SVG)",
    f"{SVG}foreignObject": "HTML within a drawing (SVG)",
}

SAID_WIDTH = re.compile(r"(\d+\.?\d*)\s*(px|%)?")
STYLED_WIDTH = re.compile(r"(?<![-\w])width\s*:\s*(\d+\.?\d*)\s*(px|%)")

TEXT_WIDTH = 660
"""Pixels of a browser's that are about as wide as the text of a page."""

for prefix, uri in (("", SVG[1:-1]), ("xlink", "http://www.w3.org/1999/xlink")):
    ET.register_namespace(prefix, uri)


class PictureError(ValueError):
    """A picture cannot be used; the message is for a person."""


@dataclass(frozen=True)
class Brought:
    """A picture that is in a report's workspace."""

    file: str
    width: float
    """Pixels."""


@dataclass(frozen=True)
class Pictures:
    """Where pictures that a notebook refers to are found, and where they are brought."""

    directory: Path
    """Where relative paths begin."""
    root: Path
    """Pictures from outside of this directory are not brought."""
    workspace: Path

    def bring(self, name: str) -> Brought:
        """Put a picture into the workspace, by its path or as a data URI.

        Raises
        ------
        PictureError
            When it is not there, or is none.
        """
        try:
            return _bring(name, self)
        except PictureError:
            raise
        except ValueError as error:
            raise PictureError(f"the picture {name[:80]}: {error}") from None


@dataclass(frozen=True)
class Drawn:
    """A picture as it can be put onto a page."""

    content: bytes
    width: float
    """Pixels."""
    lost: str = ""
    """What of it no report can hold."""


def prepare_outputs(notebook: NotebookNode) -> list[Notice]:
    """Make the pictures among outputs ready, and note how wide they are to be.

    Returns
    -------
    list of Notice
        What of them no report can hold.

    Raises
    ------
    PictureError
        Naming the cell whose picture is none.
    """
    notices = []
    for cell in notebook.cells:
        number = cell.metadata["autoflow"]["number"]
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            # HTML comes before them
            for kind in ("text/html", "image/svg+xml", *RASTER):
                if kind in data:
                    if kind.startswith("image/"):
                        notices += _prepare_output(output, number, kind)
                    break
    return notices


def _prepare_output(output: NotebookNode, number: int, kind: str) -> list[Notice]:
    try:
        output.data[kind], width, lost = _prepare(output.data[kind], kind)
    except PictureError as error:
        raise PictureError(f"cell {number}: {error}") from None
    said = output.get("metadata", {}).get(kind, {})
    _note(output, number, kind, width, str(said.get("width", "")) if isinstance(said, dict) else "")
    return [Notice(number, f"{lost} is not in the report")] if lost else []


def _prepare(content: str, kind: str) -> tuple[str, float, str]:
    if kind == "image/svg+xml":
        drawn = svg(content.encode())
        return drawn.content.decode(), drawn.width, drawn.lost
    try:
        decoded = base64.b64decode(content)
    except ValueError as error:
        raise PictureError(f"its {kind} is not base64 ({error})") from None
    drawn = raster(decoded)
    return base64.b64encode(drawn.content).decode(), drawn.width, ""


def _note(output: NotebookNode, number: int, kind: str, width: float, wanted: str) -> None:
    said = said_width(wanted, "")
    shown = said_attributes(*said) if said else f"pdfwidth={shown_width(width)}"
    output.setdefault("metadata", {})["autoflow"] = {
        "attributes": f'"picture of cell {number}",{shown}',
        "kind": kind,
    }


def shown_width(width: float) -> str:
    """Say how wide a picture of so many pixels is to be in a PDF; what is nearly as wide as the page gets all of it."""
    return "100%" if width > 0.6 * TEXT_WIDTH else f"{width * 0.75:g}pt"


def said_width(width: str, style: str) -> tuple[float, str] | None:
    """Read how wide HTML says that a picture is: a number, and ``px`` or ``%``."""
    match = SAID_WIDTH.fullmatch(width.strip()) or STYLED_WIDTH.search(style)
    return (float(match.group(1)), match.group(2) or "px") if match and float(match.group(1)) > 0 else None


def said_attributes(number: float, unit: str) -> str:
    """Write the width that HTML says as attributes, for a PDF and for a page of HTML."""
    if unit == "%":
        shown = f"{min(number, 100):g}%"
        return f"pdfwidth={shown},width={shown}"
    return f"pdfwidth={min(number, TEXT_WIDTH) * 0.75:g}pt,width={number:g}"


def raster(content: bytes) -> Drawn:
    """Make a picture of dots one that is embedded as it is.

    asciidoctor-pdf takes PNG and JPEG alone, no interlaced ones and none of 16 bits, and takes the
    transparency out of a plot in Ruby, for a third of a second each.

    Raises
    ------
    PictureError
        When it is none that can be read.
    """
    try:
        with warnings.catch_warnings():
            # a plot of many dots is no attack
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture: Image.Image = Image.open(io.BytesIO(content))
            picture.load()
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        reason = "is damaged, or of an unknown type" if isinstance(error, UnidentifiedImageError) else str(error)
        raise PictureError(f"the picture {reason}") from None
    plain = picture.format == "PNG" and picture.mode in ("RGB", "L", "P") and "transparency" not in picture.info
    if (plain and not picture.info.get("interlace")) or (picture.format == "JPEG" and picture.mode in ("RGB", "L")):
        return Drawn(content, picture.width)
    if picture.mode.startswith("I"):
        # of 16 bits, which would be white otherwise
        picture = picture.convert("I").point(lambda level: level / 256).convert("L")
    if picture.mode not in ("RGB", "L", "1"):
        transparent = picture.convert("RGBA")
        picture = Image.new("RGB", transparent.size, "white")
        picture.paste(transparent, mask=transparent.getchannel("A"))
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "PNG", compress_level=6)
    return Drawn(buffer.getvalue(), picture.width)


def svg(content: bytes) -> Drawn:
    """Make an SVG one that asciidoctor-pdf draws: definitions first, nothing that runs or is loaded.

    Raises
    ------
    PictureError
        When it is no SVG.
    """
    if b"<!ENTITY" in content:
        raise PictureError("its SVG declares entities, which are not allowed")
    try:
        # as a parsed document it has no other entities than XML's own
        root = ET.fromstring(content)  # noqa: S314
    except ET.ParseError as error:
        raise PictureError(f"its SVG is not well-formed ({error})") from None
    if root.tag != f"{SVG}svg":
        raise PictureError(f"its SVG begins with <{root.tag.rpartition('}')[2]}>")
    lost = dict.fromkeys(_lost(root))
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in LOST:
                parent.remove(child)
            elif child.tag == f"{SVG}path" and not child.get("d"):
                # a blank among matplotlib's letters
                child.set("d", "M0 0")
            elif child.tag == f"{SVG}defs" and child.find(f".//{SVG}clipPath") is not None:
                # matplotlib writes them last, and asciidoctor-pdf knows what it has read
                parent.remove(child)
                root.insert(0, child)
    return Drawn(ET.tostring(root, encoding="utf-8"), _width(root), " and ".join(lost))


def _lost(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        if element.tag in LOST:
            yield LOST[element.tag]
        elif element.tag == f"{SVG}image":
            source = element.get("href") or element.get(XLINK_HREF) or ""
            if not source.startswith("data:"):
                yield "a picture within a drawing (SVG)"


def _width(root: ET.Element) -> float:
    match = re.fullmatch(r"\s*([\d.]+)\s*(px|pt|in|cm|mm)?\s*", root.get("width", ""))
    if match:
        pixels = {"pt": 4 / 3, "in": 96.0, "cm": 37.8, "mm": 3.78}.get(match.group(2) or "px", 1.0)
        return float(match.group(1)) * pixels
    box = root.get("viewBox", "").replace(",", " ").split()
    return float(box[2]) if len(box) == 4 and re.fullmatch(r"[\d.]+", box[2]) else float(TEXT_WIDTH)


def bring_attachments(notebook: NotebookNode, workspace: Path) -> None:
    """Write images that are attached to markdown cells into the workspace, and refer to them there."""
    for cell in notebook.cells:
        number = cell.metadata["autoflow"]["number"]
        for position, (name, contents) in enumerate(cell.get("attachments", {}).items()):
            for kind, content in contents.items():
                try:
                    file = _keep(base64.b64decode(content), kind, f"attachment-{number}-{position}", workspace).file
                except ValueError as error:
                    raise PictureError(f"cell {number}: the attachment {name}: {error}") from None
                cell.source = re.sub(rf"attachment:(?:{re.escape(name)})(?![\w.])", file, cell.source)


def bring_files(asciidoc: str, pictures: Pictures, where: str = "") -> str:
    """Bring the pictures that markdown refers to, as `autoflow.child.report.markdown` names them, into the workspace.

    Parameters
    ----------
    where
        What complaints begin with, such as ``cell 3: ``.

    Raises
    ------
    PictureError
        With all those that are not there, or are none.
    """
    complaints: list[str] = []

    def bring(match: re.Match[str]) -> str:
        try:
            return pictures.bring(bytes.fromhex(match.group(1)).decode()).file
        except PictureError as error:
            complaints.append(f"{where}{error}")
            return match.group()

    brought = NAMED.sub(bring, asciidoc)
    if complaints:
        raise PictureError("; ".join(complaints))
    return brought


def _bring(name: str, pictures: Pictures) -> Brought:
    workspace = pictures.workspace
    if re.fullmatch(r"attachment-\d+-\d+\.\w+", name) and (workspace / name).is_file():
        return Brought(name, _pixels(workspace / name))
    if embedded := EMBEDDED.match(name):
        kind, encoding, text = embedded.groups()
        content = base64.b64decode(unquote(text)) if "base64" in encoding.lower() else unquote(text).encode()
        return _keep(content, kind, f"embedded-{sha256(name.encode()).hexdigest()[:12]}", workspace)
    source = _source(name, pictures.directory, pictures.root)
    if source is None:
        raise PictureError(missing(name))
    kind = mimetypes.guess_type(source.name)[0] or ""
    try:
        return _keep(source.read_bytes(), kind, f"beside-{sha256(str(source).encode()).hexdigest()[:12]}", workspace)
    except PictureError as error:
        raise PictureError(f"{name}: {error}") from None


def _pixels(file: Path) -> float:
    return svg(file.read_bytes()).width if file.suffix == ".svg" else raster(file.read_bytes()).width


def missing(name: str) -> str:
    """Say that a picture is not there, and what to do."""
    if re.match(r"(https?|ftp):", name):
        return f"the picture {name} is not loaded from the web; attach it to its cell, or put it beside the notebook"
    return (
        f"the picture {name[:200]} was not found; it must be in the directory of workflows.yml, or attached to its cell"
    )


def _source(name: str, directory: Path, root: Path) -> Path | None:
    for candidate in (name, unquote(name), unquote(name.partition("?")[0].partition("#")[0])):
        try:
            source = (directory / candidate).resolve()
            if source.is_relative_to(root.resolve()) and source.is_file():
                return source
        except (OSError, ValueError):
            # too long, or with a character that no path has
            continue
    return None


def _keep(content: bytes, kind: str, stem: str, workspace: Path) -> Brought:
    drawn = svg(content) if kind == "image/svg+xml" else raster(content)
    suffix = ".svg" if kind == "image/svg+xml" else (".jpg" if drawn.content.startswith(b"\xff\xd8") else ".png")
    file = workspace / f"{stem}{suffix}"
    file.write_bytes(drawn.content)
    return Brought(file.name, drawn.width)
