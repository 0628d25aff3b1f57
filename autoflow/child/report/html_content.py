# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""HTML that a notebook shows, to asciidoc: one walk through it, whatever it is of.

What Jupyter shows is in the report or is said to be missing, at its place and to whoever reads warnings.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement, PreformattedString

from autoflow.child.report.asciidoc import literal_block, spelled
from autoflow.child.report.html_inline import BLOCKS, Page, inline, picture, tidy, written
from autoflow.child.report.html_tables import cells_of, in_head, rows_of, table_block
from autoflow.child.report.pictures import PictureError, Pictures, svg

UNSEEN = ("style", "script", "template", "head", "title", "noscript", "datalist", "source", "track", "param")

PROGRAMS = {
    "script": "a script", "iframe": "an embedded page", "canvas": "a drawing that a script makes",
    "object": "an embedded object", "embed": "an embedded object", "video": "a video", "audio": "a sound",
}  # fmt: skip
"""What needs a browser, and what it is called."""

REPLACED = re.compile(r"Make this Notebook Trusted to load map|Loading BokehJS")
"""Text that stands in the place of a program until it has run."""

FALLBACK = re.compile(r"\btext-repr-fallback\b|-text-repr-fallback\b")
"""What scikit-learn and xarray call the text that they want to be shown where there are no styles."""

COUNT = re.compile(r"\d+ rows \u00d7 \d+ columns")
"""What pandas says below a frame that it cut short."""

COLOUR = re.compile(r"(?<![-\w])(background(-color)?|color)\s*:\s*(?!inherit|transparent|none|white\b|#fff|initial)")
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden")

WHOLE = "=" * 30
"""Around what is one block, without a look of its own; fences inside of it are shorter."""

BULLETS, NUMBERS, QUOTES, EXAMPLES = "*", ".", "_", "="

APART = frozenset({"br", "hr", "button", "input", "label", "option", "select", "textarea"})
"""Elements in a line whose text is not that of their neighbours."""

CLOSED_BY = {
    "p": ("p",), "li": ("li",), "dt": ("dt", "dd"), "dd": ("dt", "dd"), "tr": ("td", "th", "tr"), "td": ("td", "th"),
    "th": ("td", "th"), "option": ("option",),
}  # fmt: skip
"""Elements that end where a like one begins, whether they are closed or not."""


@dataclass(frozen=True)
class Converted:
    """HTML as asciidoc."""

    asciidoc: str
    text: str
    """What a reader sees of it."""
    lost: tuple[str, ...]
    """What no report can hold."""
    missing: tuple[str, ...]
    """Pictures that are not there."""
    empty: bool
    """Whether a table in it has no rows."""


def convert(html: str, pictures: Pictures, *, nested: bool = False) -> Converted:
    """Convert HTML to asciidoc, as one block where it is inside of another."""
    page = Page(pictures)
    soup = BeautifulSoup(_without_drawings(html, page), "html.parser")
    _settle(soup, page)
    text = _text(soup)
    empty = any(_is_empty(table) for table in soup("table"))
    blocks = list(_blocks(soup, page, int(nested)))
    blocks += [said(what) for what in dict.fromkeys(page.lost)]
    asciidoc = "\n\n".join(blocks)
    if nested:
        asciidoc = f"{WHOLE}\n{asciidoc}\n{WHOLE}" if blocks else "{empty}"
    return Converted(
        asciidoc,
        text,
        tuple(dict.fromkeys(page.lost)),
        tuple(page.missing),
        empty,
    )


def said(what: str) -> str:
    """Say in a report what is not in it."""
    return f"[.small]##pass:[<em>{spelled(f'Not in this report: {what}')}</em>]##"


def shows_text_instead(html: str) -> bool:
    """Whether HTML is but another look of the text beside it, by its maker's own word."""
    return FALLBACK.search(html) is not None


