# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Reports: what a reader finds on the pages of a PDF that was really made."""

from __future__ import annotations

import base64
import io
import re
import resource
import string
import subprocess
from collections.abc import Iterator
from contextlib import closing, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import matplotlib as mpl
import nbformat
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from matplotlib import pyplot as plt
from nbformat import NotebookNode, v4
from PIL import Image
from pypdf import PdfReader

from autoflow.child.asciidoctor import WarmAsciidoctor
from autoflow.child.report import conversion, report
from autoflow.child.report.html_content import visible_text
from autoflow.child.report.report import ReportError
from autoflow.notices import Notice

mpl.use("Agg")


def markdown(source: str, **attachments: Any) -> NotebookNode:
    return v4.new_markdown_cell(source, **attachments)


def shown(*outputs: dict[str, str]) -> NotebookNode:
    return v4.new_code_cell("SECRET_CODE = 1", outputs=[v4.new_output("display_data", data) for data in outputs])


def frame(table: pd.DataFrame) -> NotebookNode:
    return shown({"text/html": table._repr_html_(), "text/plain": "PLAIN_FRAME"})


def plot(kind: str) -> str:
    figure, axes = plt.subplots(figsize=(20, 4))
    axes.plot([1, 3, 2])
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    plt.close(figure)
    content = buffer.getvalue()
    return content.decode() if kind == "svg" else base64.b64encode(content).decode()


class Pages:
    """A PDF, as tools read it."""

    def __init__(self, path: Path, warnings: list[str]) -> None:
        self.path = path
        self.warnings = warnings
        self.text = self._tool("pdftotext", "-layout", str(path), "-")

    def images(self) -> int:
        """Count pictures; their masks of transparency are none."""
        lines = self._tool("pdfimages", "-list", str(self.path)).splitlines()[2:]
        return sum(line.split()[2] == "image" for line in lines)

    def right_edge(self, word: str) -> float:
        """Where on the page a word ends, in points."""
        for line in self._tool("pdftotext", "-bbox", str(self.path), "-").splitlines():
            if f">{word}</word>" in line:
                return float(line.split('xMax="')[1].split('"')[0])
        raise AssertionError(f"{word} is not on a page")

    def _tool(self, *command: str) -> str:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", autouse=True)
def _pages_by_forks() -> Iterator[None]:
    """Have pages made by forks of one process, as the reports of a tick are: each report would load the program else.

    That they are the same is for test_warm_reports.py to see.
    """
    warm, work = WarmAsciidoctor.start(), report.work
    assert warm

    def work_by_forks(request: dict[str, Any], workspace: Path) -> dict[str, Any]:
        line = warm.line()
        with closing(line) if line else nullcontext():
            return work(request, workspace, line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "work", work_by_forks)
        yield
    warm.let_go()
    warm._process.wait()


def convert(directory: Path, *cells: NotebookNode, template: str | None = None, **known: Any) -> Pages:
    """Make a report of cells; in HTML too, where ``html`` says so."""
    notebook = directory / "executed.ipynb"
    nbformat.write(v4.new_notebook(cells=list(cells)), notebook)
    workspace = directory / "work space"
    workspace.mkdir(exist_ok=True)
    output = workspace / "report.pdf"
    request = {
        "notebook": str(notebook),
        "outputs": [
            {
                "format": kind,
                "path": str(output.with_suffix(f".{kind}")),
                "template": template,
                "theme": known.get("theme"),
            }
            for kind in (("pdf", "html") if known.get("html") else ("pdf",))
        ],
        "heading": known.get("heading", {}),
        "inputs_dir": str(directory),
        "title_fallback": "flows 2016-01-01",
    }
    reply = report.work(request, workspace)
    return Pages(output, [str(Notice(**warning)) for warning in reply["warnings"]])


def test_a_page_has_what_was_shown_and_nothing_else(tmp_path: Path) -> None:
    noise = v4.new_code_cell(
        "SECRET_CODE",
        outputs=[
            v4.new_output("stream", name="stdout", text="printed \x1b[31mred\x1b[0m\n....\nmore"),
            v4.new_output("stream", name="stderr", text="NOISE"),
            v4.new_output("error", ename="E", evalue="NOISE", traceback=["NOISE"]),
        ],
    )
    named_plot = shown({"text/plain": "<Axes: NOISE>"}, {"image/png": plot("png"), "text/plain": "<Figure NOISE>"})
    pages = convert(tmp_path, markdown("# Title\n\nIntro **bold**"), noise, named_plot)
    for words in ("Title", "Intro bold", "printed red", "....", "more"):
        assert words in pages.text
    for words in ("SECRET", "NOISE", "\x1b", "**", "= Title"):
        assert words not in pages.text
    assert pages.images() == 1
    assert pages.warnings == []


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_plots_fit_the_page(tmp_path: Path, kind: str) -> None:
    pages = convert(tmp_path, markdown("# T"), shown({f"image/{kind}": plot(kind)}))
    listing = subprocess.run(["pdfimages", "-list", pages.path], capture_output=True, text=True, check=True).stdout
    width, dots_per_inch = int(listing.splitlines()[2].split()[3]), int(listing.splitlines()[2].split()[12])
    assert width / dots_per_inch < 7.0  # inches between the margins of A4


