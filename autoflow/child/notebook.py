# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Execute one notebook with papermill."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import nbformat
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_core.utils import ensure_event_loop
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode, v4

from autoflow.child.kernels import KernelManager, KernelNotReadyError
from autoflow.child.papermill import (
    NBClientEngine,
    PapermillExecutionError,
    PapermillNotebookClient,
    complete,
    execute_notebook,
    papermill_engines,
    strip_color,
)
from autoflow.child.spare_kernel import SpareKernel
from autoflow.executed_notebook import cell_position
from autoflow.redaction import Redactor
from autoflow.token_scan import refuse_leak

__all__ = ["complete", "prepare", "work"]

OUTPUT_LIMIT = 10_000_000
"""Characters of output that are kept of one cell."""

SAVE_SECONDS = 0.2
"""How long a change of the notebook may wait until it is on disk."""


class NotebookFailedError(Exception):
    """A notebook did not get to its end; ``details`` are the reply's."""

    def __init__(self, **details: Any) -> None:
        super().__init__(details["message"])
        self.details = details


def prepare(notebook: str) -> None:
    """Do what each execution of a notebook would do anew, for processes that are forked from this one.

    Compiling a schema to validate notebooks with, and looking for provisioners of kernels, take longer
    than all else before the first cell.
    """
    KernelProvisionerFactory.instance()
    with suppress(Exception):
        nbformat.reads(notebook, as_version=4)


def work(request: Mapping[str, Any], workspace: Path, spare_kernel: SpareKernel | None = None) -> dict[str, Any]:
    """Execute a notebook.

    Parameters
    ----------
    request
        ``notebook``: path of the notebook to execute, ``parameters``: its parameters as JSON values,
        ``final``: the path that the executed notebook will have.
    workspace
        Where ``notebook.ipynb`` is left, after a failure too.
    spare_kernel
        A kernel that is there already, used where it is the same as one started anew.

    Raises
    ------
    NotebookFailedError
        When a cell raised, or the kernel could not start or died.
    """
    output = workspace / "notebook.ipynb"
    papermill_engines.register("autoflow", Engine)
    try:
        execute_notebook(
            _literal(request["notebook"]),
            _literal(output),
            parameters=dict(request["parameters"]),
            engine_name="autoflow",
            cwd=str(Path(request["notebook"]).parent),
            progress_bar=False,
            progress=workspace / "progress.json",
            spare_kernel=spare_kernel,
        )
    except PapermillExecutionError as error:
        cells = json.loads(output.read_text(encoding="utf-8"))["cells"]
        raise NotebookFailedError(
            exception=error.ename,
            message=strip_color(error.evalue),
            cell=_failed_cell(cells),
            traceback=strip_color("\n".join(error.traceback)),
        ) from error
    except DeadKernelError as error:
        raise NotebookFailedError(exception="DeadKernelError", message=Engine.how_kernel_ended) from error
    except KernelNotReadyError as error:
        log = (workspace / "log.txt").read_text(errors="replace").splitlines()
        raise NotebookFailedError(
            exception="KernelNotReady", message="\n".join([f"{error}; the end of its log:", *log[-10:]])
        ) from error
    finally:
        if spare_kernel is not None:
            spare_kernel.dismiss()
        _finish(output, request["final"])
    return {}


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's client, with an end to how much output a cell may leave."""

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        content = msg["content"]
        size = len(content["text"]) if "text" in content else sum(len(str(v)) for v in content.get("data", {}).values())
        before = self._sizes.get(cell_index, 0)
        self._sizes[cell_index] = before + size
        if before + size <= OUTPUT_LIMIT:
            kept: NotebookNode | None = super().output(outs, msg, display_id, cell_index)
            return kept
        if before <= OUTPUT_LIMIT:
            note = (
                f"\n[AutoFlow: more than {OUTPUT_LIMIT // 1_000_000} MB of output in this cell; the rest is left out]\n"
            )
            outs.append(v4.new_output("stream", name="stderr", text=note))
        return None

    def reset_execution_trackers(self) -> None:
        super().reset_execution_trackers()
        self._sizes: dict[int, int] = {}


class Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's engine, with kernels of `autoflow.child.kernels` and progress for the parent."""

    how_kernel_ended = ""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        progress: Path,
        spare_kernel: SpareKernel | None,
        start_timeout: float = 60,
        **_: Any,
    ) -> None:
        total = sum(cell.cell_type == "code" for cell in nb_man.nb.cells)
        done = 0

        def report_progress(**_: Any) -> None:
            nonlocal done
            done += 1
            partial = progress.with_suffix(".partial")
            partial.write_text(json.dumps({"cell": done, "of": total}))
            partial.replace(progress)

        client = Client(
            nb_man,
            kernel_name=kernel_name,
            kernel_manager_class=KernelManager,
            startup_timeout=start_timeout,
            on_cell_execute=report_progress,
        )
        manager = client.create_kernel_manager()
        manager.prefer(spare_kernel)

        def interrupt(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
            """Turn the parent's wish to stop into a KeyboardInterrupt in the running cell."""
            if manager.process is not None:
                manager.process.send_signal(signal.SIGINT)

        signal.signal(signal.SIGTERM, interrupt)
        try:
            with saving_seldom(nb_man):
                client.execute()
        except DeadKernelError:
            cls.how_kernel_ended = _how_it_ended(manager.process.wait(timeout=5) if manager.process else None)
            raise


@contextmanager
def saving_seldom(manager: Any) -> Iterator[None]:
    """Save a notebook a moment after it changed, not at the start and the end of each cell.

    To save takes longer than many a cell. What is lost to a kill is what happened in the last moment.
    """
    # the one that runs while a cell does
    loop = ensure_event_loop()
    due: asyncio.TimerHandle | None = None

    def save() -> None:
        nonlocal due
        due = None
        type(manager).save(manager)

    def save_soon(**_: Any) -> None:
        nonlocal due
        if due is None:
            due = loop.call_later(SAVE_SECONDS, save)

    manager.save = save_soon
    try:
        yield
    finally:
        del manager.save
        if due is not None:
            due.cancel()


def _how_it_ended(returncode: int | None) -> str:
    if returncode == -signal.SIGKILL:
        return "the kernel was killed by signal 9, most likely because memory ran out"
    if returncode is not None and returncode < 0:
        return f"the kernel was killed by signal {-returncode} ({signal.strsignal(-returncode)})"
    return f"the kernel ended by itself in the middle of a cell, with exit code {returncode}"


def _failed_cell(cells: list[Mapping[str, Any]]) -> int | None:
    for index, cell in enumerate(cells):
        if any(output["output_type"] == "error" for output in cell.get("outputs", ())):
            return cell_position(cells, index)
    return None


def _literal(path: str | Path) -> str:
    """Write a path so that papermill, which runs `str.format` over it, leaves it as it is."""
    return re.sub(r"[{}]", lambda match: match.group() * 2, str(path))


def _finish(output: Path, final: str) -> None:
    """Take out what must not leave this process: the token, and a path that will not exist."""
    if not output.exists():
        return
    notebook = json.loads(output.read_text(encoding="utf-8"))
    notebook = Redactor.of(os.environ.get("FLOWAPI_TOKEN")).redact_json(notebook)
    notebook["metadata"]["papermill"]["output_path"] = final
    output.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if leak := refuse_leak(output, os.environ.get("FLOWAPI_TOKEN")):
        raise NotebookFailedError(exception="TokenFound", message=str(leak), cell=leak.cell)