@lru_cache(maxsize=64)
def shown_by(html: str) -> tuple[bool, bool]:
    """Return whether HTML shows anything as it is, and whether it needs a program."""
    soup = BeautifulSoup(html, "html.parser")
    page = Page(Pictures(Path(), Path(), Path()))
    programmed = any(True for _ in _programs(soup.find_all(list(PROGRAMS))))
    _settle(soup, page)
    return bool(soup.get_text().strip() or soup(["img", "svg", "input", "table"])), programmed


def visible_text(html: str) -> str:
    """Read the text of HTML that a browser would show."""
    soup = BeautifulSoup(html, "html.parser")
    for unseen in soup(list(UNSEEN)):
        unseen.extract()
    return _text(soup)


def _text(soup: Tag) -> str:
    """Join the text of all elements, that of different blocks on lines of their own."""
    parts: list[str] = []
    before: Tag | None = None
    for element in soup.descendants:
        if isinstance(element, Tag):
            if element.name in APART:
                parts.append("\n")
        elif isinstance(element, NavigableString) and not isinstance(element, PreformattedString):
            block = element.parent
            while isinstance(block, Tag) and block.name not in BLOCKS and block.parent is not None:
                block = block.parent
            parts.append(element if block is before else f"\n{element}")
            before = block
    return "".join(parts).strip()


def _without_drawings(html: str, page: Page) -> str:
    """Put pictures in the place of SVG, whose names are written in letters of both cases."""
    parts, position = [], 0
    for start, end in _drawings(html):
        parts.append(html[position:start])
        try:
            drawn = svg(_as_file(html[start:end]).encode())
        except PictureError:
            page.lost.append("a drawing (SVG) that is damaged")
        else:
            if drawn.lost:
                page.lost.append(drawn.lost)
            if drawn.width and not re.match(r"<svg\b[^>]*(display:\s*none|width:\s*0\b|width=\"0\")", html[start:end]):
                encoded = base64.b64encode(drawn.content).decode()
                parts.append(f'<img alt="drawing" src="data:image/svg+xml;base64,{encoded}">')
        position = end
    return "".join([*parts, html[position:]])


def _drawings(html: str) -> Iterator[tuple[int, int]]:
    """Find SVG, and its end, as it may have others inside."""
    depth = start = 0
    for match in re.finditer(r"<(/?)svg\b[^>]*?(/?)>", html, re.IGNORECASE):
        if match.group(1):
            depth = max(depth - 1, 0)
            if depth == 0 and start >= 0:
                yield start, match.end()
                start = -1
        elif not match.group(2):
            if depth == 0:
                start = match.start()
            depth += 1


def _as_file(drawing: str) -> str:
    """Add what SVG within HTML may leave out."""
    named = re.sub(r"&(?!amp;|lt;|gt;|quot;|apos;|#)(\w+;)", lambda match: unescape(match.group()), drawing)
    begin = named[: named.index(">") + 1]
    if "xmlns=" not in begin:
        named = named.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    if "xlink:" in named and "xmlns:xlink" not in begin:
        named = named.replace("<svg", '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', 1)
    return named


def _settle(soup: BeautifulSoup, page: Page) -> None:
    """Remove what is not shown, and note what a report lacks."""
    tags = [element for element in soup.descendants if isinstance(element, Tag)]
    page.lost.extend(dict.fromkeys([*_programs(tags), *_styles(tags)]))
    for element in tags:
        if element.name in UNSEEN or element.name in PROGRAMS or _is_hidden(element):
            element.extract()
        elif element.name in CLOSED_BY:
            # the parser takes what is not closed for what is around
            while (parent := element.parent) and parent.parent and parent.name in CLOSED_BY[element.name]:
                parent.insert_after(element, *list(element.next_siblings))
    for field in soup("select"):
        _choose(field)
    for text in soup.find_all(string=REPLACED):
        text.extract()


def _choose(field: Tag) -> None:
    """Keep the chosen options of a list; the others are not shown."""
    options = field("option")
    chosen = [option for option in options if option.has_attr("selected")] or options[:1]
    for option in options:
        if not any(option is each for each in chosen):
            option.extract()