def test_links_keep_their_address_in_both_formats(tmp_path: Path) -> None:
    addresses = [
        "https://example.org/a__b__c?x=1&y=(2)#f_g",
        "https://example.org/a*b*c+d~e~f^g^",
        "https://example.org/%7Euser/it's,here;too",
        "https://example.org/\u00e9t\u00e9",
        "mailto:someone_else@example.org",
    ]
    text = "\n\n".join(f"[to __{number}__, a=b](<{address}>)" for number, address in enumerate(addresses))
    pages = convert(tmp_path, markdown(f"# T\n\n{text}"), html=True)
    wanted = [quote(address, safe=string.punctuation) for address in addresses]
    page = BeautifulSoup(pages.path.with_suffix(".html").read_text(), "html.parser")
    assert [unquote(str(link["href"])) for link in page.find_all("a")] == list(map(unquote, wanted))
    assert [link.get_text() for link in page.find_all("a")] == [f"to {number}, a=b" for number in range(5)]
    notes = [note.get_object() for each in PdfReader(pages.path).pages for note in each.get("/Annots", ())]
    # a link of several looks is several of the same
    assert list(dict.fromkeys(unquote(str(note["/A"]["/URI"])) for note in notes)) == list(map(unquote, wanted))


def test_links_within_a_notebook_find_their_headings(tmp_path: Path) -> None:
    source = "# T\n\n[down](#Results-of-C++,-2016) and [gone](#nowhere)\n\n## Results of C++, 2016\n\ntext"
    page = convert(tmp_path, markdown(source), html=True).path.with_suffix(".html").read_text()
    (target,) = re.findall(r'<a href="#([^"]*)">down', page)
    assert f'<h2 id="{target}">' in page


def test_lists_quotations_and_code_nest_as_they_are_written(tmp_path: Path) -> None:
    source = """# T

- one
  1. two

     ```
     code | of two
     ```
     - three

  after two

  > quoted
  >
  > > deeper

  - five
    - six

    - seven

      eight

    nine

    ten
- [x] four
  - eleven

  1. twelve

* of another list
"""
    page = convert(tmp_path, markdown(source), html=True).path.with_suffix(".html").read_text()
    soup = BeautifulSoup(page, "html.parser")
    [first, second] = [
        each for each in soup.find_all("ul") if each.find_parent("ul") is None and each.find_parent("ol") is None
    ]
    assert [item.get_text(" ", strip=True).split()[0] for item in first.find_all("li", recursive=False)] == [
        "one",
        "\u2611",
    ]
    item = first.find("li")
    assert item.find("ol").find("pre").get_text() == "code | of two"
    assert item.find("ol").find("ul").get_text(strip=True) == "three"
    (after,) = [each for each in item.find_all("p") if each.get_text() == "after two"]
    assert after.find_parent("li") is item
    assert "deeper" in item.find("blockquote").find("blockquote").get_text()
    assert second.get_text(strip=True) == "of another list"
    (twelve,) = [each for each in soup.find_all("li") if each.get_text(strip=True) == "twelve"]
    assert twelve.parent.name == "ol"
    assert "four" in twelve.find_parent("li").find("p").get_text()
    assert "+" not in soup.find("body").get_text()
    (nine, ten) = [each for each in item.find_all("p") if each.get_text() in ("nine", "ten")]
    assert nine.find_parent("li") is ten.find_parent("li")
    assert nine.find_parent("li").find("p").get_text() == "five"


def test_code_objects_are_shown_as_their_text(tmp_path: Path) -> None:
    latex = "\\begin{Verbatim}[commandchars=\\\\\\{\\}]\n\\PY{n}{x}\n\\end{Verbatim}"
    pages = convert(
        tmp_path,
        markdown("# T"),
        shown(
            {
                "text/plain": "x = y_1 <3>",
                "text/html": "<div class='highlight'><pre><span>x</span> = y_1 &lt;3&gt;</pre></div>",
                "text/latex": latex,
            }
        ),
    )
    assert "x = y_1 <3>" in pages.text
    assert "Verbatim" not in pages.text


