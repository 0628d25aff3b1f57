# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Markdown to asciidoc: read as Jupyter reads it, with nbconvert's own reader, and written by `spelled` alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest
from typing import Any
from urllib.parse import unquote

from bs4 import BeautifulSoup
from mistune import HTMLRenderer
from mistune.plugins.table import table_in_list, table_in_quote
from mistune.util import unescape
from nbconvert.filters.markdown_mistune import MarkdownWithMath, MathInlineParser

from autoflow.child.report.asciidoc import clean, literal, source_block, spelled
from autoflow.child.report.pictures import said_attributes, said_width
from autoflow.child.report.table_layout import PADDING, PORTRAIT, WIDEST_TEXT, text_width

DELIMITER = re.compile(r"(-{4,}|\.{4,}|={4,}|\+{4,}|_{4,}|\*{4,}|\|===)")
HEADING = re.compile(r"(={2,6}) (.*)")
FOLDED = re.compile(r"(\s*ifdef::backend-html5\[\]\n.*?\nendif::\[\]\n)*\s*", re.DOTALL)
"""Code before the first heading that most pages do not show."""

NARROW = 0.8 * PORTRAIT
"""Points of the widest table that is as wide as what is in it."""

SHORTEST = 45.0
"""Points that each column of a wider one has at least."""

DEEPEST_QUOTE = 12
"""Marks of a quotation's fence, which are fewer for those inside of it."""

TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)\b[^>]*>")

MARKS = {
    "emphasis": ("__", "__"),
    "strong": ("**", "**"),
    "code": ("``", "``"),
    "strikethrough": ("{empty}[.line-through]##", "##"),
    "underline": ("{empty}[.underline]##", "##"),
    "mark": ("##", "##"),
    "superscript": ("^", "^"),
    "subscript": ("~", "~"),
}
"""How asciidoc writes what is inside of a line; a line that begins with a bracket would be something else."""

OPENING = frozenset(mark[0] for mark, _ in MARKS.values())

TAGS = {
    "b": "strong", "strong": "strong", "i": "emphasis", "em": "emphasis", "cite": "emphasis", "var": "emphasis",
    "code": "code", "kbd": "code", "samp": "code", "tt": "code", "s": "strikethrough", "del": "strikethrough",
    "strike": "strikethrough", "u": "underline", "ins": "underline", "mark": "mark", "sup": "superscript",
    "sub": "subscript",
}  # fmt: skip
"""HTML inside of a line, and what it is in markdown."""

UNSEEN_TAGS = frozenset({"script", "style", "template", "title"})

Token = dict[str, Any]
HtmlConverter = Callable[[str, bool], str]


class LineReader(MathInlineParser):
    """What is inside of a line; dollars around amounts of money are none of a formula."""

    SPECIFICATION = MathInlineParser.SPECIFICATION | {
        "inline_math_tex": r"(?<![$\\])\$(?![\s$])(?P<math_inline_tex>(?:[^$\\]|\\(?s:.))+?)(?<!\s)\$(?![\d$])"
    }


@dataclass(frozen=True)
class _Place:
    """Where a piece of text is."""

    html: HtmlConverter
    anchors: frozenset[str]
    """Headings that links lead to."""
    within: frozenset[str] = frozenset()
    """Marks that are open."""
    nested: bool = False
    """Inside of a list or a quotation."""
    quotes: int = 0
    lists: int = 0


def convert_all(texts: Iterable[str], html: HtmlConverter) -> dict[str, str]:
    """Convert markdown texts.

    Parameters
    ----------
    html
        Converts a block of HTML, and is told whether that is inside of another block.

    Returns
    -------
    dict
        Asciidoc by the text that it comes from; ``#`` is ``==``.
    """
    read = {text: _read(text) for text in dict.fromkeys(texts)}
    wanted = {_anchor(token["attrs"]["url"][1:]) for tokens in read.values() for token in _links(tokens)}
    place = _Place(html, frozenset(wanted))
    return {text: "\n\n".join(_blocks(tokens, place)) for text, tokens in read.items()}


