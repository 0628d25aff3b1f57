# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The processes that do blocking work.

``python -m autoflow.child WORKSPACE PARENT`` reads a request in the workspace and leaves a reply there;
``python -m autoflow.child --warm PARENT`` forks such a process for each request that comes over its
standard input, a socket. PARENT is the process id of AutoFlow, without which they end.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from autoflow.child.process import die_with_parent, keep_orphans, live_by_lease, peak_memory
from autoflow.code_version import RESTART, code_on_disk
from autoflow.processes import has_children, kill_descendants, leave_no_core
from autoflow.redaction import Redactor
from autoflow.wording import counted

KINDS = (
    "available_dates",
    "flowapi_answer",
    "installation",
    "message",
    "notebook",
    "page",
    "qa_outcomes",
    "report",
    "same_results",
    "template",
)


def main() -> None:
    """Be a job, or the warm parent that forks jobs, or a kernel below one."""
    what, parent = sys.argv[1], int(sys.argv[2])
    die_with_parent(parent)
    leave_no_core()
    if what != "--warm":
        do_job(Path(what), {})
        return

    from autoflow.child.warm_parent import WarmParent

    connection = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    job = WarmParent(connection).serve()
    if job is None:
        # nothing here is worth the time that taking it down takes
        os._exit(0)
    # this is a forked process from here on
    die_with_parent(job.parent)
    brought: dict[str, Any] = {}
    if job.line:
        brought["line"] = job.line
    if job.kind == "notebook":
        from autoflow.child.notebook.spare_kernel import SpareKernel

        brought["spare_kernel"] = spare_kernel = SpareKernel(job)
        if spare_kernel.is_this_process:
            spare_kernel.run()
            return
    do_job(job.workspace, brought)


def do_job(workspace: Path, brought: Mapping[str, Any]) -> None:
    """Do what the request file asks for, with what a forked process has brought along, and leave the reply file."""
    request: dict[str, Any] = json.loads((workspace / "request.json").read_text())
    keep_orphans()
    if lease := request.get("lease"):
        live_by_lease(Path(lease))
    redactor = Redactor.of(*(os.environ.get(name) for name in ("FLOWAPI_TOKEN", *request.get("secrets", ()))))
    reply: dict[str, Any]
    try:
        if request["kind"] not in KINDS:
            raise ValueError(f"unknown job {request['kind']!r}")
        if request["code"] != code_on_disk():
            raise ValueError(RESTART)
        reply = {"value": import_module(f"autoflow.child.{request['kind']}").work(request, workspace, **brought)}
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the reply
        traceback.print_exc()
        reply = {"error": describe(error)}
    # daemons that a notebook left behind; the parent finds those that kept their environment only
    if has_children():
        print(f"killed {counted(kill_descendants(os.getpid()), 'process', 'processes')} left running")  # noqa: T201
    leave(workspace / "reply.json", {**redactor.redact_json(reply), "peak_mb": peak_memory()})
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    # the reply is there, and taking down what was imported takes longer than many a notebook
    os._exit(0)


def describe(error: Exception) -> Mapping[str, Any]:
    """Say what went wrong, in JSON; an error may bring its own description."""
    details: Mapping[str, Any] | None = getattr(error, "details", None)
    return details if details is not None else {"exception": type(error).__name__, "message": str(error)}


def leave(path: Path, reply: Mapping[str, Any]) -> None:
    """Write the reply so that it is there as a whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(reply))
    partial.replace(path)


if __name__ == "__main__":
    main()