def test_long_printed_text_is_whole_in_both_formats_after_seconds(tmp_path: Path) -> None:
    lines = [f"{number}: <b> & include::x[] \u2588 {'~' * (number % 50)}" for number in range(5000)]
    lines[7] = "include::/etc/passwd[]"
    pieces = ["\n".join(lines[:150]) + "\n", "\n".join(lines[150:]) + "\n", "10%\r99%\r", "100%\n" + "word " * 3000]
    pieces += ["\n", "x" * 170_000]
    printed = [v4.new_output("stream", name="stdout", text=text) for text in pieces]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pages = convert(tmp_path, markdown("# T"), v4.new_code_cell("", outputs=printed), html=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 4
    page = visible_text(pages.path.with_suffix(".html").read_text().partition("<body")[2])
    for text in (pages.text, page):
        squeezed = re.sub(r"[\s\u200b]", "", re.sub(r"(?m)^.*Page \d+ of \d+$", "", text))
        assert re.sub(r"\s", "", "".join(lines[:30])) in squeezed
        assert all(f"{number}:<b>" in squeezed for number in range(5000) if number != 7)
        assert squeezed.count("word") == 3000
        assert squeezed.count("x" * 170_000) == 1
        assert "10%" not in squeezed.replace("100%", "")


def test_printed_lines_are_as_far_apart_on_the_whole_page_and_folded_at_its_edge(tmp_path: Path) -> None:
    text = "\n".join(["short", "\u00e9\u2588\u65e5", "  indented", "many words " * 20, "w" * 300, *("line",) * 150])
    pages = convert(tmp_path, markdown("# T"), v4.new_code_cell("", outputs=[v4.new_output("stream", text=text)]))
    first = pages._tool("pdftotext", "-bbox-layout", str(pages.path), "-").partition("</page>")[0]
    tops, rights = zip(*re.findall(r'<line xMin="[\d.]+" yMin="([\d.]+)" xMax="([\d.]+)"', first)[1:-1], strict=True)
    gaps = [below - above for above, below in pairwise(sorted(map(float, tops)))]
    assert len(gaps) > 50
    assert max(gaps) - min(gaps) < 3
    assert max(map(float, rights)) < 545


def test_code_that_a_pdf_does_not_show_may_be_long_and_in_any_letters(tmp_path: Path) -> None:
    code = v4.new_code_cell("\n".join(["name = '\u05d0\u05d1'", *(f"x{number} = {number}" for number in range(9000))]))
    pages = convert(tmp_path, markdown("# T\n\ntext"), code)
    assert "x8999" not in pages.text
    assert pages.warnings == []


def test_emoji_can_be_copied_from_a_pdf(tmp_path: Path) -> None:
    printed = v4.new_code_cell("", outputs=[v4.new_output("stream", text="printed \U0001f600")])
    pages = convert(tmp_path, markdown("# T\n\nsmile \U0001f680\U0001f604"), printed)
    assert "smile \U0001f680\U0001f604" in pages.text
    assert "printed \U0001f600" in pages.text


def test_svg_plots_are_drawn(tmp_path: Path) -> None:
    pages = convert(tmp_path, markdown("# T"), shown({"image/svg+xml": plot("svg"), "text/plain": "PLAIN"}))
    assert "PLAIN" not in pages.text
    assert pages.path.stat().st_size > 10_000
    assert "svg" not in pages.text


def test_headings_keep_their_levels_and_the_first_is_the_title(tmp_path: Path) -> None:
    pages = convert(
        tmp_path, markdown("# Only\n\n## Methods\n\ntext"), markdown("### Detail\n\ntext"), markdown("## Results")
    )
    source = (tmp_path / "work space" / "document-1" / "report.adoc").read_text()
    headings = [line for line in source.splitlines() if line.startswith("=")]
    assert headings == ["= Only", "== Methods", "=== Detail", "== Results"]
    assert pages.warnings == []


def test_several_titles_and_skipped_levels_are_no_trouble(tmp_path: Path) -> None:
    pages = convert(tmp_path, markdown("# One"), markdown("#### Deep"), markdown("# Two\n\n## Below"))
    source = (tmp_path / "work space" / "document-1" / "report.adoc").read_text()
    assert [line for line in source.splitlines() if line.startswith("=")] == [
        "= One", "== Deep", "== Two", "=== Below",
    ]  # fmt: skip
    assert pages.warnings == []


def test_a_notebook_without_a_title_gets_its_runs(tmp_path: Path) -> None:
    assert "flows 2016-01-01" in convert(tmp_path, markdown("Some text")).text


def test_numbers_are_on_the_right_and_text_is_on_the_left(tmp_path: Path) -> None:
    table = pd.DataFrame({"place": ["north", "southern"], "people": [12, 1234567]})
    pages = convert(tmp_path, markdown("# T"), frame(table))
    assert pages.right_edge("12") == pytest.approx(pages.right_edge("1234567"), abs=1.0)
    assert pages.right_edge("people") == pytest.approx(pages.right_edge("12"), abs=1.0)
    assert pages.right_edge("north") < pages.right_edge("southern") - 5


def test_the_name_of_an_index_is_no_row_of_its_own(tmp_path: Path) -> None:
    table = pd.DataFrame({"people": [1]}, index=pd.Index(["north"], name="place"))
    lines = [line.split() for line in convert(tmp_path, markdown("# T"), frame(table)).text.splitlines()]
    assert ["place", "people"] in lines
    assert ["north", "1"] in lines


def test_headings_of_several_levels_stand_over_their_columns(tmp_path: Path) -> None:
    columns = pd.MultiIndex.from_product([["2015", "2016"], ["in", "out"]])
    index = pd.MultiIndex.from_tuples([("A", "x"), ("A", "y"), ("B", "x")], names=["region", "kind"])
    table = pd.DataFrame(np.arange(101, 113).reshape(3, 4), columns=columns, index=index)
    pages = convert(tmp_path, markdown("# T"), frame(table))
    lines = [line.split() for line in pages.text.splitlines()]
    assert ["region", "kind", "in", "out", "in", "out"] in lines
    assert ["y", "105", "106", "107", "108"] in lines
    assert pages.right_edge("105") == pytest.approx(pages.right_edge("101"), abs=1.0)


def test_text_in_cells_is_taken_literally(tmp_path: Path) -> None:
    hostile = ["a|b", "*c* _d_ `e`", "<x> & {docdir}", "]+pass+[", "image::x[]", "https://example.org", "(C) -- ..."]
    pages = convert(tmp_path, markdown("# T"), frame(pd.DataFrame({"text": hostile})))
    for text in hostile:
        assert text in pages.text
    assert pages.warnings == []


def test_styled_tables_have_their_caption_and_no_hidden_index(tmp_path: Path) -> None:
    table = pd.DataFrame({"place": ["north"], "people": [0.5]})
    styled = table.style.hide(axis="index").format({"people": "{:.1%}"}).set_caption("People by place")
    text = convert(tmp_path, markdown("# T"), shown({"text/html": styled.to_html(), "text/plain": "PLAIN"})).text
    assert "People by place" in text
    assert ["north", "50.0%"] in [line.split() for line in text.splitlines()]


def test_long_tables_repeat_their_head_and_short_ones_stay_together(tmp_path: Path) -> None:
    long = pd.DataFrame({"counted": range(200)})
    pages = convert(tmp_path, markdown("# T"), shown({"text/html": long.to_html()}))
    assert pages.text.count("counted") >= 4
    for number in range(200):
        assert str(number) in pages.text


def test_what_pandas_cuts_short_and_empty_frames_are_shown(tmp_path: Path) -> None:
    pages = convert(tmp_path, frame(pd.DataFrame({"n": range(300)})), frame(pd.DataFrame(columns=["empty"])))
    assert "300 rows \u00d7 1 columns" in pages.text
    assert "empty" in pages.text


def test_markdown_is_shown_as_jupyter_does(tmp_path: Path) -> None:
    image = base64.b64decode(plot("png"))
    (tmp_path / "figure.png").write_bytes(image)
    source = """# T

text
- right below
  1. nested

| left | right |
|------|------:|
| a | 12 |

[named](https://example.org) and no note[^1], ~~gone~~

[^1]: as text

![attached](attachment:a.png) ![beside](figure.png)
"""
    cell = markdown(source, attachments={"a.png": {"image/png": base64.b64encode(image).decode()}})
    pages = convert(tmp_path, cell, shown({"text/markdown": "## Made by code\n\nand *shown*"}))
    for words in ("right below", "nested", "named", "no note[^1]", "[^1]: as text", "Made by code", "and shown"):
        assert words in pages.text
    for words in ("](", "|--", "attachment", "##", "~~"):
        assert words not in pages.text
    assert pages.images() == 2
    assert pages.warnings == []


def test_a_cell_that_leaves_something_open_does_not_swallow_the_next(tmp_path: Path) -> None:
    pages = convert(
        tmp_path, markdown("# T\n\n```\nopen fence"), markdown("<!-- open comment"), markdown("still *here*")
    )
    assert "open fence" in pages.text
    assert "still here" in pages.text


def test_what_reports_need_can_be_had_ready_before_there_is_one() -> None:
    report.prepare()


def test_no_file_can_be_included(tmp_path: Path) -> None:
    (tmp_path / "work space").mkdir()
    (tmp_path / "work space" / "near.txt").write_text("NEARBY")
    code = "```\ninclude::/etc/passwd[]\ninclude::near.txt[]\n```"
    printed = v4.new_code_cell("", outputs=[v4.new_output("stream", name="stdout", text="include::near.txt[]\n")])
    pages = convert(
        tmp_path, markdown(f"# T\n\ninclude::/etc/passwd[]\n\ninclude::near.txt[]\n\n{code}"), printed,
        shown({"text/plain": "include::near.txt[]"}),
    )  # fmt: skip
    assert "root:" not in pages.text
    assert "NEARBY" not in pages.text
    assert pages.text.count("include::near.txt[]") == 4


def test_pictures_from_outside_of_the_inputs_stay_out_and_a_report_without_them_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(base64.b64decode(plot("png")))
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    remote = "https://example.org/z.png"
    with pytest.raises(ReportError) as refused:
        convert(inputs, markdown(f"# T\n\n![x](../secret.png)\n\n![y](/etc/passwd)\n\n![z]({remote})"))
    assert "the picture ../secret.png was not found; it must be in the directory of workflows.yml" in str(refused.value)
    assert "the picture /etc/passwd was not found" in str(refused.value)
    assert f"the picture {remote} is not loaded from the web" in str(refused.value)
    assert not (inputs / "work space" / "report.pdf").exists()


@pytest.mark.parametrize(
    "template",
    [
        "{% extends 'asciidoc/index.asciidoc.j2' %}{% block input %}{% endblock input %}",
        "{% extends 'asciidoc.tpl' %}{% block input %}{% endblock input %}",
        "{% extends 'asciidoc_extended.tpl' %}{% block stream %}{% endblock stream %}",
    ],
)
def test_templates_of_ones_own_may_extend_ours_and_nbconverts(tmp_path: Path, template: str) -> None:
    path = tmp_path / "own.tpl"
    path.write_text(template)
    pages = convert(tmp_path, markdown("# Own\n\ntext of mine"), frame(pd.DataFrame({"n": [17]})), template=str(path))
    assert "text of mine" in pages.text
    assert "17" in pages.text
    assert "SECRET" not in pages.text


def test_a_broken_template_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "own.tpl"
    path.write_text("{% extends 'asciidoc/index.asciidoc.j2' %}\n{% block input %}{{ oops }")
    with pytest.raises(ReportError, match=r"the template .*own\.tpl, line 2: unexpected"):
        convert(tmp_path, markdown("# T"), template=str(path))


def test_a_missing_tool_is_told_with_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WarmAsciidoctor, "line", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        ReportError, match="asciidoctor-pdf not found; install with: apt-get install ruby-asciidoctor-pdf"
    ):
        convert(tmp_path, markdown("# T"))


