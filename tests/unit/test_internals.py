# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What AutoFlow uses of other programs that these do not promise: each is there, as it was in the versions tried.

A failure says what stops working; where it is used is to be changed with it. Tried with Python 3.11 to 3.13, papermill
2.6 to 2.7, nbclient 0.10 to 0.11, nbconvert 7.16 to 7.17, jupyter_client 8.6 to 8.10, ipykernel 6.29 to 7.4, httpx
0.27 to 0.28 and tornado 6.4 to 6.6.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import reduce
from importlib import import_module

import pytest


@dataclass(frozen=True)
class Internal:
    module: str
    name: str
    user: str
    breaks: str
    takes: tuple[str, ...] = ()
    """Parameters by which it is called, or that an override has."""


INTERNALS = (
    Internal("threading", "_shutdown", "child/notebook/spare_kernel", "kernels end without waiting for threads"),
    Internal("atexit", "_run_exitfuncs", "child/notebook/spare_kernel", "kernels end without their exit functions"),
    Internal(
        "papermill.execute",
        "raise_for_execution_errors",
        "child/notebook/notebook",
        "expected errors of cells fail their notebook",
        ("nb", "output_path"),
    ),
    Internal("papermill.execute", "ERROR_MARKER_TAG", "child/notebook/papermill", "failed cells are not marked"),
    Internal("papermill.execute", "ERROR_ANCHOR_MSG", "child/notebook/papermill", "failed cells have no link"),
    Internal("papermill.execute", "ERROR_MESSAGE_TEMPLATE", "child/notebook/papermill", "failed cells are not marked"),
    Internal(
        "papermill.iorw", "HadoopFileSystem", "child/notebook/papermill", "notebooks cannot use papermill on HDFS"
    ),
    Internal(
        "papermill.engines",
        "NBClientEngine.execute_managed_notebook",
        "child/notebook/notebook",
        "notebooks are executed without AutoFlow's kernels, progress and limits",
        ("nb_man", "kernel_name"),
    ),
    Internal(
        "papermill.engines",
        "NotebookExecutionManager.save",
        "child/notebook/notebook",
        "a notebook is saved after each cell, or never",
    ),
    Internal(
        "papermill.clientwrap",
        "PapermillNotebookClient.papermill_execute_cells",
        "child/notebook/cells",
        "cells are executed without AutoFlow's rules for failures",
    ),
    Internal(
        "ipykernel.kernelapp",
        "IPKernelApp.control_thread",
        "child/notebook/kernel_start",
        "kernels end 3 s late now and then, and without writing what they hold for open files",
    ),
    Internal("ipykernel.zmqshell", "system", "child/notebook/kernel_start", "`!command` may wait for input", ("cmd",)),
    Internal(
        "jupyter_client.provisioning.local_provisioner",
        "LocalProvisioner.launch_kernel",
        "child/notebook/kernels",
        "kernels are not forked",
        ("cmd",),
    ),
    Internal(
        "jupyter_client",
        "AsyncKernelManager._async_wait",
        "child/notebook/kernels",
        "the end of a kernel is waited for in steps of 0.1 s",
        ("pollinterval",),
    ),
    Internal(
        "nbconvert.filters.markdown_mistune",
        "IPythonRenderer",
        "child/report/expected",
        "what a report should hold is unknown",
    ),
    Internal(
        "nbconvert.filters.markdown_mistune",
        "MathInlineParser",
        "child/report/markdown",
        "formulas in text are not found",
    ),
    Internal(
        "nbconvert.filters.markdown_mistune",
        "MarkdownWithMath",
        "child/report/markdown",
        "markdown is read unlike Jupyter does",
    ),
    Internal("httpx._main", "main", "child/http_library", "jobs import what only httpx's command needs"),
    Internal(
        "tornado.httpserver",
        "HTTPServer.handle_stream",
        "web/server",
        "connections to the page have no limit",
        ("stream", "address"),
    ),
    Internal(
        "tornado.httpserver", "HTTPServer.on_close", "web/server", "closed connections are counted", ("server_conn",)
    ),
    Internal("tornado.http1connection", "HTTP1Connection", "web/server", "slow clients of the page are not dropped"),
    Internal("tornado.http1connection", "HTTP1ServerConnection", "web/server", "closed connections are counted"),
)


@pytest.mark.parametrize("internal", INTERNALS, ids=lambda internal: f"{internal.module}.{internal.name}")
def test_what_others_do_not_promise_is_there(internal: Internal) -> None:
    found = reduce(
        lambda owner, name: getattr(owner, name, None), internal.name.split("."), import_module(internal.module)
    )
    lost = f"autoflow/{internal.user} relies on {internal.module}.{internal.name}; without it {internal.breaks}"
    assert found is not None, lost
    if internal.takes:
        assert set(internal.takes) <= set(inspect.signature(found).parameters), lost
