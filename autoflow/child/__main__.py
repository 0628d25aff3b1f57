# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A job's process: ``python -m autoflow.child WORKSPACE`` reads a request there and leaves a reply."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from autoflow.processes import has_children, kill_descendants
from autoflow.redaction import Redactor

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
KINDS = ("available_dates", "notebook", "report", "template")


def main() -> None:
    """Do the job that the request file asks for."""
    workspace = Path(sys.argv[1])
    request: dict[str, Any] = json.loads((workspace / "request.json").read_text())
    live_and_die_with(request["parent"])
    redactor = Redactor.of(os.environ.get("FLOWAPI_TOKEN"))
    reply: dict[str, Any]
    try:
        if request["kind"] not in KINDS:
            raise ValueError(f"no job is called {request['kind']!r}")
        reply = {"value": import_module(f"autoflow.child.{request['kind']}").work(request, workspace)}
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the reply
        traceback.print_exc()
        reply = {"error": describe(error)}
    # daemons that a notebook left behind; the parent finds those that kept their environment only
    if has_children():
        print(f"killed {kill_descendants(os.getpid())} processes that were left running")  # noqa: T201
    leave(workspace / "reply.json", redactor.redact_json(reply))


def live_and_die_with(parent: int) -> None:
    """Tie this process to its parent's life, and what it starts to its own."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # daemons that a notebook starts stay below this process, where they are found
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has gone")


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
