# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Every kind of output, run by a real kernel: what of it is in both reports, and what is said of the rest."""

from __future__ import annotations

import json
import re
import subprocess
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup
from PIL import Image

from autoflow.demo_flowapi import FlowapiStandin
from tests.clock import PATIENCE
from tests.conftest import Deployment, Outcome, make_deployment
from tests.integration.test_web import Site, free_port, until_answers
from tests.warm_parents import WarmParents

SETUP = """
import base64, io, json
import matplotlib.pyplot as plt, numpy as np, pandas as pd
from IPython.display import HTML, JSON, SVG, Code, Image, Javascript, Latex, Markdown, Video, display

def png():
    buffer = io.BytesIO()
    plt.figure(figsize=(2, 1)).gca().plot([1, 3, 2])
    plt.savefig(buffer, format="png")
    plt.close()
    return buffer.getvalue()

DATA = "data:image/png;base64," + base64.b64encode(png()).decode()
DRAWING = '<svg width="40" height="30" viewBox="0 0 40 30"><rect width="40" height="30" fill="teal"/></svg>'
"""


@dataclass(frozen=True)
class Kind:
    """One cell: what it runs, the words that it has to be seen with, and what is said of it."""

    code: str
    words: str = ""
    pictures: int = 0
    said: str = ""


