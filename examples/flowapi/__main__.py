# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Serve the stand-in until Ctrl-C: ``python -m examples.flowapi``."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import threading
from pathlib import Path

from examples.flowapi import FlowapiStandin
from examples.flowapi.server import FAULTS


def main() -> None:
    """Serve, and say where."""
    parser = argparse.ArgumentParser(prog="python -m examples.flowapi", description=__doc__)
    parser.add_argument("--port", type=int, default=9090)
    parser.add_argument("--days", type=int, default=21, help="days of data, from 2016-01-01")
    parser.add_argument("--poll-seconds", type=float, default=1.0, help="how long a query runs")
    parser.add_argument("--fault", choices=FAULTS, help="misbehave in this way")
    parser.add_argument("--token-file", type=Path, help="write a token there, readable for you alone")
    parser.add_argument("--token-days", type=float, default=30.0, help="days until the token expires")
    options = parser.parse_args()
    with FlowapiStandin(options.days, options.port, options.poll_seconds) as flowapi:
        flowapi.set_fault(options.fault)
        if options.token_file:
            options.token_file.unlink(missing_ok=True)
            descriptor = os.open(options.token_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(flowapi.token(dt.timedelta(days=options.token_days)) + "\n")
        print(f"FlowAPI's stand-in listens at {flowapi.url}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


if __name__ == "__main__":
    main()