FOLIUM = "<div>Make this Notebook Trusted to load map: NOISE<iframe srcdoc='NOISE'></iframe></div>"

HEADING = {
    "workflow": "flows_of_*all* <b>",
    "parameters": "unit admin3",
    "reference_date": "2016-01-15",
    "generated": "2016-01-16T00:10:00+00:00",
}


@pytest.fixture(scope="module")
def long_report(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """One report, as PDF and HTML, of much that a notebook may hold."""
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.integers(10**6, 10**7, (40, 14)), columns=[f"indicator_{n}" for n in range(14)])
    short = pd.DataFrame(rng.integers(10**6, 10**7, (3, 16)), index=["north", "east", "west"])
    hidden = {"tags": ["remove-cell"]}
    cells = [
        v4.new_code_cell("FOLDED_CODE = '<b>'", metadata={"tags": ["parameters"]}),
        markdown("# The long one\n\nFirst[^1] {name} \\{ $x^2$ and $\\frac{a]b}{c}$.\n\n[^1]: note one"),
        markdown("## Second\n\nAgain[^1]; [back](#The-end)\n\n[^1]: note two\n\n| a | b |\n|---|--:|\n| x\\|y | 12 |"),
        markdown("## Formulas\n\n$$\\sum_i x_i$$\n\n\\begin{align}\na &= b\n\\end{align}"),
        markdown("## Quoted\n\n```\n<table> ![x](y.png)\n```\n\nand `<td>`, \\<i\\>, &lt;div&gt;"),
        markdown("## Tables"),
        shown({"text/html": wide.to_html()}),
        shown({"text/html": short.to_html()}),
        markdown("## Tags"),
        v4.new_code_cell("SHOWN_CODE = 1", metadata={"tags": ["show-input"]}),
        v4.new_code_cell("REMOVED", metadata=hidden),
        v4.new_markdown_cell("REMOVED", metadata=hidden),
        v4.new_code_cell(
            "HIDDEN_CODE",
            metadata={"tags": ["hide-input", "hide-output"]},
            outputs=[v4.new_output("stream", name="stdout", text="REMOVED")],
        ),
        markdown("## Kinds"),
        shown({"text/html": "<p>Some <b>bold</b> text</p>"}),
        shown({"application/vnd.plotly.v1+json": "{}", "text/plain": "Figure(NOISE)", "image/png": plot("png")}),
        shown({"application/vnd.jupyter.widget-view+json": "{}", "text/plain": "IntSlider(NOISE)"}),
        shown(
            {
                "text/html": "<div>Make this Notebook Trusted to load map: NOISE<iframe srcdoc='NOISE'></iframe></div>",
                "text/plain": "<folium.Map NOISE>",
            }
        ),
        shown({"image/svg+xml": plot("svg")}),
        *(markdown(f"### Part {number}\n\n" + "line\n\n" * 40) for number in range(4)),
        markdown("## The end"),
    ]
    return convert(tmp_path_factory.mktemp("long"), *cells, html=True, heading=HEADING)


