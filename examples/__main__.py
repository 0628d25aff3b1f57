# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Run the example: ``python -m examples`` makes reports of the stand-in's data.

With FLOWAPI_URL and FLOWAPI_TOKEN set, the same inputs run against that FlowAPI instead.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from autoflow.demo_flowapi import FlowapiStandin

HERE = Path(__file__).parent


def main() -> int:
    """Run what is due, and say where the reports are."""
    environment = dict(os.environ)
    environment["AUTOFLOW_INPUTS_DIR"] = str(HERE / "inputs")
    outputs = Path(environment.setdefault("AUTOFLOW_OUTPUTS_DIR", str(HERE / "outputs")))
    reports = outputs / "reports"
    before = set(reports.glob("*.pdf"))
    with ExitStack() as stack:
        if not (environment.get("FLOWAPI_URL") and environment.get("FLOWAPI_TOKEN")):
            flowapi = stack.enter_context(FlowapiStandin())
            environment.update(FLOWAPI_URL=flowapi.url, FLOWAPI_TOKEN=flowapi.token())
            print(f"A stand-in for FlowAPI listens at {flowapi.url}.", flush=True)
        code = run_autoflow(environment)
    made = set(reports.glob("*.pdf")) - before
    total = len(before) + len(made)
    if code == 0 and not made:
        print(f"Nothing was due: all {total} reports are there already.")
    else:
        print(f"{len(made)} new reports, {total} in all.")
    if (reports / "index.html").is_file():
        print(f"Open {reports / 'index.html'} to read them.")
    return code


def run_autoflow(environment: Mapping[str, str]) -> int:
    """Run AutoFlow once, as it is installed here."""
    # Ctrl-C is for AutoFlow to handle, which comes to an end in its own time
    signal.signal(signal.SIGINT, lambda *_: None)
    return subprocess.run([sys.executable, "-m", "autoflow", "--run-once"], env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