KINDS = {
    "markdown with HTML": Kind(
        "display(Markdown('mdone <b>mdtwo</b> <u>mdthree</u><br>mdfour\\n\\n<center>mdfive</center>\\n\\n"
        "<table><tr><td>mdsix</td></tr></table>\\n\\n<details><summary>mdseven</summary>\\n\\nmdeight\\n\\n</details>'))",
        "mdone mdtwo mdthree mdfour mdfive mdsix mdseven mdeight",
    ),
    "picture in HTML": Kind("HTML(f'<img src=\"{DATA}\" width=50>')", pictures=1),
    "picture beside text": Kind("HTML(f'<p>picbefore <img src=\"{DATA}\"> picafter</p>')", "picbefore picafter", 1),
    "picture in a table": Kind(
        "HTML(f'<table><tr><th>pichead</th></tr><tr><td><img src=\"{DATA}\"></td></tr></table>')", "pichead", 1
    ),
    "picture from a file": Kind("HTML('<figure><img src=beside.png><figcaption>figc</figcaption>')", "figc", 1),
    "drawing in HTML": Kind("HTML(f'drawlead {DRAWING}')", "drawlead", 1),
    "drawing": Kind("SVG(DRAWING.replace('<svg', '<svg xmlns=\"http://www.w3.org/2000/svg\"'))", "", 1),
    "plot": Kind("plt.plot([1, 2]); plt.show()", "", 1),
    "picture": Kind("Image(png())", "", 1),
    "GIF": Kind(
        "from PIL import Image as I\nb = io.BytesIO(); I.new('P', (30, 20)).save(b, 'GIF')\n"
        "display({'image/gif': base64.b64encode(b.getvalue()).decode()}, raw=True)",
        "",
        1,
    ),
    "headings": Kind("HTML('<h2>headtwo</h2><h4>headfour</h4><p>headtext</p>')", "headtwo headfour headtext"),
    "lists": Kind(
        "HTML('<ul><li>lia<ul><li>lib<ol start=3><li>lic</ol></ul>lid<li><p>lie</p><pre>lif  lig</pre></ul>')",
        "lia lib lic lid lie lif lig",
    ),
    "preformatted": Kind("HTML('<pre>prea   preb\\nprec   pred</pre>')", "prea preb prec pred"),
    "definitions": Kind("HTML('<dl><dt>defa<dd>defb<dd>defc<dt>defd<dd><p>defe</p></dl>')", "defa defb defc defd defe"),
    "text around tables": Kind(
        "HTML('arounda <table><caption>aroundb</caption><tr><td>aroundc</td></tr></table> aroundd"
        " <table><tr><td>arounde</td></tr></table> aroundf')",
        "arounda aroundb aroundc aroundd arounde aroundf",
    ),
    "details": Kind("HTML('<details><summary>deta</summary><p>detb</p></details>')", "deta detb"),
    "nested tables": Kind(
        "HTML('<table><tr><td><table><tr><td>nesta</td></tr></table></td><td>nestb</td></tr></table>'"
        "'<table><tr><th>nestc</th></tr><tr><td><table><tr><td>nestd</td></tr></table></td></tr></table>')",
        "nesta nestb nestc nestd",
    ),
    "styles of text": Kind(
        "HTML('<a href=\"https://x.org/a__b_c\">linka</a> <b>linkb</b> <i>linkc</i> <code>linkd</code> H<sub>2</sub>O"
        " <del>linke</del> &lt;linkf&gt; &eacute;linkg {linkh} *linki*')",
        "linka linkb linkc linkd H2O linke <linkf> élinkg {linkh} *linki*",
    ),
    "quotes and rules": Kind("HTML('<blockquote>quotea<blockquote>quoteb</blockquote></blockquote><hr>quotec')",
                             "quotea quoteb quotec"),
    "forms": Kind(
        "HTML('<form><input value=forma><select><option>NOT_SEEN<option selected>formb</select>"
        "<button>formc</button></form>')",
        "forma formb formc",
    ),
    "malformed HTML": Kind(
        "HTML('<table><tr><td>mala<td>malb<tr><td colspan=9>malc<td rowspan=99>mald</table>"
        "<p>male<p>malf <b>malg <i>malh</b>')",
        "mala malb malc mald male malf malg malh",
    ),
    "hidden": Kind("HTML('<p hidden>NOT_SEEN</p><p style=\"display: none\">NOT_SEEN</p>hida')", "hida"),
    "data frame": Kind("pd.DataFrame({'frama': ['framb', 'a|b'], 'n': [1200, 7]})", "frama framb a|b 1200"),
    "long data frame": Kind("pd.DataFrame({'longa': range(300)})", "longa 299 300 rows"),
    "columns of levels": Kind(
        "pd.DataFrame(np.arange(8).reshape(2, 4),"
        " columns=pd.MultiIndex.from_product([['leva', 'levb'], ['levc', 'levd']]))",
        "leva levb levc levd",
    ),
    "styler": Kind(
        "pd.DataFrame({'stya': [1, 2], 'styb': [0.5, 1]}).style.hide(axis='index').format({'styb': '{:.1%}'})"
        ".set_caption('styc styd').background_gradient().bar(subset=['stya'])",
        "stya styb 50.0% styc styd",
        said="the colours of a table cannot be in a report",
    ),
    "no rows": Kind("pd.DataFrame({'nora': []})", "nora no rows", said="a table has no rows"),
    "no rows and no columns": Kind("pd.DataFrame()", "no rows", said="a table has no rows"),
    "grouped table": Kind(
        "pd.set_option('display.max_rows', 200)\n"
        "pd.DataFrame({'n': range(1000, 1126)}, index=pd.MultiIndex.from_tuples("
        "[(f'group{g}', f'row{g}x{i}') for g in range(3) for i in range(42)], names=['groa', 'grob']))",
        "groa grob group0 group1 group2 row0x0 row0x41 row1x41 row2x41 1000 1125",
    ),
    "tall cell": Kind(
        "HTML(pd.DataFrame({'talla': [' '.join(f't{i}' for i in range(1500))], 'n': [5]}).to_html())",
        "talla t0 t700 t1499",
    ),
    "wide table": Kind(
        "pd.set_option('display.max_columns', 50)\npd.DataFrame({f'wide{i}': [123456 + i] for i in range(30)})",
        "wide0 123456 wide29 123485",
    ),
    "printed": Kind("print('printa   printb\\n<b> :note: // ')", "printa printb <b> :note: //"),
    "JSON": Kind("JSON({'jsona': [1, 2]})", "jsona"),
    "script": Kind("HTML('<p>scripta</p><script>1</script>')", "scripta Not in this report: a script", said="a script"),
    "javascript": Kind("Javascript('1')", "Not in this report", said="interactive output"),
    "embedded page": Kind("HTML('embeda <iframe src=\"https://x.org\"></iframe>')", "embeda", said="an embedded page"),
    "video": Kind("HTML('<video src=\"x.mp4\"></video>')", "Not in this report", said="interactive output"),
    "widget": Kind("import ipywidgets; ipywidgets.IntSlider()", "Not in this report", said="interactive output"),
    "interactive plot": Kind(
        "display({'application/vnd.plotly.v1+json': {'data': []}, 'text/plain': 'Figure()'}, raw=True)",
        "Not in this report", said="interactive output",
    ),
    "interactive plot with its picture": Kind(
        "display({'application/vnd.vegalite.v5+json': {}, 'image/png': base64.b64encode(png()).decode()}, raw=True)",
        pictures=1,
    ),
    "text beside HTML": Kind(
        "display({'text/html': '<div class=\"sk-text-repr-fallback\"><pre>M()</pre><b>NOT_SEEN</b></div>',"
        " 'text/plain': 'Modela()'}, raw=True)",
        "Modela()",
    ),
    "unknown": Kind("display({'application/x-odd': 'x'}, raw=True)", "Not in this report", said="output of the kind"),
    "letters": Kind(
        "Markdown('العربية 日本語 \\ufb01ne so\\u00adft ' + 'longest' * 40)", "日本語 fine soft", said="Arabic"
    ),
}  # fmt: skip


@dataclass(frozen=True)
class NotebookFiles:
    """What the run has left."""

    deployment: Deployment
    outcome: Outcome
    pdf: str
    page: BeautifulSoup
    """That of HTML, without the code that is folded on it."""
    manifest: dict[str, Any]

    @cached_property
    def texts(self) -> tuple[str, str]:
        return squeezed(self.pdf), squeezed(self.page.get_text())