def reader(renderer: HTMLRenderer | None = None) -> MarkdownWithMath:
    """Make what reads markdown; without a renderer it gives what it has read."""
    made = MarkdownWithMath(renderer, inline=LineReader(hard_wrap=False))  # type: ignore[arg-type]
    # as JupyterLab has them
    table_in_list(made)
    table_in_quote(made)
    return made


_reader = cache(reader)


def _read(text: str) -> list[Token]:
    tokens = _reader().parse(clean(text))[0]
    return tokens if isinstance(tokens, list) else []


def _links(tokens: Iterable[Token]) -> Iterator[Token]:
    """Find the links to headings."""
    for token in tokens:
        if token["type"] == "link" and token["attrs"]["url"].startswith("#"):
            yield token
        yield from _links(token.get("children", ()))


def _anchor(text: str) -> str:
    """Name a heading, as it is called or as links in Jupyter call it."""
    name = re.sub(r"\W+", "-", unquote(text).lower()).strip("-")
    return name if name[:1].isalpha() else f"_{name}"


def _blocks(tokens: list[Token], place: _Place) -> list[str]:
    """Write blocks, without those that show nothing."""
    blocks: list[str] = []
    before = ""
    for token in _with_html_joined(tokens):
        block = _block(token, place)
        if block:
            if before == token["type"] == "list" and not place.lists:
                # they would be one list otherwise
                blocks.append("//-")
            blocks.append(block)
            before = token["type"]
    return blocks


def _with_html_joined(tokens: list[Token]) -> list[Token]:
    """Join pieces of HTML that only blank lines are between."""
    joined: list[Token] = []
    for token in tokens:
        if token["type"] == "blank_line":
            continue
        if token["type"] == "block_html" and joined and joined[-1]["type"] == "block_html":
            joined[-1] = {**token, "raw": f"{joined[-1]['raw']}\n{token['raw']}"}
        else:
            joined.append(token)
    return joined


def _block(token: Token, place: _Place) -> str:
    kind = token["type"]
    if kind in ("paragraph", "block_text"):
        return _line(token, place)
    if kind == "heading":
        return _heading(token, place)
    if kind == "block_code":
        return source_block(token["raw"])
    if kind == "block_html":
        return _html(token["raw"], place)
    if kind == "thematic_break":
        return "'''"
    if kind == "block_quote":
        inside = replace(place, nested=True, quotes=place.quotes + 1, lists=0)
        fence = "_" * (DEEPEST_QUOTE - min(place.quotes, DEEPEST_QUOTE - 4))
        blocks = _blocks(token["children"], inside)
        return "\n".join(["[quote]", fence, "\n\n".join(blocks), fence]) if blocks else ""
    if kind == "list":
        return _list(token, replace(place, nested=True, lists=place.lists + 1))
    if kind == "table":
        return _table(token, place)
    if kind == "def_list":
        return _definitions(token, replace(place, nested=True))
    # what a reader of a later version may know
    return _line(token, place) or literal(str(token.get("raw", "")))


def _line(token: Token, place: _Place) -> str:
    """Write what is inside of a block as one line, or several where it is broken on purpose."""
    text = _inlines(token.get("children", []), place)
    lines = [line.strip(" ") for line in text.split("\n")]
    return " +\n".join(line or "{empty}" for line in lines) if any(lines) else ""


def _flat(token: Token, place: _Place) -> str:
    return " ".join(_inlines(token.get("children", []), place).split())


def _heading(token: Token, place: _Place) -> str:
    words = _flat(token, place)
    if not words:
        return ""
    if place.nested:
        # sections are not inside of anything
        return words if words.startswith("**") else f"**{words}**"
    anchor = _anchor(_plain(token["children"]))
    mark = f"[[{anchor}]]\n" if anchor in place.anchors else ""
    return f"{mark}{'=' * min(token['attrs']['level'] + 1, 6)} {words}"


