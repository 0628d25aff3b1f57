# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Checks a finished report: its pages are read back and compared with what the notebook shows."""

from __future__ import annotations

import base64
import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from ctypes import c_int
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from PIL import Image

from autoflow.child.report.conversion import MISSING_PICTURE
from autoflow.child.report.expected import ExpectedCell
from autoflow.child.report.html_content import visible_text
from autoflow.child.report.pictures import missing
from autoflow.child.report.words import INVISIBLE, PageText, is_gone, lacking, words_of
from autoflow.wording import counted

TAGS = (
    "a|abbr|b|body|br|button|caption|center|code|col|dd|details|div|dl|dt|em|figure|font|form|h[1-6]|head|hr|html|i|"
    "iframe|img|input|ins|kbd|label|li|link|meta|ol|p|pre|s|script|small|span|strong|style|sub|summary|sup|svg|"
    "table|tbody|td|tfoot|th|thead|title|tr|u|ul|video"
)
TAG = re.compile(rf"<(/?(?:{TAGS}))(?=[\s/>])[^<>\n]*>", re.IGNORECASE)
DATA = re.compile(r'src="data:[^"]*"')
PICTURE_SYNTAX = re.compile(r"!\[[^\]\n]*\]\([^)\n]+\)")

SHOWN = 60
"""Letters of a word that a message has."""


SHAPES = re.compile(rb"<(?:\w+:)?(?:path|rect|circle|ellipse|line|polyline|polygon|text|image|use)\b")
"""What a drawing has to have in order to be seen."""

PIXELS, DRAWING = "pixels", "drawing"
Key = tuple[str, int, int]
"""What a picture is known by on a page: its size in dots, or the checksum of the file of a drawing."""


class BrokenReportError(Exception):
    """A report was made, and is not fit to be shown; the message is for a person."""


@dataclass(frozen=True)
class Expected:
    """What a report has to have, and what may be on its pages although it looks like a fault."""

    pictures: frozenset[Path]
    """Files of the pictures that it refers to."""
    shown: str
    """Text that the notebook itself shows: HTML and markdown are no faults where they are quoted."""
    cells: tuple[ExpectedCell, ...] = ()
    """What each cell has to be seen with."""


@dataclass(frozen=True)
class Found:
    """What was found on the pages."""

    pages: int | None
    text: str
    producer: str


@dataclass(frozen=True)
class _Sheet:
    """What is on the paper of a PDF."""

    seen: PageText
    pictures: tuple[Key, ...]
    text: str
    """All of it, beyond the paper too."""


def check_pdf(path: Path, expected: Expected, blank: frozenset[str] = frozenset()) -> Found:
    """Look at a PDF.

    Parameters
    ----------
    blank
        Characters that no font has, which was said already.

    Raises
    ------
    BrokenReportError
        With everything that is wrong with it.
    """
    # a library of 8 MB, which other jobs need not wait for
    from pypdfium2 import PdfDocument, PdfiumError

    try:
        pdf = PdfDocument(path)
        files = {file: key for file in expected.pictures if (key := _key(file))}
        drawings = any(key[0] == DRAWING for key in files.values())
        sheets = [_sheet(page, drawings=drawings) for page in pdf]
        producer = str(pdf.get_metadata_value("Creator"))
        pdf.close()
    except (PdfiumError, OSError) as error:
        raise BrokenReportError(f"the PDF cannot be read back ({error})") from error
    text = "\n".join(sheet.text for sheet in sheets)
    complaints = list(_complaints(text, expected))
    if not sheets:
        complaints.append("it has no pages")
    shown = Counter(key for sheet in sheets for key in sheet.pictures)
    if gone := {key for key in files.values() if key not in shown}:
        complaints.append(f"{len(gone)} of its {len(files)} pictures are not on its pages")
    complaints += _lacking_words(PageText.of(sheet.seen for sheet in sheets), expected, blank)
    complaints += _lacking_pictures(shown, expected, files)
    _raise(complaints)
    return Found(len(sheets), text, producer)


def _sheet(page: Any, *, drawings: bool) -> _Sheet:
    """Read what is drawn on a page, piece by piece in the order of drawing."""
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE, FPDF_PAGEOBJ_PATH, FPDF_PAGEOBJ_TEXT

    left, bottom, right, top = page.get_mediabox()
    text_page = page.get_textpage()
    pieces, everything, pictures, marks = [], [], [], set()
    kinds = [FPDF_PAGEOBJ_TEXT, FPDF_PAGEOBJ_IMAGE, *([FPDF_PAGEOBJ_PATH] if drawings else [])]
    for drawn in page.get_objects(filter=kinds, textpage=text_page):
        box = drawn.get_bounds()
        inside = box[0] < right and box[2] > left and box[1] < top and box[3] > bottom
        if inside and drawings:
            marks |= set(_marks(drawn.raw))
        if drawn.type == FPDF_PAGEOBJ_IMAGE:
            if inside:
                pictures.append((PIXELS, *drawn.get_px_size()))
        elif drawn.type == FPDF_PAGEOBJ_TEXT:
            text = drawn.extract()
            everything.append((text, box))
            if inside and (box[0] + box[2]) / 2 < right and (box[1] + box[3]) / 2 > bottom:
                pieces.append((text, box))
    pictures += [(DRAWING, checksum, 0) for checksum, _ in marks]
    return _Sheet(PageText.at([text for text, _ in pieces], _joined(pieces)), tuple(pictures), _joined(everything))