def number_of(kind: str) -> int:
    return list(KINDS).index(kind) + 3


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, warm_parents: WarmParents) -> NotebookFiles:
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("# Every kind of output"), v4.new_code_cell(SETUP)]
    cells += [v4.new_code_cell(kind.code) for kind in KINDS.values()]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    with FlowapiStandin(days=1, poll_seconds=0.0) as flowapi:
        deployment = make_deployment(tmp_path_factory.mktemp("kinds"), flowapi)
        deployment.warm_parents = warm_parents
        nbformat.write(v4.new_notebook(cells=cells, metadata=metadata), deployment.inputs / "kinds.ipynb")
        outputs = [{"format": "pdf"}, {"format": "html"}]
        content = {
            "workflows": [{"name": "w", "notebooks": {"kinds": {"filename": "kinds.ipynb", "output": outputs}}}],
            "available_dates_sensor": {"schedule": "0 0 1 1 *", "workflows": [{"workflow_name": "w"}]},
        }
        deployment.write(yaml.safe_dump(content))
        Image.new("RGB", (30, 20), "teal").save(deployment.inputs / "beside.png")
        outcome = deployment.run("--run-once", patience=280.0, MPLBACKEND="Agg")
    assert outcome.code == 0, outcome.log
    (pdf,) = deployment.made("reports/kinds*.pdf")
    text = subprocess.run(["pdftotext", "-layout", pdf, "-"], capture_output=True, text=True, check=True).stdout
    page = BeautifulSoup(pdf.with_suffix(".html").read_text(), "html.parser")
    for code in page(class_="code"):
        code.decompose()
    return NotebookFiles(
        deployment,
        outcome,
        text,
        page,
        json.loads(pdf.with_suffix(".json").read_text()),
    )


def squeezed(text: str) -> str:
    return re.sub(r"[\s\u00ad\u200b]", "", unicodedata.normalize("NFKC", text))


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_of_each_kind_are_in_both_reports_and_nothing_else_is(made: NotebookFiles, kind: str) -> None:
    for text in made.texts:
        for word in KINDS[kind].words.split():
            assert squeezed(word) in text
        assert "NOT_SEEN" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_in_the_reports_is_said_with_its_cell(made: NotebookFiles, kind: str) -> None:
    said = [each["message"] for each in made.manifest["warnings"] if each["cell"] == number_of(kind)]
    assert bool(said) == bool(KINDS[kind].said), said
    assert any(KINDS[kind].said in message for message in said) or not said


def test_all_pictures_are_in_both_reports(made: NotebookFiles) -> None:
    (pdf,) = made.deployment.made("reports/kinds*.pdf")
    listed = subprocess.run(["pdfimages", "-list", pdf], capture_output=True, text=True, check=True).stdout
    drawn = sum(kind.pictures for name, kind in KINDS.items() if "drawing" in name)
    wanted = sum(kind.pictures for kind in KINDS.values())
    assert len(made.page("img")) == wanted
    assert sum(line.split()[2] == "image" for line in listed.splitlines()[2:]) == wanted - drawn


def test_each_row_of_a_grouped_table_is_on_a_page_with_the_label_of_its_group(made: NotebookFiles) -> None:
    rows = re.findall(r"row[012]x\d+", made.pdf)
    assert sorted(set(rows)) == sorted(f"row{group}x{row}" for group in range(3) for row in range(42))
    for page in made.pdf.split("\f"):
        if found := re.findall(r"row([012])x\d+", page):
            assert "groa" in page
            first = next(line for line in page.splitlines() if re.search(r"row[012]x", line))
            assert f"group{found[0]}" in first


def test_links_keep_their_address(made: NotebookFiles) -> None:
    assert [each["href"] for each in made.page("a", href=re.compile("^https"))] == ["https://x.org/a__b_c"]


def test_the_log_names_workflow_date_notebook_and_cell(made: NotebookFiles) -> None:
    where = f"run 1: w 2016-01-01: report of notebook kinds: cell {number_of('script')}"
    assert f"{where}: a script cannot be in a report" in made.outcome.log


def test_show_has_the_warnings_and_what_memory_it_took(made: NotebookFiles) -> None:
    said = f"cell {number_of('script')}: a script cannot be in a report"
    shown = made.deployment.run("show", "1").log
    assert f"kinds: {said}" in shown
    (notebook,) = made.deployment.run("show", "1", "--json").json()["notebooks"]
    assert f"{notebook['peak_mb']} MB" in shown
    assert notebook["warnings"] == made.manifest["warnings"]


def test_the_page_of_the_run_has_the_warnings(made: NotebookFiles) -> None:
    port = free_port()
    process = made.deployment.start(AUTOFLOW_HTTP=f"127.0.0.1:{port}")
    try:
        site = Site(made.deployment, port, process, made.deployment.environment["FLOWAPI_TOKEN"])
        until_answers(site)
        page = BeautifulSoup(site.until("/runs/1", "Warnings about reports").body, "html.parser")
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
    listed = [" ".join(item.get_text().split()) for item in page.select("[aria-labelledby=warnings] li")]
    assert f"kinds: cell {number_of('script')}: a script cannot be in a report" in listed
    assert len(listed) == len(made.manifest["warnings"])
