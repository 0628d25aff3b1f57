# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What stands in a line of HTML, to what stands in a line of asciidoc.

Between the two it is markup: the few tags of HTML that asciidoctor passes on to both formats, text with its
punctuation spelled, line breaks, and pictures as asciidoc between two characters that no text has.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape

from bs4 import Tag
from bs4.element import NavigableString, PageElement, PreformattedString

from autoflow.child.report.asciidoc import literal, spelled
from autoflow.child.report.pictures import PictureError, Pictures, said_attributes, said_width, shown_width

WRAPPED = {
    "b": "strong", "strong": "strong", "th": "strong", "h1": "strong", "h2": "strong", "h3": "strong", "h4": "strong",
    "h5": "strong", "h6": "strong", "dt": "strong", "summary": "strong", "i": "em", "em": "em", "cite": "em",
    "var": "em", "dfn": "em", "figcaption": "em", "code": "code", "samp": "code", "tt": "code", "kbd": "code",
    "sub": "sub", "sup": "sup", "del": "del", "s": "del", "strike": "del", "mark": "mark",
}  # fmt: skip

BLOCKS = frozenset(
    re.findall(
        r"\w+",
        "address article aside blockquote center dd details div dl dt fieldset figcaption figure footer form h1 h2 h3"
        " h4 h5 h6 header hr legend li main nav ol p pre section summary table tbody td tfoot th thead tr ul caption",
    )
)

LINK = re.compile(r"(https?|ftp|mailto):", re.IGNORECASE)
BREAK = "\n"
PICTURE_START, PICTURE_END = "\x01", "\x02"
PICTURE = re.compile(f"{PICTURE_START}(.*?){PICTURE_END}", re.DOTALL)
IN_CELL = 150.0
"""Points that a picture in a cell of a table is wide at most."""


@dataclass(frozen=True)
class Page:
    """What a piece of HTML is converted with, and what is found to be missing."""

    pictures: Pictures
    lost: list[str] = field(default_factory=list)
    """What no report can hold, as it is said in one."""
    missing: list[str] = field(default_factory=list)
    """Pictures that are not there, for which the report is none."""


def inline(element: PageElement, page: Page, widest: float | None = None) -> str:
    """Return the markup of an element, whatever is in it."""
    if isinstance(element, NavigableString):
        hidden = isinstance(element, PreformattedString)
        return "" if hidden else spelled(re.sub(r"[ \t\n\r\f]+", " ", element))
    if not isinstance(element, Tag):
        return ""
    match element.name:
        case "br":
            return BREAK
        case "hr":
            return BREAK
        case "img":
            return f"{PICTURE_START}image:{picture(element, page, widest)}{PICTURE_END}" if _has_source(element) else ""
        case "input":
            return f" {spelled(field_text(element))} "
        case "pre" | "textarea":
            return BREAK + _preformatted(element.get_text()) + BREAK
    inside = "".join(inline(child, page, widest) for child in element.children)
    if element.name in ("button", "label", "option"):
        return f" {inside} "
    if element.name == "a" and LINK.match(address := str(element.get("href", "")).strip()):
        return _around(f'<a href="{spelled(address)}">', inside, "</a>")
    if element.name == "q":
        return f"\u201c{inside}\u201d"
    if element.name == "li":
        inside = f"\u2022\u00a0{inside.lstrip()}"
    if element.name in ("td", "th") and element.find_next_sibling(["td", "th"]):
        return f"{_wrapped(element, inside)}\u00a0\u00a0"
    inside = _wrapped(element, inside)
    return f"{BREAK}{inside}{BREAK}" if element.name in BLOCKS and element.name not in ("td", "th") else inside


def _wrapped(element: Tag, inside: str) -> str:
    tag = WRAPPED.get(element.name)
    return _around(f"<{tag}>", inside, f"</{tag}>") if tag else inside


def _around(opening: str, inside: str, closing: str) -> str:
    """Put a tag around what is in each line, pictures left out."""
    parts = re.split(f"({BREAK}|{PICTURE_START}[^{PICTURE_END}]*{PICTURE_END})", inside)
    return "".join(
        f"{opening}{part}{closing}" if part.strip() and not part.startswith(PICTURE_START) else part for part in parts
    )


def _has_source(element: Tag) -> bool:
    return bool(str(element.get("src", "")).strip())


def picture(element: Tag, page: Page, widest: float | None = None) -> str:
    """Return the target and the attributes of a picture."""
    source = str(element.get("src", "")).strip()
    try:
        brought = page.pictures.bring(source)
    except PictureError as error:
        page.missing.append(str(error))
        return "missing[]"
    said = said_width(str(element.get("width", "")), str(element.get("style", "")))
    alternative = literal(str(element.get("alt", ""))) or "picture"
    return f'{brought.file}["{alternative}",{_size(said, brought.width, widest)}]'


def _size(said: tuple[float, str] | None, width: float, widest: float | None) -> str:
    """Write how wide a picture is, of so many pixels by itself, in a cell that has room for so many points."""
    if widest is not None:
        points = min(0.75 * (said[0] if said and said[1] == "px" else width), widest)
        return f"pdfwidth={points:g}pt" + (f",width={said[0]:g}" if said and said[1] == "px" else "")
    return said_attributes(*said) if said else f"pdfwidth={shown_width(width)}"


def field_text(element: Tag) -> str:
    """Read what a field of a form shows."""
    kind = str(element.get("type", "text")).lower()
    if kind in ("checkbox", "radio"):
        return "\u2611 " if element.has_attr("checked") else "\u2610 "
    return "" if kind in ("hidden", "password") else str(element.get("value") or element.get("placeholder") or "")


def _preformatted(text: str) -> str:
    lines = text.strip("\n").split("\n")
    return BREAK.join(f"<code>{spelled(line.rstrip().replace(' ', chr(160)))}</code>" for line in lines if line.strip())


def tidy(markup: str) -> str:
    """Remove breaks at the ends, and several in a row, and blanks around them."""
    return re.sub(rf"[ ]*{BREAK}[ {BREAK}]*", BREAK, re.sub(" +", " ", markup)).strip(f" {BREAK}")


def written(markup: str) -> str:
    """Write markup as asciidoc."""
    parts = PICTURE.split(tidy(markup))
    return "".join(part if number % 2 else _passed(part) for number, part in enumerate(parts))


def _passed(markup: str) -> str:
    broken = markup.replace(BREAK, "<br>")
    return f"pass:[{broken}]" if "<" in broken else broken


def plain(markup: str) -> str:
    """Read the text of markup, its lines apart."""
    return unescape(re.sub(r"<[^>]*>", "", PICTURE.sub("", tidy(markup))))