def _programs(tags: Iterable[Tag]) -> Iterator[str]:
    for element in tags:
        if element.name in PROGRAMS and not re.search("json|template", str(element.get("type", ""))):
            yield PROGRAMS[element.name]


def _styles(tags: Iterable[Tag]) -> Iterator[str]:
    """Name what styles say of tables and backgrounds, in the sheets of pandas and at elements themselves."""
    sheets = [element.get_text() for element in tags if element.name == "style"]
    own = [(element.name, str(element["style"])) for element in tags if "style" in element.attrs]
    of_tables = [sheet for sheet in sheets if "#T_" in sheet]
    of_tables += [style for name, style in own if name in ("td", "th", "tr")]
    if any("linear-gradient" in style for style in of_tables):
        yield "the bars in a table"
    if any(COLOUR.search(re.sub(r"[^;{}]*linear-gradient[^;}]*", "", style)) for style in of_tables):
        yield "the colours of a table"
    if any("url(" in style for _, style in own):
        yield "a picture in the background"


def _is_hidden(element: Tag) -> bool:
    style = element.attrs.get("style")
    return "hidden" in element.attrs or (style is not None and HIDDEN.search(str(style)) is not None)


def _blocks(element: Tag, page: Page, depth: int) -> Iterator[str]:
    """Write what is in an element, block by block."""
    line: list[PageElement] = []
    for child in element.children:
        if isinstance(child, Tag) and _is_block(child):
            yield from _paragraph(line, page)
            line = []
            yield from _block(child, page, depth)
        else:
            line.append(child)
    yield from _paragraph(line, page)


def _is_block(element: Tag) -> bool:
    return element.name in BLOCKS or any(
        isinstance(inner, Tag) and inner.name in BLOCKS for inner in element.descendants if element.name != "select"
    )


def _paragraph(line: Iterable[PageElement], page: Page) -> Iterator[str]:
    elements = [each for each in line if not isinstance(each, NavigableString) or each.strip()]
    only = elements[0] if len(elements) == 1 else None
    while isinstance(only, Tag) and only.name in ("a", "span", "picture", "b", "font") and len(only.contents) == 1:
        only = only.contents[0]
    if isinstance(only, Tag) and only.name == "img" and only.get("src"):
        yield f"image::{picture(only, page)}"
        return
    text = written("".join(inline(each, page) for each in line))
    if text.strip():
        yield f"[.small]##{text}##" if COUNT.fullmatch(unescape(text)) else text


def _block(element: Tag, page: Page, depth: int) -> Iterator[str]:
    match element.name:
        case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
            yield from _heading(element, page, depth)
        case "ul" | "ol" | "menu":
            if lines := "\n".join(_items(element, page, depth, "")):
                yield lines
        case "dl":
            yield from _terms(element, page, depth)
        case "pre":
            if block := literal_block(element.get_text().strip("\n")):
                yield block
        case "blockquote":
            yield from _enclosed(element, page, depth, QUOTES, "[quote]\n")
        case "details":
            yield from _details(element, page, depth)
        case "hr":
            yield "'''"
        case "table":
            yield from _table(element, page, depth)
        case "figcaption" | "dt" | "legend":
            yield from _paragraph([element], page)
        case _:
            yield from _blocks(element, page, depth)


def _heading(element: Tag, page: Page, depth: int) -> Iterator[str]:
    if words := written(tidy(inline_of(element, page)).replace("\n", " ")):
        # a heading is none inside of another block
        yield f"{'=' * (int(element.name[1]) + 1)} {words}" if depth == 0 else f"*{words}*"


def inline_of(element: Tag, page: Page) -> str:
    """Return the markup of what is in an element."""
    return "".join(inline(child, page) for child in element.children)


