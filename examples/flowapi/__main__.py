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

from examples.flowapi import FAULTS, FlowapiStandin
from examples.flowapi.tokens import ALL_SCOPES

DESCRIPTION = """\
Serve a stand-in for FlowAPI, with invented data, on 127.0.0.1 until Ctrl-C.

It answers as a real FlowAPI does: the same routes, scopes, messages and oddities. For example:

  python -m examples.flowapi --token-file token &
  export FLOWAPI_URL=http://127.0.0.1:9090 FLOWAPI_TOKEN=$(cat token)
"""


def main() -> None:
    """Serve, and say where."""
    options = parsed()
    if unknown := set(options.without_scope) - set(ALL_SCOPES):
        raise SystemExit(f"--without-scope {min(unknown)}: no such scope; a token has {', '.join(ALL_SCOPES)}")
    with FlowapiStandin(options.days, options.port, options.poll_seconds) as flowapi:
        flowapi.flowmachine.dates_lag = options.dates_lag
        flowapi.set_fault(options.fault)
        if options.token_file:
            scopes = [scope for scope in ALL_SCOPES if scope not in options.without_scope]
            write_secret(options.token_file, flowapi.token(dt.timedelta(days=options.token_days), scopes))
        print(f"FlowAPI's stand-in listens at {flowapi.url}; Ctrl-C ends it", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print()


def parsed() -> argparse.Namespace:
    """Read the command line."""
    faults = "\n".join(f"  {name:12} {text}" for name, text in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m examples.flowapi",
        description=DESCRIPTION,
        epilog=f"faults:\n{faults}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=9090, help="0 picks a free one (default: 9090)")
    parser.add_argument("--days", type=int, default=21, help="days of data, from 2016-01-01 (default: 21)")
    parser.add_argument("--poll-seconds", type=float, default=1.0, help="how long a query runs (default: 1)")
    parser.add_argument(
        "--dates-lag", type=float, default=0.0, metavar="SECONDS",
        help="for how long the list of dates is kept; 120 in FlowMachine (default: 0)",
    )  # fmt: skip
    parser.add_argument("--fault", choices=FAULTS, metavar="NAME", help="misbehave in one of the ways below")
    parser.add_argument("--token-file", type=Path, help="write a token there, readable for you alone")
    parser.add_argument("--token-days", type=float, default=30.0, help="days until the token expires (default: 30)")
    parser.add_argument(
        "--without-scope", action="append", default=[], metavar="SCOPE",
        help="leave this out of the token, for instance admin2:flows:modal_location",
    )  # fmt: skip
    return parser.parse_args()


def write_secret(path: Path, text: str) -> None:
    """Write a line to a file that only its owner can read."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")


if __name__ == "__main__":
    main()
