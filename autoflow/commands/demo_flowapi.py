# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow demo-flowapi``: a stand-in for FlowAPI with invented data, to learn and to try things with."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

from autoflow.commands.terminal import print_json, print_line
from autoflow.errors import AutoflowError, ExitCode
from autoflow.wording import did_you_mean

CHANGES_AT = "/stand-in"

PATIENCE, LARGEST_ANSWER = 10.0, 100_000
"""Seconds and bytes."""


def run(options: argparse.Namespace, settings: None) -> ExitCode:  # noqa: ARG001
    """Serve until Ctrl-C, and say where; or change the data of the stand-in that does."""
    return _change(options) if options.do else _start(options)


def _change(options: argparse.Namespace) -> ExitCode:
    """Ask a stand-in that runs for a change of its data."""
    # the one that serves needs none of this
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection("127.0.0.1", options.port, timeout=PATIENCE)
    asked = json.dumps({"do": options.do, "values": options.values, "share": options.share})
    try:
        connection.request("POST", CHANGES_AT, asked, {"Content-Type": "application/json"})
        answer = json.loads(connection.getresponse().read(LARGEST_ANSWER))
        done, error = answer.get("done"), answer.get("error")
    except OSError as error:
        raise AutoflowError(
            f"--port {options.port}: no stand-in answers there ({error.strerror or error});"
            " start `autoflow demo-flowapi` first, in another terminal"
        ) from error
    except (ValueError, AttributeError, HTTPException):
        done = error = None
    finally:
        connection.close()
    if not done:
        raise AutoflowError(error or f"--port {options.port}: what answers there is no stand-in, or an older one")
    if options.json:
        print_json(options, {"url": f"http://127.0.0.1:{options.port}", "done": done})
    else:
        print_line(done)
    return ExitCode.OK


def _start(options: argparse.Namespace) -> ExitCode:
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
        print_json(options, {"url": url, "done": None})
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
