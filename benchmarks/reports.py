# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One report, beside the bare tools on the document that AutoFlow made of it."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat

from autoflow.jobs import Jobs
from benchmarks.contenders import clean_environment


@dataclass(frozen=True)
class Seconds:
    """What one report took."""

    warm: float
    """AutoFlow's, in a job that is forked."""
    cold: float
    """AutoFlow's, in a job that is started from nothing."""
    tools: float
    """pandoc once, then asciidoctor-pdf, and nothing else."""


def report_seconds(directory: Path, repeat: int) -> list[Seconds]:
    """Convert one executed notebook again and again, in turns."""
    directory.mkdir()
    notebook = directory / "executed.ipynb"
    nbformat.write(_executed(), notebook)
    return asyncio.run(_measure(directory, notebook, repeat))


async def _measure(directory: Path, notebook: Path, repeat: int) -> list[Seconds]:
    jobs = Jobs(directory / "work", f"report{os.getpid()}", clean_environment())
    found = []
    try:
        cold = await _convert(jobs, notebook, directory)
        async with jobs.warmth(()):
            # the first fork waits for imports
            await _convert(jobs, notebook, directory)
            for _ in range(repeat):
                warm = await _convert(jobs, notebook, directory)
                found.append(Seconds(warm, cold, _bare(directory, notebook)))
        # a job outside of the context is started from nothing
        for number, seconds in enumerate(found):
            found[number] = Seconds(seconds.warm, await _convert(jobs, notebook, directory), seconds.tools)
    finally:
        jobs.close()
    return found


async def _convert(jobs: Jobs, notebook: Path, kept: Path) -> float:
    """Have AutoFlow make a report, and keep the document that it gave to asciidoctor-pdf."""
    began = time.perf_counter()
    with jobs.workspace() as workspace:
        request = {
            "notebook": str(notebook),
            "formats": ["pdf"],
            "outputs": [
                {
                    "format": "pdf",
                    "path": str(workspace / "report.pdf"),
                    "template": None,
                    "theme": None,
                    "code": False,
                }
            ],
            "manifest": None,
            "inputs_dir": str(notebook.parent),
            "title_fallback": "benchmark",
        }
        reply = await jobs.call("report", request, workspace, timeout=120)
        seconds = time.perf_counter() - began
        if reply.cause != "done":
            raise RuntimeError(f"no report: {reply}")
        for source in tuple(workspace.rglob("*")):
            if source.suffix in (".adoc", ".png", ".svg"):
                source.replace(kept / source.name)
    return seconds


def _bare(directory: Path, notebook: Path) -> float:
    markdown = "\n\n".join(cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "markdown")
    began = time.perf_counter()
    subprocess.run(
        ["pandoc", "--from=gfm", "--to=asciidoc"], input=markdown, text=True, check=True, capture_output=True
    )
    command = ["asciidoctor-pdf", "--out-file", str(directory / "bare.pdf"), str(directory / "report.adoc")]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def _executed() -> nbformat.NotebookNode:
    """A notebook with six markdown cells, two plots and two tables, executed once."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt
    import pandas as pd

    figure, axes = plt.subplots()
    axes.plot([1, 3, 2])
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    plot = {"image/png": base64.b64encode(picture.getvalue()).decode()}
    frame = pd.DataFrame({"place": ["A", "B", "C"] * 4, "people": range(12)})
    table = {"text/html": frame.to_html(), "text/plain": str(frame)}
    v4 = nbformat.v4
    cells = [v4.new_markdown_cell("# Benchmark\n\nA paragraph.")]
    for number, data in enumerate((plot, table, plot, table)):
        cells.append(v4.new_markdown_cell(f"## Part {number}\n\n- one\n- two\n\nText with **strong** words."))
        cells.append(v4.new_code_cell("", outputs=[v4.new_output("display_data", data=data)]))
    executed: nbformat.NotebookNode = v4.new_notebook(cells=[*cells, v4.new_markdown_cell("The end.")])
    return executed