def _plain(tokens: Iterable[Token]) -> str:
    """Return the text of what is inside of a line, without what it looks like."""
    return "".join(
        " " if token["type"] in ("softbreak", "linebreak")
        else _plain(token["children"]) if "children" in token
        else "" if token["type"] == "inline_html"
        else unescape(token["raw"]) if token["type"] == "text"
        else token.get("raw", "")
        for token in tokens
    )  # fmt: skip


def _html(html: str, place: _Place) -> str:
    """Convert HTML among blocks."""
    return place.html(html, place.nested)


def _list(token: Token, place: _Place) -> str:
    ordered = token["attrs"]["ordered"]
    mark = ("." if ordered else "*") * place.lists
    start = token["attrs"].get("start", 1)
    said = [f"[arabic{f',start={start}' if start != 1 else ''}]"] if ordered else []
    return "\n".join([*said, *(f"{mark} {_item(item, place)}" for item in token["children"])])


def _item(item: Token, place: _Place) -> str:
    """Write an item of a list: a line, and what is attached to it."""
    children = [token for token in _with_html_joined(item["children"]) if token["type"] != "blank_line"]
    text = ""
    if children and children[0]["type"] in ("paragraph", "block_text"):
        text = _line(children.pop(0), place)
    if item["type"] == "task_list_item":
        text = f"{chr(0x2611 if item['attrs']['checked'] else 0x2610)} {text}"
    return _attached(text or "{empty}", children, place)


def _attached(text: str, children: list[Token], place: _Place) -> str:
    parts = [text]
    for number, child in enumerate(children):
        if child["type"] == "list":
            parts.append(_block(child, place))
            # only one thing can be attached behind a list, after a blank line for each list that is to be left
            rest = _enclosed(children[number + 1 :], replace(place, lists=0))
            return "\n".join([*parts, *([""] * _depth_of_end(child) + ["+", rest] if rest else [])])
        if block := _block(child, place):
            parts += ["+", block]
    return "\n".join(parts)


def _enclosed(tokens: list[Token], place: _Place) -> str:
    """Make one block of several, or of a list; blocks without a look of their own are not inside of each other."""
    blocks = _blocks(tokens, place)
    if len(blocks) < 2 and not any(token["type"] == "list" for token in tokens):
        return "".join(blocks)
    text = "\n\n".join(blocks)
    longest = max((len(line) for line in re.findall(r"^=+$", text, re.MULTILINE)), default=3)
    fence = "=" * (longest + 1) if re.search(r"^(--|=+)$", text, re.MULTILINE) else "--"
    return f"{fence}\n{text}\n{fence}"


def _depth_of_end(token: Token) -> int:
    """Count the lists that are open where a list ends."""
    if not token["children"]:
        return 1
    last = [child for child in token["children"][-1]["children"] if child["type"] != "blank_line"]
    return 1 + (_depth_of_end(last[-1]) if last and last[-1]["type"] == "list" else 0)


def _table(token: Token, place: _Place) -> str:
    head, *bodies = token["children"]
    rows = [head, *(row for body in bodies for row in body["children"])]
    sides = {"left": "<", "right": ">", "center": "^"}
    wishes = [PADDING + max(column) for column in _widths(rows)]
    # one that is wider than this gets the whole width of the page, shared out
    narrow = sum(wishes) < NARROW
    shares = [""] * len(wishes) if narrow else [f"{min(max(wish, SHORTEST), WIDEST_TEXT):.0f}" for wish in wishes]
    columns = ",".join(
        f"{sides.get(cell['attrs'].get('align'), '<')}{share}"
        for cell, share in zip(head["children"], shares, strict=False)
    )
    lines = ["\n".join(f"|{_line(cell, place)}" for cell in row["children"]) for row in rows]
    options = "header,autowidth" if narrow else "header"
    return "\n".join([f'[cols="{columns}",options="{options}"]', "|===", "\n\n".join(lines), "|==="])


def _widths(rows: list[Token]) -> Iterable[tuple[float, ...]]:
    """Estimate the points that the cells of each column need if none of their lines is wrapped."""
    return zip_longest(
        *([text_width(_plain(cell["children"])) for cell in row["children"]] for row in rows), fillvalue=0.0
    )