def _items(element: Tag, page: Page, depth: int, marks: str) -> Iterator[str]:
    """Write a list, lists inside of it too."""
    ordered = element.name == "ol"
    marks += NUMBERS if ordered else BULLETS
    mark = (NUMBERS if ordered else BULLETS) * len(marks)
    if ordered and str(element.get("start", "1")).isdigit() and element.get("start", "1") != "1":
        yield f"[start={element['start']}]"
    for item in element.children:
        if isinstance(item, NavigableString):
            if item.strip():
                yield f"{mark} {spelled(' '.join(item.split()))}"
            continue
        if not isinstance(item, Tag):
            continue
        if item.name in ("ul", "ol"):
            yield from _items(item, page, depth + 1, marks)
            continue
        yield from _item(item, page, depth + 1, marks, mark)


def _item(item: Tag, page: Page, depth: int, marks: str, mark: str) -> Iterator[str]:
    first, nested = True, False
    for kind, content in _parts(item, page, depth, marks):
        if kind == "list":
            if first:
                yield f"{mark} {{empty}}"
            yield content
            first, nested = False, True
        elif first:
            paragraph = not re.match(r"image::|[=.*_|'\[-]|ifdef::", content) and "\n" not in content
            yield f"{mark} {content}" if paragraph else f"{mark} {{empty}}\n+\n{content}"
            first = False
        else:
            # an empty line leaves the list inside
            yield f"\n+\n{content}" if nested else f"+\n{content}"
    if first:
        yield f"{mark} {{empty}}"


def _parts(item: Tag, page: Page, depth: int, marks: str) -> Iterator[tuple[str, str]]:
    line: list[PageElement] = []
    for child in item.children:
        if isinstance(child, Tag) and _is_block(child):
            yield from (("block", each) for each in _paragraph(line, page))
            line = []
            if child.name in ("ul", "ol"):
                if lines := "\n".join(_items(child, page, depth, marks)):
                    yield "list", lines
            else:
                yield from (("block", each) for each in _block(child, page, depth))
        else:
            line.append(child)
    yield from (("block", each) for each in _paragraph(line, page))


def _terms(element: Tag, page: Page, depth: int) -> Iterator[str]:
    """Write a list of definitions."""
    lines: list[str] = []
    for child in element.find_all(["dt", "dd"]):
        if child.find_parent("dl") is not element:
            continue
        blocks = list(_blocks(child, page, depth + 1))
        if child.name == "dt":
            lines.append(f"{' '.join(blocks) or '{empty}'}::")
        elif not lines:
            yield from blocks
        else:
            lines += [f"+\n{block}" for block in blocks] or ["{empty}"]
    if lines:
        # a term that nothing follows is one nevertheless
        yield "\n".join([*lines, *(["{empty}"] if lines[-1].endswith("::") else [])])


def _enclosed(element: Tag, page: Page, depth: int, mark: str, before: str) -> Iterator[str]:
    inside = "\n\n".join(_blocks(element, page, depth + 1))
    if inside:
        fence = mark * (4 + depth)
        yield f"{before}{fence}\n{inside}\n{fence}"


def _details(element: Tag, page: Page, depth: int) -> Iterator[str]:
    summary = element.find("summary")
    words = tidy(inline_of(summary, page)) if isinstance(summary, Tag) else ""
    title = written(words.replace("\n", " ")) or "Details"
    if isinstance(summary, Tag):
        summary.extract()
    if depth or not element.get_text(strip=True):
        # markdown may have its text in blocks of their own
        yield f"*{title}*"
        yield from _blocks(element, page, depth)
    else:
        yield from _enclosed(element, page, depth, EXAMPLES, f".{title}\n[%collapsible%open]\n")


def _table(element: Tag, page: Page, depth: int) -> Iterator[str]:
    """Write a table; one that is there for the sake of the layout is left in pieces."""
    if element.find("table"):
        cells = [cell for row in rows_of(element) for cell in cells_of(row)]
        if not any(cell.name == "th" for cell in cells):
            for cell in cells:
                yield from _blocks(cell, page, depth)
            return
    if block := table_block(element, page, nested=depth > 0):
        yield block


def _is_empty(table: Tag) -> bool:
    return bool(table.find("thead")) and all(in_head(row) or not cells_of(row) for row in rows_of(table))