def test_every_page_says_of_what_and_when_and_which_it_is(long_report: Pages) -> None:
    pages = long_report.text.split("\f")[:-1]
    assert len(pages) > 3
    for number, page in enumerate(pages, start=1):
        words = ("flows_of_*all* <b> · unit admin3", "15 January 2016", "Generated 16 January 2016, 00:10 UTC")
        for each in words:
            assert page.count(each) == 1, number
        assert f"Page {number} of {len(pages)}" in page


def test_a_long_report_has_a_table_of_contents_and_a_short_one_has_none(long_report: Pages, tmp_path: Path) -> None:
    assert "Contents" in long_report.text.split("\f")[0]
    short = convert(tmp_path, markdown("# T"), *(markdown(f"## {number}") for number in range(5)))
    assert "Contents" not in short.text


def test_braces_and_bars_are_shown_as_they_are_written(long_report: Pages) -> None:
    assert "{name} {" in long_report.text
    assert ["x|y", "12"] in [line.split() for line in long_report.text.splitlines()]


def test_formulas_are_drawn(long_report: Pages) -> None:
    for source in ("$", "frac", "sum_", "begin{", "latexmath"):
        assert source not in long_report.text
    assert len(list(long_report.path.parent.glob("document-1/formula-*.svg"))) == 4


