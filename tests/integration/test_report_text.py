# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""No character of a text is lost, added or taken for syntax, in either format: thousands of texts, drawn at random.

What Jupyter shows is the measure: nbconvert's own rendering of the same markdown. A failure names its seed;
`AUTOFLOW_TEST_SEED` repeats it.
"""

from __future__ import annotations

import os
import random
import re
import subprocess
import unicodedata
from dataclasses import dataclass
from html import escape
from pathlib import Path

import nbformat
import pytest
from mistune import HTMLRenderer
from nbconvert.filters.markdown_mistune import IPythonRenderer
from nbformat import v4

from autoflow.child.report import front_matter, report
from autoflow.child.report.html_content import visible_text
from autoflow.child.report.markdown import reader

LONG = "x" * 150
"""A word that no line has room for."""

HAZARDS = [
    *Path(__file__).with_name("hazards.txt").read_text(encoding="utf-8").split(),
    *("\u00a0", "\u200b", "\u00ad", "e\u0301", "\t", "a\u00a0b", "\u2028", LONG),
]
"""What asciidoc, markdown, HTML, templates and tables read as syntax, beside what people write."""
BREAKS = [
    "  \n",
    "\n",
    "\n- ",
    "\n> ",
    "\n1. ",
    " +\n",
    "\\\n",
    "\n\n",
    "\n    ",
    "\n= ",
    "\n.t\n",
    "\n[x]\n",
    "\n* * *\n",
    "\n//x\n",
]
STARTS = [
    *(
        "",
        "",
        "",
        "",
        "- ",
        "1. ",
        "> ",
        "#### ",
        "- [ ] ",
        "* * ",
        "    ",
        ":note: ",
        "// ",
        ". ",
        "a. ",
        "1) ",
        ".x ",
    ),
    *("= ", "[x]\n", "NOTE: ", "a:: ", "+ ", "\u2022 ", "\u00a0x ", "|", "include::a[]\n", "image::a[]", "====\n"),
    *("--\n", "....\n"),
]
WORDS = "the flow of people between districts was higher than normal in March and fell again"

LETTERS = [
    character
    for character in map(chr, range(0xA1, 0xFFFE))
    if unicodedata.category(character)[0] in "LNPS" and not 0xD800 <= ord(character) < 0xF900
]
"""Unicode's letters, numbers, punctuation and signs."""
COMMON = [character for character in LETTERS if ord(character) < 0x2C00]

LIST_MARK = re.compile(r"[\u2022\u25e6\u25aa.\d]")
RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff]")
"""What pdftotext turns round, signs that Unicode says have no direction among them."""

END = re.compile(r"zq(\d+)zq")
"""What stands behind each piece."""

THOROUGH = bool(os.environ.get("AUTOFLOW_TEST_THOROUGH"))
PIECES = {"sentence": 1000, "cell of markdown": 400, "cell of a frame": 300, "printed line": 500}
"""How many of each; a fifth, if the tests are not to be thorough: other ones each time."""


@dataclass(frozen=True)
class Piece:
    """A text, and what Jupyter shows of it."""

    kind: str
    source: str
    shown: str


@dataclass(frozen=True)
class NotebookFiles:
    """Both reports of all pieces."""

    seed: int
    pieces: list[Piece]
    html: dict[int, str]
    pdf: dict[int, str]


def draw(rng: random.Random, *, breaks: bool = False) -> str:
    """Draw a sentence."""
    text = ""
    for _ in range(rng.randint(1, 9)):
        strange = "".join(rng.choices(rng.choice([COMMON, COMMON, LETTERS]), k=rng.randint(1, 4)))
        fragment = rng.choice([rng.choice(HAZARDS), rng.choice(HAZARDS), rng.choice(WORDS.split()), strange])
        # dollars that touch something would be a formula, a bracket behind a mark of exclamation a picture
        glued = rng.random() < 0.25 and "$" not in fragment + text and "![" not in text[-3:] + fragment
        # what touches a long word may be broken anywhere, at the end of a page too, where nothing finds its halves
        glued = glued and LONG not in (fragment, text[-len(LONG) :])
        text += fragment if glued else f" {fragment}"
        if breaks and rng.random() < 0.06:
            text += rng.choice(BREAKS)
    return text.strip(" ")


class Renderer(IPythonRenderer):
    """nbconvert's, which shows the name of a language that it does not know as code."""

    block_code = HTMLRenderer.block_code


def jupyter(source: str) -> str:
    """Give the text that Jupyter shows; what is money and what a formula, AutoFlow says."""
    renderer = Renderer(escape=False, exclude_anchor_links=True)
    return visible_text(reader(renderer).render(source))


def words(text: str) -> str:
    """Leave out how lines break, boxes to tick, which are no text in Jupyter, and the heads of tables."""
    return " ".join(re.sub("[\u2610\u2611]|\\bzq\\b", "", text).split())


def by_piece(text: str) -> dict[int, str]:
    """Cut a page's text behind each piece."""
    parts = END.split(text)
    return {int(number): before for before, number in zip(parts[::2], parts[1::2], strict=False)}


