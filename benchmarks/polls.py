# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a poll costs where QA checks are asked for: time, processor time and memory of its child, and bytes.

``python -m benchmarks.polls [--types 4] [--checks 12] [--dates 3650]``: the first poll, to which all is new, a later
one, and one after a date of a type was ingested anew. What answers is a process of its own, with all answers ready.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from autoflow.app import open_context
from autoflow.context import Context
from autoflow.progress import Progress
from autoflow.sensor.flowapi import QaAnswer, QaQuestion, ask_qa
from autoflow.settings import Token, load_settings
from benchmarks.backlog import TOKEN, environment
from benchmarks.workloads import FIRST_DATE

Sizes = tuple[int, int, int]
"""CDR types, checks of each, and dates."""


def main() -> None:
    """Poll three times; print a line of figures for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--types", type=int, default=4)
    parser.add_argument("--checks", type=int, default=12)
    parser.add_argument("--dates", type=int, default=3650)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    sizes = options.types, options.checks, options.dates
    if options.serve:
        serve(sizes)
        return
    command = [sys.executable, "-m", "benchmarks.polls", "--serve", *sys.argv[1:]]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server,
        tempfile.TemporaryDirectory(prefix="autoflow-benchmark-") as directory,
    ):
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}"
            for name, figures in polls(Path(directory), url, sizes):
                print(f"{name:20} {'  '.join(f'{what} {figure:,.2f}' for what, figure in figures.items())}", flush=True)
        finally:
            server.terminate()


def polls(directory: Path, url: str, sizes: Sizes) -> Iterator[tuple[str, dict[str, float]]]:
    """Poll, and record what is new, as a tick does."""
    variables = {**environment(directory), "FLOWAPI_URL": url}
    (directory / "inputs").mkdir()
    with open_context(load_settings(variables), {**os.environ, **variables}, Progress()) as context:
        for name in ("first poll", "later poll", "a date anew"):
            if name == "a date anew":
                _call(url, "POST", "/anew")
            answer, figures = _poll(context, sizes)
            began = time.process_time()
            context.store.record_outcomes(answer.changed, context.now())
            news = len(json.dumps(answer.changed))
            yield (
                name,
                {
                    **figures,
                    "answers MB": _call(url, "GET", "/bytes") / 1e6,
                    "requests": _call(url, "GET", "/requests"),
                    "to the daemon kB": news / 1e3,
                    "recording s": time.process_time() - began,
                },
            )


def _poll(context: Context, sizes: Sizes) -> tuple[QaAnswer, dict[str, float]]:
    types, checks, dates = sizes
    question = QaQuestion(
        {f"type{number}": [f"check{each}" for each in range(checks)] for number in range(types)},
        FIRST_DATE,
        FIRST_DATE + dt.timedelta(days=dates - 1),
        context.store.read.known_outcomes(),
    )
    token = Token(TOKEN, "nowhere", None)
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    answer = asyncio.run(ask_qa(context.jobs, context.settings, token, question))
    seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return answer, {"seconds": seconds, "CPU s": used, "peak MB": after.ru_maxrss / 1000}


def _call(url: str, method: str, path: str) -> int:
    with urlopen(Request(f"{url}{path}", method=method)) as answer:
        return int(answer.read())


def serve(sizes: Sizes) -> None:
    """Answer as FlowAPI does, and print the port; count what was sent since it was last asked for."""
    answers, counted = dict(_answers(sizes)), {"/bytes": 0, "/requests": 0}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in counted:
                body, counted[path] = str(counted[path]).encode(), 0
            else:
                body = answers[path]
                counted["/bytes"] += len(body)
                counted["/requests"] += 1
            self._send(body)

        def do_POST(self) -> None:
            answers.update({path: body.replace(b'"1000"', b'"999"', 1) for path, body in _of_first_type(answers)})
            self._send(b"0")

        def _send(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing but the port."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


def _of_first_type(answers: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    return [(path, body) for path, body in answers.items() if path.startswith("/api/0/qa/type0/")]


def _answers(sizes: Sizes) -> Iterator[tuple[str, bytes]]:
    """Write what there is to answer, by path; the outcome of the first date is 1000."""
    types, checks, dates = sizes
    names = [(f"type{number}", f"check{each}") for number in range(types) for each in range(checks)]
    yield "/api/0/qa/", _json([{"cdr_type": kind, "type_of_query_or_check": check} for kind, check in names])
    days = [f"{FIRST_DATE + dt.timedelta(days=day)}" for day in range(dates)]
    for kind, check in names:
        told = [
            {"cdr_date": day, "outcome": str(1000 + number), "type_of_query_or_check": check}
            for number, day in enumerate(days)
        ]
        yield f"/api/0/qa/{kind}/{check}", _json(told)


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


if __name__ == "__main__":
    main()