def test_wide_tables_keep_their_numbers_whole(long_report: Pages) -> None:
    words = long_report.text.split()
    numbers = [word for word in words if word.isdigit() and len(word) == 7]
    assert len(numbers) == 40 * 14 + 3 * 16
    # in parts, each with the index
    assert words.count("west") > 1


def test_tags_say_what_is_shown(long_report: Pages) -> None:
    assert "SHOWN_CODE" in long_report.text
    for words in ("REMOVED", "HIDDEN_CODE", "FOLDED_CODE", "NOISE"):
        assert words not in long_report.text
    assert "Some bold text" in long_report.text


def test_what_is_interactive_is_told_with_its_cell(long_report: Pages) -> None:
    told = [warning for warning in long_report.warnings if "interactive output" in warning]
    assert [warning.split()[1] for warning in told] == ["17:", "18:"]
    assert len(long_report.warnings) == 2


def test_html_is_one_file_that_loads_nothing_and_runs_nothing(long_report: Pages) -> None:
    page = long_report.path.with_suffix(".html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sum(source.startswith("data:image/") for source in sources) >= 6
    assert all(source.startswith(("data:image/", "#")) for source in sources)
    assert "<script" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page


def test_code_is_folded_in_html_but_not_where_a_tag_hides_it(long_report: Pages) -> None:
    page = long_report.path.with_suffix(".html").read_text()
    assert re.search(r'<div class="openblock code">\s*<div class="content">.*?FOLDED_CODE', page, re.DOTALL)
    assert page.count("<label") == 1
    assert "<details" not in page
    assert "HIDDEN_CODE" not in page
    assert "REMOVED" not in page
    assert "<h1>The long one</h1>" in page


@pytest.mark.parametrize(
    ("block", "complaint"),
    [
        (
            "{% block data_html %}{{ output.data['text/html'] }}{% endblock %}",
            "HTML appears as text on its pages, such as <",
        ),
        (
            "{% block data_png %}![png]({{ output.metadata.filenames['image/png'] }}){% endblock %}",
            "markdown appears as text on its",
        ),
        ("{% block data_png %}\n\nimage::gone.png[]\n\n{% endblock %}", "the picture gone.png was not found"),
    ],
)
def test_a_broken_report_is_refused_with_the_reason(tmp_path: Path, block: str, complaint: str) -> None:
    path = tmp_path / "own.tpl"
    path.write_text("{% extends 'asciidoc_extended.tpl' %}" + block)
    table = shown({"text/html": "<table><tr><td>1</td></tr></table>"})
    with pytest.raises(ReportError, match=re.escape(complaint)):
        convert(tmp_path, markdown("# T"), table, shown({"image/png": plot("png")}), template=str(path))


def test_a_picture_that_is_none_is_told_with_its_cell(tmp_path: Path) -> None:
    damaged = base64.b64encode(base64.b64decode(plot("png"))[:900]).decode()
    for content in (damaged, base64.b64encode(b"no picture").decode()):
        with pytest.raises(ReportError, match="cell 2: the picture"):
            convert(tmp_path, markdown("# T"), shown({"image/png": content}))


def test_letters_that_no_font_has_are_told_with_the_package(tmp_path: Path) -> None:
    text = "# T\n\né ñ ş Ελληνικά Привет 日本語 ≤\n\n| a |\n|---|\n| ᚠᚢ تقرير |"
    pages = convert(tmp_path, markdown(text))
    assert any("ᚠ ᚢ (Runic)" in warning and "apt-get install fonts-" in warning for warning in pages.warnings)
    assert any("Arabic letters side by side" in warning for warning in pages.warnings)
    assert not any(character in "".join(pages.warnings) for character in "éñşλПр日≤")
    for word in ("é ñ ş", "Ελληνικά", "Привет", "日本語"):
        assert word in pages.text


def test_a_theme_of_ones_own_replaces_ours(tmp_path: Path) -> None:
    theme = tmp_path / "own-theme.yml"
    theme.write_text("extends: report\nfooter:\n  recto:\n    left:\n      content: OWN {report-date}\n")
    pages = convert(tmp_path, markdown("# T\n\ntext"), theme=str(theme), heading=HEADING)
    assert "OWN 15 January 2016" in pages.text
    assert "Page 1 of 1" in pages.text


def test_a_theme_that_cannot_be_loaded_fails_the_report(tmp_path: Path) -> None:
    theme = tmp_path / "own-theme.yml"
    theme.write_text("extends: report\nfooter: [")
    with pytest.raises(ReportError, match=r"own-theme\.yml cannot be loaded: SyntaxError"):
        convert(tmp_path, markdown("# T\n\ntext"), theme=str(theme))


GROUPED = pd.DataFrame(
    {"counted": range(4000, 4126)},
    index=pd.MultiIndex.from_tuples([(f"group {number // 42}", f"row {number}") for number in range(126)]),
)


def test_rows_beyond_the_paper_fail_the_report_with_the_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = shown({"text/html": GROUPED.to_html()})
    assert convert(tmp_path, markdown("# T"), table).warnings == []
    # what asciidoctor-pdf makes of it by itself is in the file, below the end of each page
    others = tuple(file for file in conversion.EXTENSIONS if file.name != "tables.rb")
    monkeypatch.setattr(conversion, "EXTENSIONS", others)
    with pytest.raises(ReportError, match=r"cell 2: \d+ of its words are not in the report \("):
        convert(tmp_path, markdown("# T"), table)


def test_a_picture_of_16_bits_is_seen(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.linspace(0, 65535, 400, dtype=np.uint16).reshape(20, 20)).save(buffer, "PNG")
    convert(tmp_path, markdown("# T"), shown({"image/png": base64.b64encode(buffer.getvalue()).decode()}))
    (picture,) = (tmp_path / "work space" / "document-1").glob("*.png")
    with Image.open(picture) as brought:
        assert brought.convert("L").getextrema() == (0, 255)


IN_A_LIST = """# T

1. first

   <ul><li>inner</li></ul>

   <pre>prea  preb</pre>

   | cola | colb |
   |------|-----:|
   | cell | 1    |

2. second

   <h4>heading</h4><p>words</p>

   <!-- nothing -->

   last of it
3. third
"""


def test_html_and_tables_in_a_list_stay_in_their_item(tmp_path: Path) -> None:
    pages = convert(tmp_path, markdown(IN_A_LIST), html=True)
    assert "\n+" not in pages.text
    assert "|" not in pages.text
    assert re.findall(r"^ *(\d\. +\w+)", pages.text, re.MULTILINE) == ["1. first", "2. second", "3. third"]
    page = BeautifulSoup(pages.path.with_suffix(".html").read_text(), "html.parser")
    first, second, third = page.select("ol > li")
    assert [each.get_text(strip=True) for each in first.select("ul > li")] == ["inner"]
    assert [each.get_text() for each in first.select("pre, th, td")] == ["prea  preb", "cola", "colb", "cell", "1"]
    assert second.get_text(" ", strip=True) == "second heading words last of it"
    assert third.get_text(strip=True) == "third"


@pytest.mark.parametrize(
    ("said", "points", "on_screen"),
    [('width="60"', 45, "60"), ('width="40%"', 195, "40%"), ('style="height: 9px; width: 80px"', 60, "80")],
)
def test_a_picture_is_as_wide_as_html_says(tmp_path: Path, said: str, points: float, on_screen: str) -> None:
    Image.new("RGB", (300, 200), "teal").save(tmp_path / "beside.png")
    tag = f'<img src="beside.png" {said}>'
    pages = convert(tmp_path, markdown(f"# T\n\n{tag}\n\nin a line {tag}"), shown({"text/html": tag}), html=True)
    page = BeautifulSoup(pages.path.with_suffix(".html").read_text(), "html.parser")
    assert [each.get("width") for each in page("img")] == [on_screen] * 3
    listed = pages._tool("pdfimages", "-list", str(pages.path)).splitlines()[2:]
    dots_per_inch = [float(line.split()[12]) for line in listed if line.split()[2] == "image"]
    assert dots_per_inch == pytest.approx([300 / points * 72] * 3, rel=0.02)


DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30"><rect width="9" height="9" fill="teal"/></svg>'
)