def _definitions(token: Token, place: _Place) -> str:
    lines: list[str] = []
    for child in token["children"]:
        if child["type"] == "def_list_head":
            lines.append(f"{_flat(child, place) or '{empty}'}::")
        else:
            lines.append(_item(child, place))
    return "\n".join(lines)


def _inlines(tokens: list[Token], place: _Place) -> str:
    """Write what is inside of a line; a new line is one that is wanted."""
    written: list[str] = []
    rest = iter(range(len(tokens)))
    for number in rest:
        token = tokens[number]
        if token["type"] != "inline_html":
            written.append(_inline(token, place))
            continue
        text, last = _tag(tokens, number, place)
        written.append(text)
        for _ in range(last - number):
            next(rest)
    return _joined(written)


def _joined(pieces: list[str]) -> str:
    """Join pieces so that the brackets of a link or a picture are no attributes of what is in marks behind them."""
    text = ""
    for piece in pieces:
        text += "{empty}" + piece if text.endswith("]") and piece[:1] in OPENING else piece
    return text


def _inline(token: Token, place: _Place) -> str:
    kind = token["type"]
    if kind == "text":
        return _text(unescape(token["raw"]), place)
    if kind == "softbreak":
        return " "
    if kind == "linebreak":
        return "\n"
    if kind in ("emphasis", "strong", "strikethrough"):
        return _marked(kind, token["children"], place)
    if kind == "codespan":
        return _in_marks("code", _text(token["raw"], place), place)
    if kind == "link":
        return _link(token["attrs"]["url"], token["children"], place)
    if kind == "image":
        return picture(token["attrs"]["url"], _plain(token["children"]))
    if kind in ("inline_math", "block_math"):
        return formula(token["raw"], "inline" if kind == "inline_math" else "display")
    if kind == "latex_environment":
        name = token["attrs"]["name"]
        return formula(f"\\begin{{{name}}}{token['attrs']['body']}\\end{{{name}}}", "display")
    return _inlines(token["children"], place) if "children" in token else _text(str(token.get("raw", "")), place)


def _text(text: str, place: _Place) -> str:
    plain = spelled(re.sub(r"[ \t\n\r\f\v]+", " ", text))
    if "link" in place.within:
        # what is behind a comma could be taken for an attribute
        plain = plain.replace(",", "&#44;")
    # asciidoc has no blanks in superscripts
    return plain.replace(" ", "&#32;") if place.within & {"superscript", "subscript"} else plain


def _marked(kind: str, tokens: list[Token], place: _Place) -> str:
    return _in_marks(kind, _inlines(tokens, replace(place, within=place.within | {kind})), place)


def _in_marks(kind: str, text: str, place: _Place) -> str:
    """Put marks around text, blanks outside; none where the same are open already."""
    before, after = MARKS[kind]
    if any(MARKS[each][1] == after for each in place.within if each in MARKS) or not text.strip():
        return text
    inner = text.strip()
    start = text.index(inner)
    return f"{text[:start]}{before}{inner}{after}{text[start + len(inner) :]}"


def _link(url: str, tokens: list[Token], place: _Place) -> str:
    text = _inlines(tokens, replace(place, within=place.within | {"link"}))
    if "link" in place.within or not text.strip() or not url:
        return text
    if url.startswith("#"):
        return f"xref:{_anchor(url[1:])}[{text}]"
    address = re.sub(r"\s", "%20", url)
    return f"link:{spelled(address)}[{text}]"


def picture(source: str, alternative: str, size: str = "") -> str:
    """Refer to a picture by a name that nothing else has, for `autoflow.child.report.pictures`."""
    return f'image:autoflow-picture-{source.encode().hex()}["{literal(alternative) or "picture"}"{size}]'


def formula(source: str, kind: str) -> str:
    """Refer to a formula, for `autoflow.child.report.maths`."""
    return f"image:autoflow-math-{kind}-{source.strip().encode().hex()}[]"


