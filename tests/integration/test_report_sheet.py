# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A report as a publication: who, when and in which language, captions, and pages on which nothing is stranded."""

from __future__ import annotations

import asyncio
import re
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from nbformat import NotebookNode, v4
from PIL import Image
from pypdf import PdfReader
from pypdfium2 import PdfDocument
from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE, FPDF_PAGEOBJ_TEXT

from autoflow.child.report.report import ReportError
from tests.browser import CHROMIUM, browser
from tests.integration.test_report import Pages, _pages_by_forks, convert, markdown, plot, shown  # noqa: F401

SHEET = {
    "workflow": "Flows above normal",
    "parameters": "Unit: admin2",
    "reference_date": "2016-08-01",
    "generated": "2016-08-02T00:10:00+00:00",
    "title": 'Flux & "mobilité" [x] {y} *z*',
    "subtitle": "au niveau __admin2__",
    "organisation": "Institut <b> & Cie",
    "contact": "moi@example.org",
    "language": "fr",
}


def text_of(path: Path, *options: str) -> str:
    return subprocess.run(["pdftotext", *options, path, "-"], capture_output=True, text=True, check=True).stdout


def table(rows: int, columns: int = 2) -> dict[str, str]:
    return {"text/html": pd.DataFrame({f"c{n}": range(rows) for n in range(columns)}).to_html(index=False)}


def cell(data: dict[str, str], **metadata: Any) -> NotebookNode:
    return v4.new_code_cell("SECRET", outputs=[v4.new_output("display_data", data)], metadata=metadata)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    """A report in French, with all that can be said of it, as PDF and as HTML."""
    directory = tmp_path_factory.mktemp("published")
    logo = directory / "logo.svg"
    logo.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>'
    )
    cells = [
        markdown("# Own title\n\nText. " * 2),
        cell({"image/png": plot("png")}, caption="Une *carte* <i>", alt="La carte du pays"),
        cell(table(3, 9), caption="Un [tableau]"),
        cell({"image/svg+xml": plot("svg")}, caption=["Un dessin"]),
        *(markdown(f"## Part {number}\n\n" + "ligne\n\n" * 60) for number in range(4)),
    ]
    return convert(directory, *cells, html=True, heading={**SHEET, "logo": str(logo)})


def test_a_caption_may_be_computed_with_its_output(tmp_path: Path) -> None:
    outputs = [
        v4.new_output(
            "display_data", {"image/png": plot("png")}, metadata={"caption": "Computed *one*", "alt": "A map"}
        ),
        v4.new_output("display_data", table(2), metadata={"caption": "Computed two"}),
    ]
    pages = convert(tmp_path, markdown("# T"), v4.new_code_cell("", outputs=outputs), html=True)
    page = pages.path.with_suffix(".html").read_text()
    for text in (pages.text, page):
        assert "Figure 1. Computed *one*" in text
        assert "Table 1. Computed two" in text
    assert 'alt="A map"' in page


@pytest.mark.parametrize(
    ("name", "size", "shown_as"),
    [("wide.png", (1200, 100), (195, 16)), ("tall.jpg", (80, 900), (3, 34)), ("tiny.png", (8, 8), (6, 6))],
)
def test_a_logo_stands_beside_the_name_of_its_owner(
    tmp_path: Path, name: str, size: tuple[int, int], shown_as: tuple[int, int]
) -> None:
    Image.new("RGB", size, "teal").save(tmp_path / name)
    heading = {**SHEET, "logo": str(tmp_path / name), "organisation": "Office of " + "Statistics " * 12}
    pages = convert(tmp_path, markdown("# T"), heading=heading)
    with PdfDocument(pages.path) as pdf:
        (page,) = pdf
        text_page = page.get_textpage()
        (picture,) = page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE])
        left, bottom, right, top = picture.get_bounds()
        texts = page.get_objects(filter=[FPDF_PAGEOBJ_TEXT], textpage=text_page)
        names = [text.get_bounds() for text in texts if "Statistics" in text.extract()]
    assert (right - left, top - bottom) == pytest.approx(shown_as, abs=2)
    assert names
    assert all(box[2] < left for box in names)


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG\r\n\x1a\nxxxx", b"<svg/>"])
def test_a_logo_that_is_none_fails_the_report(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "logo.png").write_bytes(content)
    with pytest.raises(ReportError, match=r"^the logo logo\.png: (No such file|the picture is damaged)"):
        convert(tmp_path, markdown("# T"), heading={**SHEET, "logo": str(tmp_path / "logo.png")})


def test_a_report_says_who_publishes_it_once_and_in_its_language(published: Pages) -> None:
    pages = published.text.split("\f")[:-1]
    first = pages[0]
    for words in (SHEET["title"], SHEET["subtitle"], SHEET["organisation"], "Own title", "Sommaire"):
        assert words in first
    # the first page has the title, the others the running head
    assert first.count("1er août 2016") == 1
    for number, page in enumerate(pages, start=1):
        assert "Contact : moi@example.org" in page or "Contact: moi@example.org" in page
        assert "Généré le 2 août 2016, 00:10 UTC" in page
        assert f"Page {number} sur {len(pages)}" in page
        assert page.count("1er août 2016") == 1
    assert "Figure 1. Une *carte* <i>" in published.text
    assert "Figure 2. Un dessin" in published.text
    assert "Tableau 1. Un [tableau]" in published.text


