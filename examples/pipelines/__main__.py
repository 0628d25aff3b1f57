# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Run the pipelines: ``python -m examples.pipelines`` makes three months of the stand-in's data into indicators.

The days arrive in two parts, so that a second start goes on where the first has ended.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import sys
import time
from pathlib import Path

from autoflow.demo_flowapi import FlowapiStandin
from examples.__main__ import run_autoflow
from examples.pipelines.receiver import Receiver

HERE = Path(__file__).parent

PARTS = (70, 91)
"""Days of data at each of the starts; the last day is 31 March 2016."""


def main() -> int:
    """Run what is due at each start, and compare what the receiver got with the months."""
    parser = argparse.ArgumentParser(prog="python -m examples.pipelines", description=__doc__)
    parser.add_argument("--days", type=int, nargs="+", default=PARTS, help="days of data at each start")
    days = parser.parse_args().days
    environment = dict(os.environ)
    environment["AUTOFLOW_INPUTS_DIR"] = str(HERE / "inputs")
    outputs = Path(environment.setdefault("AUTOFLOW_OUTPUTS_DIR", str(HERE / "outputs")))
    began = time.monotonic()
    with FlowapiStandin(days[0]) as flowapi, Receiver() as receiver:
        environment.update(
            FLOWAPI_URL=flowapi.url,
            FLOWAPI_TOKEN=flowapi.token(),
            RELEASES_URL=receiver.url,
            ADMIN_SECRET=receiver.admin_secret,
            UPDATER_SECRET=receiver.updater_secret,
        )
        for number in days:
            flowapi.set_days(number)
            print(f"FlowAPI lists {number} days.", flush=True)
            if code := run_autoflow(environment):
                return code
    print(f"{time.monotonic() - began:.0f} s; reports and files are in {outputs}")
    for month, content in sorted(receiver.files.items()):
        print(f"  the receiver got {month}: {len(list(csv.DictReader(io.StringIO(content.decode()))))} places")
    return 0


if __name__ == "__main__":
    sys.exit(main())
