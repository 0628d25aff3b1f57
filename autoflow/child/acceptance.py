# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Is a report one that can be shown? A look at the pages that were made, before anybody else's."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoflow.child.content import visible_text
from autoflow.child.pages import MISSING_PICTURE
from autoflow.child.pictures import missing

TAGS = (
    "a|abbr|b|body|br|button|caption|center|code|col|dd|details|div|dl|dt|em|figure|font|form|h[1-6]|head|hr|html|i|"
    "iframe|img|input|ins|kbd|label|li|link|meta|ol|p|pre|s|script|small|span|strong|style|sub|summary|sup|svg|"
    "table|tbody|td|tfoot|th|thead|title|tr|u|ul|video"
)
TAG = re.compile(rf"<(/?(?:{TAGS}))(?=[\s/>])[^<>]*>", re.IGNORECASE)
PICTURE_SYNTAX = re.compile(r"!\[[^\]\n]*\]\([^)\n]+\)")


class BrokenReportError(Exception):
    """A report was made, and is not fit to be shown; the message is for a person."""


@dataclass(frozen=True)
class Expected:
    """What a report has to have, and what may be on its pages although it looks like a fault."""

    pictures: frozenset[Path]
    """Files of the pictures that it refers to."""
    shown: str
    """Text that the notebook itself shows: HTML and markdown are no faults where they are quoted."""


@dataclass(frozen=True)
class Found:
    """What was found on the pages."""

    pages: int | None
    text: str
    producer: str


def check_pdf(path: Path, expected: Expected) -> Found:
    """Look at a PDF.

    Raises
    ------
    BrokenReportError
        With everything that is wrong with it.
    """
    # takes 0.2 s, which other jobs need not wait for
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    try:
        reader = PdfReader(path)
        pages: list[Any] = list(reader.pages)
        texts = [page.extract_text() for page in pages]
        embedded = {
            getattr(reference, "idnum", name)
            for page in pages
            for name, reference in page.get("/Resources", {}).get("/XObject", {}).items()
            if reference.get_object().get("/Subtype") == "/Image"
        }
        producer = str(reader.metadata.creator or "") if reader.metadata else ""
    except (PyPdfError, ValueError, KeyError, OSError) as error:
        raise BrokenReportError(f"the PDF can not be read back ({error})") from error
    wanted = {file.read_bytes() for file in expected.pictures if file.suffix in (".png", ".jpg", ".jpeg")}
    complaints = list(_complaints("\n".join(texts), expected))
    if not texts:
        complaints.append("it has no pages")
    if len(embedded) < len(wanted):
        complaints.append(f"it has {len(embedded)} pictures of {len(wanted)}")
    _raise(complaints)
    return Found(len(texts), "\n".join(texts), producer)


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
    text = visible_text(f"<body{body}")
    complaints = list(_complaints(text, expected))
    if not text.strip() and not sources:
        complaints.append("it is empty")
    empty = sum(not re.match(r"data:image/[\w.+-]+;base64,.", source) for source in sources)
    if empty:
        complaints.append(f"{empty} of its pictures are not there")
    if len(set(sources)) - empty < len({file.read_bytes() for file in expected.pictures}):
        complaints.append(f"it has {len(set(sources)) - empty} pictures of {len(expected.pictures)}")
    _raise(complaints)
    return Found(None, text, "")


def _complaints(text: str, expected: Expected) -> Iterator[str]:
    for name in dict.fromkeys(re.findall(rf"{MISSING_PICTURE}\s+(\S+)", text)):
        yield missing(name)
    shown = html.unescape(expected.shown).lower()
    tags = {match.group(): match.group(1).lower() for match in TAG.finditer(text)}
    unexpected = [tag for tag, name in tags.items() if f"<{name}" not in shown]
    if unexpected:
        yield f"HTML is on its pages as text, such as {unexpected[0][:80]}"
    squeezed = _squeezed(expected.shown)
    for match in PICTURE_SYNTAX.finditer(text):
        if _squeezed(match.group()) not in squeezed:
            yield f"markdown is on its pages as text: {match.group()[:80]}"
            break


def _raise(complaints: list[str]) -> None:
    if complaints:
        raise BrokenReportError("; ".join(complaints))


def _squeezed(text: str) -> str:
    return re.sub(r"[\s\\]", "", text)
