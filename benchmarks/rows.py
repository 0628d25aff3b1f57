# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Measurements that are of AutoFlow alone: commands, the idle daemon, one report."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import nbformat
import psutil

from autoflow.jobs import Jobs
from benchmarks.measure import proportional_mb
from examples.flowapi import FlowapiStandin

ROOT = Path(__file__).parent.parent


def settings(inputs: Path, outputs: Path, flowapi: FlowapiStandin) -> dict[str, str]:
    """Give the environment of an AutoFlow."""
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "AUTOFLOW_INPUTS_DIR": str(inputs),
        "AUTOFLOW_OUTPUTS_DIR": str(outputs),
        "FLOWAPI_URL": flowapi.url,
        "FLOWAPI_TOKEN": flowapi.token(),
    }


def command_seconds(
    arguments: Sequence[str], inputs: Path, outputs: Path, flowapi: FlowapiStandin, repeat: int
) -> list[float]:
    """Time a command line."""
    environment, seconds = settings(inputs, outputs, flowapi), []
    for _ in range(repeat):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-m", "autoflow", *arguments], env=environment, check=True, capture_output=True)
        seconds.append(time.perf_counter() - began)
    return seconds


def idle_daemon(inputs: Path, outputs: Path, flowapi: FlowapiStandin, minutes: float) -> dict[str, float]:
    """Watch a daemon that has ticked once and waits for the next year."""
    flowapi.set_days(1)
    command = [sys.executable, "-m", "autoflow", "--now"]
    with subprocess.Popen(command, env=settings(inputs, outputs, flowapi), stderr=subprocess.PIPE, text=True) as daemon:
        assert daemon.stderr is not None
        for said in daemon.stderr:
            if " succeeded" in said:
                break
        time.sleep(5)
        process = psutil.Process(daemon.pid)
        before, switches = process.cpu_times(), process.num_ctx_switches()
        time.sleep(60 * minutes)
        after, later = process.cpu_times(), process.num_ctx_switches()
        found = {
            "rss_mb": process.memory_info().rss / 1e6,
            "pss_mb": proportional_mb([daemon.pid]),
            "wakeups": (later.voluntary - switches.voluntary) / minutes,
            "cpu": (after.user + after.system - before.user - before.system) * 60 / minutes,
        }
        daemon.send_signal(signal.SIGTERM)
        daemon.communicate()
    return found


def report_seconds(directory: Path, repeat: int) -> tuple[list[float], list[float]]:
    """Time AutoFlow's conversion of a notebook, and the bare tools on what it made of it, in turns."""
    directory.mkdir()
    notebook = directory / "executed.ipynb"
    nbformat.write(_executed(), notebook)
    made = directory / "report.pdf"
    own: list[float] = []
    tools: list[float] = []

    async def measure() -> None:
        jobs = Jobs(directory / "work", f"report{os.getpid()}", os.environ)
        async with jobs.warmth(()):
            for _ in range(repeat + 1):
                began = time.perf_counter()
                with jobs.workspace() as workspace:
                    request = {
                        "notebook": str(notebook),
                        "template": None,
                        "output": str(workspace / "report.pdf"),
                        "workflow": "benchmark",
                        "reference_date": "2016-01-01",
                        "inputs_dir": str(directory),
                        "title_fallback": "benchmark",
                    }
                    reply = await jobs.call("report", request, workspace, timeout=120)
                    own.append(time.perf_counter() - began)
                    if reply.cause != "done":
                        raise RuntimeError(str(reply))
                    for source in workspace.iterdir():
                        if source.suffix in (".adoc", ".png"):
                            source.rename(directory / source.name)
                tools.append(_bare(directory, notebook, made))
        jobs.close()

    asyncio.run(measure())
    # the first fork imports nbconvert
    return own[1:], tools[1:]


def _bare(directory: Path, notebook: Path, made: Path) -> float:
    markdown = "\n\n".join(cell.source for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "markdown")
    began = time.perf_counter()
    subprocess.run(
        ["pandoc", "--from=gfm", "--to=asciidoc"], input=markdown, text=True, check=True, capture_output=True
    )
    command = ["asciidoctor-pdf", "--out-file", str(made), str(directory / "report.adoc")]
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def _executed() -> nbformat.NotebookNode:
    """A notebook with six markdown cells, two plots and two tables, executed once."""
    import base64
    import io

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