def _marks(drawn: Any) -> Iterator[tuple[int, int]]:
    """Yield checksum and number of the drawing that something on a page is a part of; `design.rb` writes them."""
    from pypdfium2.raw import FPDFPageObj_CountMarks, FPDFPageObj_GetMark, FPDFPageObjMark_GetParamIntValue

    for place in range(FPDFPageObj_CountMarks(drawn)):
        mark = FPDFPageObj_GetMark(drawn, place)
        checksum, number = c_int(), c_int()
        if FPDFPageObjMark_GetParamIntValue(mark, b"Checksum", checksum):
            FPDFPageObjMark_GetParamIntValue(mark, b"Number", number)
            yield checksum.value, number.value


def _joined(pieces: Iterable[tuple[str, tuple[float, ...]]]) -> str:
    """Join pieces of text, those of one word without anything between."""
    parts: list[str] = []
    before: tuple[float, ...] | None = None
    for text, box in pieces:
        if before is not None and not _touch(before, box):
            parts.append("\n")
        parts.append(text)
        before = box
    return "".join(parts)


def _touch(before: tuple[float, ...], after: tuple[float, ...]) -> bool:
    height = max(before[3] - before[1], after[3] - after[1])
    gap = after[0] - before[2]
    return after[1] < before[3] and after[3] > before[1] and -height < gap < 0.3 * height


def _key(file: Path) -> Key | None:
    """Say what a picture is known by on a page; None where it shows nothing."""
    if file.suffix == ".svg":
        content = re.sub(rb"\r\n?", b"\n", file.read_bytes())
        return (DRAWING, crc32(content) % (1 << 31), 0) if SHAPES.search(content) else None
    with Image.open(file) as picture:
        return (PIXELS, *picture.size)


def check_html(path: Path, expected: Expected) -> Found:
    """Look at a file of HTML.

    Raises
    ------
    BrokenReportError
        With everything that is wrong with it.
    """
    content = path.read_text(encoding="utf-8")
    body = content.partition("<body")[2]
    sources = re.findall(r'<img [^>]*?src="([^"]*)"', body)
    text = visible_text(f"<body{DATA.sub('', body)}")
    complaints = list(_complaints(text, expected))
    if not text.strip() and not sources:
        complaints.append("it is empty")
    empty = sum(not re.match(r"data:image/[\w.+-]+;base64,.", source) for source in sources)
    if empty:
        complaints.append(f"{counted(empty, 'picture')} missing")
    shown = Counter(source.partition(",")[2] for source in sources)
    files = {file: base64.b64encode(file.read_bytes()).decode() for file in expected.pictures}
    if gone := {file for file, encoded in files.items() if encoded not in shown}:
        complaints.append(f"{len(gone)} of its {len(files)} pictures are not on its page")
    complaints += _lacking_words(PageText.at([], text), expected, frozenset(), folded=True)
    complaints += _lacking_pictures(shown, expected, files)
    _raise(complaints)
    return Found(None, text, "")


def _lacking_words(seen: PageText, expected: Expected, blank: frozenset[str], *, folded: bool = False) -> Iterator[str]:
    """Name the cells whose words are not all there."""
    wanted = {cell.number: words_of(f"{cell.text}\n{cell.folded}" if folded else cell.text) for cell in expected.cells}
    gone = lacking(wanted.values(), seen, blank)
    if not gone:
        return
    for number, words in wanted.items():
        own = [word for word in words if word in gone]
        # a word that is in other cells too is taken to be missing where the most others are
        if is_gone(words, gone) and len(own) >= max(len(gone) // 10, 1):
            named = ", ".join(map(_short, own[:5])) + (", ..." if len(own) > 5 else "")
            yield f"cell {number}: {len(own)} of its words are not in the report ({named})"


def _short(word: str) -> str:
    return word if len(word) <= SHOWN else f"{word[:SHOWN]}..."


def _lacking_pictures(shown: Counter[Any], expected: Expected, files: dict[Path, Any]) -> Iterator[str]:
    """Name the cells whose pictures are not all there."""
    left = Counter(shown)
    for cell in expected.cells:
        wanted = Counter(files[file] for file in cell.pictures if file in files)
        if gone := (wanted - left).total():
            yield f"cell {cell.number}: {gone} of its {wanted.total()} pictures are not in the report"
        left -= wanted


def _complaints(text: str, expected: Expected) -> Iterator[str]:
    for name in dict.fromkeys(re.findall(rf"{MISSING_PICTURE}\s+(\S+)", text)):
        yield missing(name)
    shown = _squeezed(INVISIBLE.sub("", html.unescape(expected.shown).lower()))
    tags = {match.group(): match.group(1).lower() for match in TAG.finditer(text)}
    unexpected = [tag for tag, name in tags.items() if f"<{name}" not in shown]
    if unexpected:
        yield f"HTML appears as text on its pages, such as {unexpected[0][:80]}"
    squeezed = _squeezed(expected.shown)
    for match in PICTURE_SYNTAX.finditer(text):
        if _squeezed(match.group()) not in squeezed:
            yield f"markdown appears as text on its pages: {match.group()[:80]}"
            break


def _raise(complaints: list[str]) -> None:
    if complaints:
        raise BrokenReportError("; ".join(complaints))


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\\]", "", text)