def draw_pieces(rng: random.Random) -> list[Piece]:
    pieces = []
    for kind, count in PIECES.items():
        for _ in range(count if THOROUGH else count // 5):
            end = f" zq{len(pieces)}zq"
            if kind == "sentence":
                source = rng.choice(STARTS) + draw(rng, breaks=True) + end
                while end.strip() not in (shown := jupyter(source)):
                    # its end would be on a line that nobody sees, such as the beginning of a block of code
                    source = rng.choice(STARTS) + draw(rng, breaks=True) + end
                pieces.append(Piece(kind, source, shown))
            elif kind == "cell of markdown":
                text = re.sub(r"(?<!\\)\|", r"\\|", draw(rng).replace("`", "'")) + end
                pieces.append(Piece(kind, text, jupyter(f"|x|\n|---|\n|{text}|").removeprefix("x").strip()))
            else:
                text = draw(rng) + end
                pieces.append(Piece(kind, text, text))
    return pieces


def notebook_of(pieces: list[Piece]) -> nbformat.NotebookNode:
    def of(kind: str) -> list[str]:
        return [piece.source for piece in pieces if piece.kind == kind]

    def output(**data: str) -> nbformat.NotebookNode:
        shown = {name.replace("_", "/"): text for name, text in data.items()}
        return v4.new_code_cell("", outputs=[v4.new_output("display_data", shown)])

    cells_of_frame = "".join(f"<tr><td>{escape(text)}</td></tr>" for text in of("cell of a frame"))
    table = f"<table><thead><tr><th>zq</th></tr></thead><tbody>{cells_of_frame}</tbody></table>"
    lines = of("printed line")
    cells = [
        v4.new_markdown_cell("# zq\n\n## zq\n\n### zq\n\n#### zq\n\nzq99999zq"),
        *map(v4.new_markdown_cell, of("sentence")),
        v4.new_markdown_cell("\n".join(["|zq|", "|---|", *(f"|{text}|" for text in of("cell of markdown"))])),
        output(text_html=table),
        *(
            v4.new_code_cell(
                "", outputs=[v4.new_output("stream", name="stdout", text="\n".join(lines[start : start + 25]))]
            )
            for start in range(0, len(lines), 25)
        ),
    ]
    return v4.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> NotebookFiles:
    """Convert all pieces at once."""
    seed = int(os.environ.get("AUTOFLOW_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"AUTOFLOW_TEST_SEED={seed}")  # noqa: T201
    directory = tmp_path_factory.mktemp("text")
    pieces = draw_pieces(random.Random(seed))
    nbformat.write(notebook_of(pieces), directory / "executed.ipynb")
    (directory / "y").write_bytes(b"")
    paths = {kind: directory / f"report.{kind}" for kind in ("pdf", "html")}
    request = {
        "notebook": str(directory / "executed.ipynb"),
        "outputs": [{"format": kind, "path": str(path)} for kind, path in paths.items()],
        "inputs_dir": str(directory),
        "title_fallback": "zq",
    }
    workspace = directory / "work"
    workspace.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        # a table of contents would have headings twice
        patch.setattr(front_matter, "LONG", 10**9)
        report.work(request, workspace)
    body = paths["html"].read_text(encoding="utf-8").partition("<body")[2]
    command = ["pdftotext", "-raw", "-enc", "UTF-8", str(paths["pdf"]), "-"]
    pdf = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # the number of each page
    pdf = re.sub(r"^Page \d+ of \d+\n?(\f|\Z)", "", pdf, flags=re.MULTILINE)
    return NotebookFiles(seed, pieces, by_piece(visible_text(f"<body{body}")), by_piece(pdf))


def test_html_has_each_piece_as_jupyter_shows_it(made: NotebookFiles) -> None:
    wrong = []
    for number, piece in enumerate(made.pieces):
        found = words(made.html.get(number, "MISSING"))
        expected = words(END.split(piece.shown)[0])
        if found != expected:
            wrong.append((piece.kind, piece.source, expected, found))
    assert not wrong, explain(made, wrong)


def test_a_pdf_has_each_piece_as_jupyter_shows_it(made: NotebookFiles) -> None:
    wrong = []
    for number, piece in enumerate(made.pieces):
        wanted = glyphs(END.split(piece.shown)[0])
        found = glyphs(made.pdf.get(number, "MISSING"))
        if found != wanted and piece.kind == "sentence":
            # the marks and numbers of lists
            wanted, found = LIST_MARK.sub("", wanted), LIST_MARK.sub("", found)
        if RIGHT_TO_LEFT.search(piece.shown) or RIGHT_TO_LEFT.search(wanted):
            wanted, found = "".join(sorted(wanted)), "".join(sorted(found))
        if found != wanted:
            wrong.append((piece.kind, piece.source, wanted, found))
    assert not wrong, explain(made, wrong)


def glyphs(text: str) -> str:
    """Give what is printed of a text: where lines break, and characters that nobody sees, are left out."""
    composed = unicodedata.normalize("NFKC", words(text))
    return "".join(each for each in composed if unicodedata.category(each)[0] not in "ZC")


def explain(made: NotebookFiles, wrong: list[tuple[str, str, str, str]]) -> str:
    shown = "\n".join("\n  ".join(map(repr, each)) for each in wrong[:15])
    return f"{len(wrong)} of {len(made.pieces)} pieces, AUTOFLOW_TEST_SEED={made.seed}:\n{shown}"
