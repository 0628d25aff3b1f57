# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Run the monthly reports: ``python -m examples.monthly`` makes those of two months, one of them provisional at first.

Three days of February come late, after its report; then that is made again, and is final.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from autoflow.demo_flowapi import FlowapiStandin
from examples.__main__ import run_autoflow

HERE = Path(__file__).parent

DAYS = 60
"""January and February 2016."""

LATE = ("2016-02-09", "2016-02-10", "2016-02-11")


def main() -> int:
    """Run what is due before and after the late dates have arrived, and say where the reports are."""
    environment = dict(os.environ)
    environment["AUTOFLOW_INPUTS_DIR"] = str(HERE / "inputs")
    outputs = Path(environment.setdefault("AUTOFLOW_OUTPUTS_DIR", str(HERE / "outputs")))
    with FlowapiStandin(DAYS) as flowapi:
        environment.update(FLOWAPI_URL=flowapi.url, FLOWAPI_TOKEN=flowapi.token())
        for date in LATE:
            flowapi.flowmachine.drop(date)
        print(f"FlowAPI lists January and February, without {LATE[0]} to {LATE[-1]}.", flush=True)
        if code := run_autoflow(environment):
            return code
        flowapi.set_days(DAYS)
        print("The missing dates have arrived.", flush=True)
        if code := run_autoflow(environment):
            return code
    print(f"Open {outputs / 'reports' / 'index.html'} to read the reports.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