def test_a_pdf_says_of_itself_what_it_is(published: Pages) -> None:
    reader = PdfReader(published.path)
    assert reader.metadata is not None
    assert reader.metadata.title == SHEET["title"]
    assert reader.metadata.author == SHEET["organisation"]
    assert reader.metadata.subject == SHEET["subtitle"]
    assert reader.metadata["/Keywords"] == "Flows above normal, Unit: admin2, 2016-08-01"
    assert reader.trailer["/Root"]["/Lang"] == "fr"
    names = [item["/Title"] for item in reader.outline if isinstance(item, dict)]
    assert "Own title" in str(reader.outline), names


def test_a_page_of_html_says_of_itself_what_it_is(published: Pages) -> None:
    page = published.path.with_suffix(".html").read_text()
    assert '<html lang="fr"' in page.replace('xmlns="http://www.w3.org/1999/xhtml" ', "")
    assert "Institut &lt;b&gt; &amp; Cie" in page
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) == 2
    assert 'alt="La carte du pays"' in figures[0]
    assert "<figcaption" in figures[0]
    assert 'alt="Un dessin"' in figures[1]
    assert re.search(r'<caption class="title">Tableau 1\. Un \[tableau\]</caption>', page)
    assert page.count('<th scope="col"') == 9
    assert 'src="data:image/svg+xml;base64,' in page.split('id="header"')[0]
    assert "Afficher le code" in page
    assert '<meta name="author" content="Institut &lt;b&gt; &amp; Cie">' in page


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
def test_in_a_browser_code_has_one_switch_and_nothing_is_wider_than_a_phone(published: Pages) -> None:
    async def look() -> None:
        async with browser() as tab:
            for width, dark in ((375, True), (1280, False)):
                page = await tab.load(published.path.with_suffix(".html").as_uri(), width, 800, dark)
                assert page.width <= width
                assert "SECRET" not in page.text
                assert page.complaints == []
                paper = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
                assert (paper == "rgb(255, 255, 255)") is not dark
            await tab.evaluate("document.querySelector('label').click()")
            assert "SECRET" in await tab.evaluate("document.body.innerText")

    asyncio.run(look())


def test_letters_from_right_to_left_are_so_in_html_and_told_of_in_a_pdf(tmp_path: Path) -> None:
    pages = convert(tmp_path, markdown("text"), html=True, heading={**SHEET, "language": "ar"})
    assert 'dir="rtl"' in pages.path.with_suffix(".html").read_text()
    assert any("Arabic letters side by side" in str(warning) for warning in pages.warnings)


@pytest.mark.parametrize("lines", range(14, 38, 4))
def test_what_leads_in_a_picture_or_a_table_stands_on_its_page(tmp_path: Path, lines: int) -> None:
    cells = [
        markdown("# T\n\n" + "fill\n\n" * lines),
        markdown("## HEADING\n\nLEADS:"),
        shown(table(6)),
        markdown("fill\n\n" * (lines // 2) + "## SECOND\n\nLEADS TOO"),
        shown({"image/png": plot("png")}),
    ]
    path = convert(tmp_path, *cells).path
    pages = text_of(path, "-layout").split("\f")
    (with_heading,) = [page for page in pages if "HEADING" in page]
    assert "LEADS:" in with_heading
    assert re.search(r"c0 +c1", with_heading)
    pictures = subprocess.run(["pdfimages", "-list", path], capture_output=True, text=True, check=True).stdout
    number = int(pictures.splitlines()[2].split()[0])
    assert "SECOND" in pages[number - 1]
    assert "LEADS TOO" in pages[number - 1]


def test_a_table_is_broken_rather_than_leave_much_of_a_page_blank(tmp_path: Path) -> None:
    path = convert(tmp_path, markdown("# T\n\n" + "fill\n\n" * 16), markdown("LEADS:"), shown(table(14))).path
    first, second = text_of(path, "-layout").split("\f")[:2]
    assert "LEADS:" in first
    for page in (first, second):
        assert re.search(r"c0 +c1", page)
        assert len(re.findall(r"^ *\d+ +\d+ *$", page, re.MULTILINE)) >= 2


def test_what_leads_in_a_table_that_is_printed_sideways_is_on_the_turned_page(tmp_path: Path) -> None:
    wide = pd.DataFrame({f"indicator {n}": range(10**6, 10**6 + 30) for n in range(12)}).to_html()
    cells = [markdown("# T\n\ntext"), markdown("## HEADING\n\nLEADS:"), shown({"text/html": wide}), markdown("after")]
    path = convert(tmp_path, *cells).path
    pages = PdfReader(path).pages
    turned = [float(page.mediabox.width) > float(page.mediabox.height) for page in pages]
    assert turned.count(True) >= 1
    page = text_of(path).split("\f")[turned.index(True)]
    assert "HEADING" in page
    assert "LEADS:" in page
