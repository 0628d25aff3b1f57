# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow demo-flowapi``: a stand-in for FlowAPI with invented data, to learn and to try things with."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from autoflow.commands.terminal import print_json, print_line
from autoflow.errors import AutoflowError, ExitCode
from autoflow.wording import did_you_mean


def run(options: argparse.Namespace, settings: None) -> ExitCode:  # noqa: ARG001
    """Serve until Ctrl-C, and say where."""
    try:
        from autoflow.demo_flowapi import ALL_SCOPES, FlowapiStandin
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        raise AutoflowError(
            f"the demo needs {name}, which is not installed; pip install 'flowkit-autoflow[demo]'"
        ) from error
    for scope in options.without_scope:
        if scope not in ALL_SCOPES:
            raise AutoflowError(f"--without-scope {scope}: no such scope; {did_you_mean(scope, ALL_SCOPES)}")
    flowapi = FlowapiStandin(options.days, options.port, options.poll_seconds)
    flowapi.flowmachine.dates_lag = options.dates_lag
    flowapi.set_fault(options.fault)
    try:
        flowapi.start()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise AutoflowError(
            f"--port {options.port}: cannot listen there ({reason}); choose another port, or 0 for a free one"
        ) from error
    try:
        if options.token_file:
            scopes = [scope for scope in ALL_SCOPES if scope not in options.without_scope]
            _write_secret(options.token_file, flowapi.token(dt.timedelta(days=options.token_days), scopes))
        _serve(options, flowapi.url)
    finally:
        flowapi.stop()
    return ExitCode.OK


def _serve(options: argparse.Namespace, url: str) -> None:
    """Say where the stand-in listens, and wait for Ctrl-C; it answers in threads of its own."""
    if options.json:
        print_json(options, {"url": url})
    else:
        print_line(f"FlowAPI's stand-in listens at {url}; Ctrl-C ends it")
    sys.stdout.flush()
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _write_secret(path: Path, text: str) -> None:
    """Write a line to a file that only its owner can read."""
    try:
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text + "\n")
    except OSError as error:
        raise AutoflowError(f"--token-file {path}: cannot be written ({error.strerror})") from error
