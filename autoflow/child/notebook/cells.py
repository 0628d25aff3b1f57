# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Executing the cells of a notebook one after the other, and telling which one failed, and why."""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode, v4

from autoflow.child.hints import hint_for
from autoflow.child.notebook.kernel_start import answering_ends_first, without_terminal
from autoflow.child.notebook.papermill import PapermillNotebookClient, strip_color
from autoflow.child.printed import settled
from autoflow.notebooks import cell_position

OUTPUT_LIMIT = 10_000_000
"""Characters of output that are kept of one cell."""

LONGEST_PIECE = 100_000
"""Characters of something printed that are looked at again when more is printed."""

OUTPUT_PATIENCE = 60
"""Seconds in which what a cell has printed arrives after its end; nbclient's 4 are few on a busy machine."""

LOOK_SECONDS = 0.2
"""How often it is looked whether a kernel is still to be kept."""

KERNEL_START = "\n".join(
    f"exec({inspect.getsource(each) + f'{each.__name__}()'!r}, {{}})"
    for each in (answering_ends_first, without_terminal)
)


class NotebookFailedError(Exception):
    """A notebook did not get to its end; ``details`` are the reply's."""

    def __init__(self, **details: Any) -> None:
        super().__init__(details["message"])
        self.details = details


class Client(PapermillNotebookClient):  # type: ignore[misc]
    """papermill's client, which names the cell that failed, stops when it is told to, and bounds what a cell prints."""

    def __init__(self, *args: Any, on_failure: Callable[[str], Path] | None = None, **settings: Any) -> None:
        """Take the arguments of nbclient.

        Parameters
        ----------
        on_failure
            Told of the connection file of the kernel whose cell failed; the kernel is kept until there is a file of
            the path that it gives.
        """
        super().__init__(*args, iopub_timeout=OUTPUT_PATIENCE, **settings)
        self._told_to_stop = False
        self._on_failure = on_failure

    def stop(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal's handler
        """Interrupt the running cell, and start no other one, whatever that cell makes of it.

        What the cell has started shares the kernel's process group, and is interrupted too, as by a
        person in Jupyter.
        """
        self._told_to_stop = True
        process = self.km.process
        if process is None or process.poll() is not None:
            return
        try:
            os.killpg(process.pid, signal.SIGINT)
        except ProcessLookupError:
            # it has not become a group's leader yet
            process.send_signal(signal.SIGINT)

    def papermill_execute_cells(self) -> None:
        """Execute all cells.

        papermill's own leaves it to a later look at the outputs to find out what failed, and does not see
        a cell that left none: a magic that was misused, a kernel that was killed.

        Raises
        ------
        NotebookFailedError
            When a cell fails that is not tagged ``raises-exception``.
        """
        if self.km.kernel_spec.language == "python":
            self.kc.execute(KERNEL_START, silent=True, store_history=False, stop_on_error=False)
        for index, cell in enumerate(self.nb.cells):
            self.nb_man.cell_start(cell, index)
            try:
                if self._told_to_stop:
                    raise self._failure(index, "KeyboardInterrupt", "AutoFlow was told to stop before this cell")
                if not self._goes_on_after(index):
                    return
            except NotebookFailedError:
                self._keep_kernel()
                raise
            finally:
                self.nb_man.cell_complete(cell, cell_index=index)

    def _goes_on_after(self, index: int) -> bool:
        """Execute a cell; False when it ended the notebook as it should."""
        cell = self.nb.cells[index]
        try:
            self.execute_cell(cell, index)
        except CellExecutionError as error:
            if _is_good_end(error.ename, error.evalue):
                return False
            shown = [output for output in cell.outputs if output.output_type == "error"]
            if error.ename == "NoneType" and shown:
                # a value failed to be displayed, which the kernel's reply does not know
                raise self._failure(index, shown[-1].ename, shown[-1].evalue) from error
            raise self._failure(index, error.ename, error.evalue) from error
        except CellTimeoutError as error:
            message = f"the output of the cell did not arrive within {OUTPUT_PATIENCE} s after its end"
            raise self._failure(index, "OutputLost", message) from error
        except DeadKernelError as error:
            raise self._failure(index, "DeadKernelError", self._how_kernel_ended("in the middle of a cell")) from error
        if self._told_to_stop:
            raise self._failure(index, "KeyboardInterrupt", "AutoFlow interrupted this cell, but it did not stop")
        if "raises-exception" not in cell.metadata.get("tags", ()):
            for output in cell.get("outputs", ()):
                # shown without being raised, as by a value that fails to be displayed
                if output.output_type == "error" and not _is_good_end(output.ename, output.evalue):
                    raise self._failure(index, output.ename, output.evalue)
        return True

    def _keep_kernel(self) -> None:
        """Keep the kernel of a failed cell for someone to connect to."""
        if self._on_failure is None or self._told_to_stop:
            return
        release = self._on_failure(self.km.connection_file)
        process = self.km.process
        while not self._told_to_stop and not release.exists() and process is not None and process.poll() is None:
            time.sleep(LOOK_SECONDS)

    def _failure(self, index: int, exception: str, message: str) -> NotebookFailedError:
        """Write into the notebook that a cell failed, where it does not show that yet, and say it."""
        cell = self.nb.cells[index]
        shown = [output for output in cell.get("outputs", ()) if _shows(output, exception, message)]
        message = strip_color(message)
        if not shown and cell.cell_type == "code":
            line = f"{exception}: {message}" if message else exception
            cell.outputs.append(v4.new_output("error", ename=exception, evalue=message, traceback=[line]))
        self.nb_man.cell_exception(cell, cell_index=index)
        traceback = strip_color("\n".join(shown[-1].traceback)) if shown else None
        if hint := hint_for(exception, message):
            message = f"{message}\n{hint}"
        return NotebookFailedError(
            exception=exception, message=message, cell=cell_position(self.nb.cells, index), traceback=traceback
        )

    def lost_kernel(self) -> NotebookFailedError:
        """Say that the kernel ended when there was nothing left to execute."""
        message = self._how_kernel_ended("after the last cell")
        return NotebookFailedError(exception="DeadKernelError", message=message)

    def _how_kernel_ended(self, when: str) -> str:
        process = self.km.process
        returncode = process.wait(timeout=5) if process is not None else None
        if returncode == -signal.SIGKILL:
            return "the kernel was killed by signal 9, most likely because memory ran out"
        if returncode in CRASHES:
            name = signal.strsignal(-returncode)
            return f"the kernel crashed {when}, by signal {-returncode} ({name}): a native library is the likely cause"
        if returncode is not None and returncode < 0:
            return f"the kernel was killed by signal {-returncode} ({signal.strsignal(-returncode)})"
        code = "" if returncode is None else f", with exit code {returncode}"
        return f"the kernel exited {when}{code}"

    def output(
        self, outs: list[NotebookNode], msg: dict[str, Any], display_id: str | None, cell_index: int
    ) -> NotebookNode | None:
        content = msg["content"]
        if self.clear_before_next_output:
            self._sizes[cell_index] = 0
        elif _writes_over(outs, content):
            text = outs[-1]["text"]
            outs[-1]["text"] = settled(text + content["text"])
            self._sizes[cell_index] = self._sizes.get(cell_index, 0) + len(outs[-1]["text"]) - len(text)
            return None
        size = len(content["text"]) if "text" in content else sum(len(str(v)) for v in content.get("data", {}).values())
        before = self._sizes.get(cell_index, 0)
        self._sizes[cell_index] = before + size
        if before + size <= OUTPUT_LIMIT:
            kept: NotebookNode | None = super().output(outs, msg, display_id, cell_index)
            return kept
        if before <= OUTPUT_LIMIT:
            note = (
                f"\n[AutoFlow: more than {OUTPUT_LIMIT // 1_000_000} MB of output in this cell; the rest is omitted]\n"
            )
            outs.append(v4.new_output("stream", name="stderr", text=note))
        return None

    def clear_output(self, outs: list[NotebookNode], msg: dict[str, Any], cell_index: int) -> None:
        super().clear_output(outs, msg, cell_index)
        if not outs:
            # what is left counts, not what there was
            self._sizes[cell_index] = 0

    def reset_execution_trackers(self) -> None:
        super().reset_execution_trackers()
        self._sizes: dict[int, int] = {}


def _writes_over(outs: list[NotebookNode], content: Mapping[str, Any]) -> bool:
    """Whether something printed goes back to the beginning of a line, as a progress bar does."""
    return bool(
        outs
        and "\r" in content.get("text", "")
        and outs[-1]["output_type"] == "stream"
        and outs[-1]["name"] == content.get("name")
        and len(outs[-1]["text"]) < LONGEST_PIECE
    )


CRASHES = frozenset(-number for number in (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGILL, signal.SIGFPE))


def _is_good_end(exception: str, message: str) -> bool:
    """Whether an error is ``sys.exit()``, which ends a notebook early and well, as in papermill."""
    return exception == "SystemExit" and message in ("", "0")


def _shows(output: Mapping[str, Any], exception: str, message: str) -> bool:
    return output["output_type"] == "error" and (output["ename"], output["evalue"]) == (exception, message)