def _tag(tokens: list[Token], number: int, place: _Place) -> tuple[str, int]:
    """Write what a tag is around, and give the number of the last token that belongs to it."""
    raw = tokens[number]["raw"]
    match = TAG.fullmatch(raw.strip())
    if not match or match.group(1):
        return "", number
    name = match.group(2).lower()
    if name == "br":
        return "\n", number
    if name == "img":
        return _img(raw), number
    end = _end_of(tokens, number, name)
    if end is None:
        return "", number
    inside = tokens[number + 1 : end]
    if name in UNSEEN_TAGS:
        return "", end
    if name == "a":
        url = BeautifulSoup(raw, "html.parser").a.get("href") or ""  # type: ignore[union-attr]
        return _link(str(url), inside, place), end
    if name in TAGS:
        return _marked(TAGS[name], inside, place), end
    return _inlines(inside, place), end


def _end_of(tokens: list[Token], number: int, name: str) -> int | None:
    depth = 0
    for position in range(number, len(tokens)):
        match = TAG.fullmatch(tokens[position].get("raw", "")) if tokens[position]["type"] == "inline_html" else None
        if match and match.group(2).lower() == name:
            depth += -1 if match.group(1) else 1
            if depth == 0:
                return position
    return None


def _img(raw: str) -> str:
    tag = BeautifulSoup(raw, "html.parser").img
    source = str(tag.get("src") or "") if tag else ""
    if not tag or not source:
        return ""
    said = said_width(str(tag.get("width") or ""), str(tag.get("style") or ""))
    return picture(source, str(tag.get("alt") or ""), f",{said_attributes(*said)}" if said else "")


def on_headings(asciidoc: str, change: Callable[[int, str], str]) -> str:
    """Rewrite the headings of an asciidoc text, those inside of blocks excepted.

    Parameters
    ----------
    change
        Gets the level (``==`` is 1) and the words of a heading, and gives its new line.
    """
    lines, fence = [], None
    for line in asciidoc.split("\n"):
        if fence is None and DELIMITER.fullmatch(line):
            fence = line
        elif fence is not None:
            fence = None if line == fence else fence
        elif match := HEADING.fullmatch(line):
            line = change(len(match.group(1)) - 1, match.group(2))
        lines.append(line)
    return "\n".join(lines)


def with_title(asciidoc: str, fallback: str, given: str = "") -> tuple[str, str]:
    """Take the first heading as the document's title, if it is one of the first level and nothing is before it.

    If it is the only one of its level, those below it move up; levels that are left out are closed up,
    since asciidoctor wants none to be.

    Parameters
    ----------
    fallback
        The title where no heading is one.
    given
        The title whatever the headings are: the first one stays below it, unless it is the same.

    Returns
    -------
    title, body : str
    """
    levels: list[int] = []
    first: list[str] = []

    def collect(level: int, words: str) -> str:
        levels.append(level)
        first.append(words)
        return ""

    on_headings(asciidoc, collect)
    before = FOLDED.match(asciidoc)
    code = before.group() if before else ""
    body = re.sub(r"^(?:\[\[[^\n]*\]\]\n)?", "", asciidoc[len(code) :])
    titled = bool(levels) and levels[0] == 1 and body.startswith(f"== {first[0]}")
    if given and titled and first[0].casefold() != given.casefold():
        titled = False
    raised = titled and levels.count(1) == 1
    depth = 0
    seen = 0

    def rewrite(level: int, words: str) -> str:
        nonlocal depth, seen
        seen += 1
        if titled and seen == 1:
            return ""
        level = min(max(level - raised, 1), depth + 1, 5)
        depth = level
        return f"{'=' * (level + 1)} {words}"

    text = on_headings(code + body if titled else asciidoc, rewrite)
    return given or (first[0] if titled else fallback), text.lstrip()


def lookup(converted: Mapping[str, str], html: HtmlConverter) -> Callable[[str], str]:
    """Make the filter that templates call: what was converted already, else by a call of its own."""
    return lambda text: converted.get(text) or convert_all([text], html)[text]
