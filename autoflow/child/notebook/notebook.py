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
from typing import Any

import nbformat
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from jupyter_core.utils import ensure_event_loop
from nbformat import v4

from autoflow.child.notebook.cells import Client, NotebookFailedError
from autoflow.child.notebook.kernels import KernelManager, KernelNotReadyError, described_kernel
from autoflow.child.notebook.papermill import (
    ERROR_ANCHOR_MSG,
    ERROR_MARKER_TAG,
    ERROR_MESSAGE_TEMPLATE,
    NBClientEngine,
    complete,
    execute_notebook,
    papermill,
    papermill_engines,
)
from autoflow.child.notebook.spare_kernel import SpareKernel
from autoflow.notebooks import read_content, refuse_leak
from autoflow.redaction import Redactor

__all__ = ["complete", "prepare", "work"]

SAVE_SECONDS = 0.2
"""How long a change of the notebook may wait until it is on disk."""


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
        ``final``: the path that the executed notebook will have, ``keep_kernel``: whether the kernel of a cell that
        failed waits for someone to connect.
    workspace
        Where ``notebook.ipynb`` is left, after a failure too.
    spare_kernel
        A kernel that is there already, used where it is the same as one started anew.

    Raises
    ------
    NotebookFailedError
        When a cell raised, or the kernel could not start or died.
    """
    notebook, output, source = Path(request["notebook"]), workspace / "notebook.ipynb", workspace / "source.ipynb"
    try:
        content = read_content(notebook)
        if request.get("kernel"):
            content["metadata"].update(described_kernel(request["kernel"]))
            content["metadata"].pop("language_info", None)
        source.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    except ValueError as error:
        raise NotebookFailedError(exception="NotNotebook", message=f"{notebook.name} {error}") from error
    except KernelNotReadyError as error:
        raise NotebookFailedError(exception="NoSuchKernel", message=str(error)) from error
    papermill_engines.register("autoflow", Engine)
    # the engine has told by then, and knows which errors were expected
    papermill.execute.raise_for_execution_errors = lambda *_: None
    try:
        execute_notebook(
            _literal(source),
            _literal(output),
            parameters=dict(request["parameters"]),
            engine_name="autoflow",
            cwd=str(notebook.parent),
            progress_bar=False,
            progress=workspace / "progress.json",
            spare_kernel=spare_kernel,
            keep_kernel=request.get("keep_kernel", False),
        )
    except KernelNotReadyError as error:
        log = (workspace / "log.txt").read_text(errors="replace").splitlines()
        raise NotebookFailedError(
            exception="KernelNotReady", message="\n".join([f"{error}; the end of its log:", *log[-10:]])
        ) from error
    finally:
        if spare_kernel is not None:
            spare_kernel.dismiss()
        secrets = {name: os.environ[name] for name in request.get("secrets", ())}
        _finish(output, notebook, request["final"], secrets)
    return {}


class _Progress:
    """Tells the parent of each cell, in a file."""

    def __init__(self, path: Path, cells: int) -> None:
        self._path = path
        self._cells = cells
        self._begun = 0

    def add_cell(self, **_: Any) -> None:
        self._begun += 1
        self._tell(cell=self._begun, of=self._cells)

    def lend_kernel(self, connection_file: str) -> Path:
        """Let people have the kernel, until the file is there whose name is returned."""
        release = self._path.with_name("release")
        self._tell(kernel=connection_file, release=str(release))
        return release

    def _tell(self, **content: Any) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(json.dumps(content))
        partial.replace(self._path)


class Engine(NBClientEngine):  # type: ignore[misc]
    """papermill's engine, with kernels of `autoflow.child.notebook.kernels` and progress for the parent."""

    @classmethod
    def execute_managed_notebook(
        cls,
        nb_man: Any,
        kernel_name: str,
        progress: Path,
        spare_kernel: SpareKernel | None,
        keep_kernel: bool = False,
        start_timeout: float = 60,
        **_: Any,
    ) -> None:
        """Execute a notebook; six parameters, since papermill hands them over one by one."""
        told = _Progress(progress, sum(cell.cell_type == "code" for cell in nb_man.nb.cells))
        client = Client(
            nb_man,
            kernel_name=kernel_name,
            kernel_manager_class=KernelManager,
            startup_timeout=start_timeout,
            on_cell_execute=told.add_cell,
            on_failure=told.lend_kernel if keep_kernel else None,
        )
        client.create_kernel_manager().prefer(spare_kernel)
        signal.signal(signal.SIGTERM, client.stop)
        with saving_seldom(nb_man):
            client.execute()


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


def _literal(path: str | Path) -> str:
    """Write a path so that papermill, which runs `str.format` over it, leaves it as it is."""
    return re.sub(r"[{}]", lambda match: match.group() * 2, str(path))


def _finish(output: Path, source: Path, final: str, secrets: Mapping[str, str]) -> None:
    """Remove what must not leave this process: the token, secrets, and paths that will not exist."""
    if not output.exists():
        return
    notebook = json.loads(output.read_text(encoding="utf-8"))
    notebook = Redactor.of(os.environ.get("FLOWAPI_TOKEN"), *secrets.values()).redact_json(notebook)
    notebook["metadata"]["papermill"].update(input_path=str(source), output_path=final)
    _mark_failure(notebook["cells"])
    output.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    if leak := refuse_leak(output, os.environ.get("FLOWAPI_TOKEN"), secrets):
        raise NotebookFailedError(exception="TokenFound", message=str(leak), cell=leak.cell)


def _mark_failure(cells: list[dict[str, Any]]) -> None:
    """Put in what papermill puts into a notebook that failed: a line at its top, with a link to the cell."""
    for index, cell in enumerate(cells):
        if cell["metadata"].get("papermill", {}).get("exception"):
            top = ERROR_MESSAGE_TEMPLATE % cell.get("execution_count")
            for position, text in ((index, ERROR_ANCHOR_MSG), (0, top)):
                cells.insert(position, v4.new_markdown_cell(text, metadata={"tags": [ERROR_MARKER_TAG]}))
            return