@pytest.mark.parametrize("drawn", ["", "@options[:at] = [900, 300]; super"], ids=["not at all", "beside the paper"])
@pytest.mark.parametrize("output", [{"image/svg+xml": DRAWING}, {"text/html": f"<table><tr><td>{DRAWING}</table>"}])
def test_a_drawing_that_no_page_has_fails_the_report_with_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: dict[str, str], drawn: str
) -> None:
    assert convert(tmp_path, markdown("# T"), shown(output), shown(output)).warnings == []
    lost = tmp_path / "lost.rb"
    lost.write_text(f"Prawn::SVG::Interface.prepend(Module.new {{ def draw\n{drawn}\nend }})")
    monkeypatch.setattr(conversion, "EXTENSIONS", (*conversion.EXTENSIONS, lost))
    with pytest.raises(ReportError, match=r"cell 2: 1 of its 1 pictures are not in the report"):
        convert(tmp_path, markdown("# T"), shown(output), shown(output))


@pytest.mark.parametrize("word", ["районами", "السكان", "人口流动报告"])
def test_a_word_in_any_letters_that_no_page_has_fails_the_report_with_the_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    text = f"Some words of a text, so that one alone is less than a tenth of it: {word}."
    table = shown({"text/html": f"<p>{text}</p>"})
    assert not [each for each in convert(tmp_path, markdown("# T"), table).warnings if "side by side" not in each]
    monkeypatch.setattr(conversion, "_only_for", lambda _, source: _without(word, source))
    with pytest.raises(ReportError, match=r"cell 2: 1 of its words are not in the report \("):
        convert(tmp_path, markdown("# T"), table)


def _without(word: str, source: Path) -> Path:
    source.write_text(source.read_text().replace(word, word[:1]))
    return source


@pytest.mark.parametrize(
    "output",
    [
        {"text/html": "<p>before <img src='gone.png'></p>"},
        {"text/html": "<img src='https://example.org/x.png'/>", "text/plain": "<IPython.core.display.Image object>"},
        {"text/html": "<table><tr><td><img src='../outside.png'></td></tr></table>"},
        {"text/markdown": "![](gone.png)"},
        {"text/html": "<img src='data:image/png;base64,AAAA'>"},
    ],
)
def test_a_picture_that_an_output_lacks_fails_the_report_with_the_cell(tmp_path: Path, output: dict[str, str]) -> None:
    with pytest.raises(ReportError, match=r"^cell 2: the picture "):
        convert(tmp_path, markdown("# T"), shown(output))
