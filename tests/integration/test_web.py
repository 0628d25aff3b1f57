# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The page of a daemon, asked over real HTTP: what it shows, and what it does not let anybody do."""

from __future__ import annotations

import asyncio
import gc
import http.client
import json
import logging
import re
import signal
import socket
import sqlite3
import subprocess
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, nullcontext, redirect_stderr
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tornado.iostream import IOStream

from autoflow.app import open_context
from autoflow.child.page.notebook_page import notebook_page
from autoflow.demo_flowapi import FlowapiStandin
from autoflow.jobs.jobs import Reply
from autoflow.parser.parser import read_definitions
from autoflow.progress import Progress
from autoflow.sensor import Batch
from autoflow.settings.settings import load_settings
from autoflow.web.page_cache import DaemonState, PageCache
from autoflow.web.server import MOST_CONNECTIONS, SLOWEST, Web
from tests.browser import CHROMIUM, browser
from tests.clock import PATIENCE, HeldLoop, run_held, until
from tests.conftest import NOTEBOOKS, Deployment, Typed, make_deployment
from tests.receivers import free_port
from tests.warm_parents import WarmParents

HOSTILE = "<script>alert('workflow')</script>"
VALUES = {
    "markup": "\"'><img src=x onerror=alert(1)>",
    "scheme": "javascript:alert(1)",
    "direction": "\N{RIGHT-TO-LEFT OVERRIDE}fdp.exe",
    "lines": "one\ntwo\x1b[31m",
    "long": "x" * 5000,
}
PATHS = ("", "runs", "runs/1", "months/2016-01", "workflow?name=plain", "why?trigger=0&date=2016-01-01")
RELATIVE = re.compile(r'(?:href|src)="([^"]*)"')


@dataclass(frozen=True)
class Explanation:
    status: int
    headers: dict[str, str]
    body: str


@dataclass(frozen=True)
class Site:
    """A daemon that serves the page."""

    deployment: Deployment
    port: int
    process: subprocess.Popen[str]
    token: str

    def ask(
        self,
        path: str,
        method: str = "GET",
        host: str | None = None,
        body: str | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> Explanation:
        """Send a request as it stands, and read the answer."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", host or f"127.0.0.1:{self.port}")
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders(body.encode() if body else None)
            with connection.getresponse() as answer:
                given = {name.lower(): value for name, value in answer.getheaders()}
                return Explanation(answer.status, given, answer.read().decode(errors="replace"))

    def until(self, path: str, words: str, seconds: float = PATIENCE) -> Explanation:
        until(lambda: words in self.ask(path).body, seconds)
        return self.ask(path)

    def answers(self) -> bool:
        """Whether it takes a question at present."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
                connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                return connection.recv(100).startswith(b"HTTP/1.1 ")
        except OSError:
            return False


def definitions() -> str:
    values = VALUES
    task = {"filename": "glues.ipynb", "parameters": {"reference_date": "reference_date"}}
    hostile = {**task, "parameters": {**task["parameters"], **{name: name for name in values}}}
    content = {
        "workflows": [
            {"name": HOSTILE, "notebooks": {'<b>"label': hostile, "fails": {**task, "filename": "raises.ipynb"}}},
            {"name": "plain", "notebooks": {"glues": {**task, "output": {"format": "html"}}}},
        ],
        "available_dates_sensor": {
            "schedule": "0 0 1 1 *",
            "workflows": [{"workflow_name": HOSTILE, "parameters": values}, {"workflow_name": "plain"}],
        },
    }
    return yaml.safe_dump(content, allow_unicode=True)


def started(
    directory: Path, flowapi: FlowapiStandin, warm_parents: WarmParents, *arguments: str, **environment: str
) -> Site:
    deployment, port = make_deployment(directory, flowapi), free_port()
    deployment.warm_parents, deployment.stays_warm = warm_parents, True
    deployment.write(definitions(), "glues", "raises")
    process = deployment.start(*arguments, AUTOFLOW_HTTP=f"127.0.0.1:{port}", **environment)
    site = Site(deployment, port, process, deployment.environment["FLOWAPI_TOKEN"])
    until_answers(site)
    return site


def until_answers(site: Site) -> None:
    until(lambda: site.process.poll() is not None or site.answers())
    assert site.process.poll() is None, site.process.communicate()[0]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, warm_parents: WarmParents) -> Iterator[Site]:
    """Give a daemon that has made its first tick: some runs failed, some made reports."""
    with FlowapiStandin(days=2, poll_seconds=0.0) as flowapi:
        site = started(tmp_path_factory.mktemp("site"), flowapi, warm_parents, "--now")
        try:
            until(lambda: is_idle(json.loads(site.ask("/health").body)))
            yield site
        finally:
            site.process.terminate()
            log, _ = site.process.communicate(timeout=PATIENCE)
        assert site.process.returncode == 0, log
        assert "Traceback" not in re.sub(r"(?s)Error: .*?\n", "", log)


def is_idle(how: dict[str, Any]) -> bool:
    return not how["running"] and how["doing"].endswith(" UTC")


def links_in(body: str) -> list[str]:
    found = (link.replace("&amp;", "&").partition("#") for link in RELATIVE.findall(body))
    return [link for link, _, _ in found if link]


def test_the_status_page_shows_what_is_done_what_failed_and_the_newest_reports(site: Site) -> None:
    answer = site.ask("/")
    assert answer.status == 200
    for words in ("Next tick", "Unresolved failures", "Newest reports", ": succeeded, report", ": failed"):
        assert words in answer.body
    assert "ValueError" in answer.body or "Error" in answer.body
    assert any(link.startswith("./reports/") for link in links_in(answer.body))


def test_every_link_of_every_page_leads_somewhere(site: Site) -> None:
    seen, left = set(), ["/"]
    while left:
        path = left.pop()
        if path in seen or path.startswith("data:"):
            continue
        seen.add(path)
        answer = site.ask(path)
        assert answer.status == 200, path
        if path.startswith(("/reports/", "/notebooks/", "/view/")):
            continue
        left += [
            link if link.startswith("data:") else "/" + link.replace("../", "").removeprefix("./")
            for link in links_in(answer.body)
        ]
    kinds = {path.split("/")[1].split("?")[0] for path in seen}
    assert {"", "runs", "why", "reports", "notebooks", "view", "months", "workflow"} <= kinds


def test_hostile_names_and_values_are_shown_and_nothing_else(site: Site) -> None:
    paths = ["/", "/runs", "/months/2016-01", f"/workflow?name={quote(HOSTILE)}", "/workflow?name=<script>"]
    paths += ["/runs/1", "/runs/2", "/why?trigger=0&date=2016-01-01", "/why?workflow=%3Cscript%3E&date=<script>"]
    for path in paths:
        body = site.ask(path).body
        assert "<script" not in body
        assert "<img" not in body
        assert 'href="javascript' not in body
        assert "\N{RIGHT-TO-LEFT OVERRIDE}" not in body
        assert "\x1b" not in body
        assert len(body) < 100_000
    assert "&lt;script&gt;" in site.ask("/").body


def test_the_token_is_on_no_page(site: Site) -> None:
    for path in ("/", "/runs", "/runs/1", "/months/2016-01", "/health", "/metrics", "/why?trigger=0&date=2016-01-01"):
        assert site.token not in site.ask(path).body
    assert site.token not in (site.deployment.outputs / "reports" / "index.html").read_text()


@pytest.mark.parametrize("path", ["/", "/runs/1", "/health", "/metrics", "/nothing", "/reports/nothing.pdf"])
def test_every_answer_forbids_what_it_does_not_need(site: Site, path: str) -> None:
    headers = site.ask(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "script" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", ["/", "/runs/1", "/health", "/reports/index.html"])
def test_nothing_can_be_changed(site: Site, method: str, path: str) -> None:
    assert site.ask(path, method, body="x=1").status == 405


@pytest.mark.parametrize("path", ["/", "/runs/1", "/health", "/metrics", "/reports/index.html"])
def test_head_says_what_get_would(site: Site, path: str) -> None:
    head, get = site.ask(path, "HEAD"), site.ask(path)
    assert (head.status, head.body) == (get.status, "")
    assert head.headers["content-type"] == get.headers["content-type"]
    assert int(head.headers["content-length"]) > 0


def test_a_name_that_was_made_to_point_here_gets_nothing(site: Site) -> None:
    for host in ("evil.example.org", f"evil.example.org:{site.port}", "10.0.0.1", "localhost.evil.org"):
        assert site.ask("/", host=host).status == 421
        assert site.ask("/reports/index.html", host=host).status == 421
    for host in ("localhost", "localhost:9999", "127.0.0.1", "[::1]:80"):
        assert site.ask("/health", host=host).status == 200


def test_no_path_leads_out_of_the_outputs(site: Site) -> None:
    reports, outside = site.deployment.outputs / "reports", site.deployment.outputs.parent / "secret.html"
    outside.write_text("secret")
    (reports / "out.html").symlink_to(outside)
    (reports / "db.html").symlink_to(site.deployment.outputs / "autoflow.db")
    (reports / "up").symlink_to(site.deployment.outputs.parent)
    (reports / ".hidden.html").write_text("secret")
    (reports / "shown.html").symlink_to(".hidden.html")
    (reports / "notes.txt").write_text("secret")
    (reports / "loop.html").symlink_to("loop.html")
    paths = [
        "../autoflow.db", "..%2fautoflow.db", "%2e%2e/autoflow.db", "%252e%252e/autoflow.db", "..%5cautoflow.db",
        "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "out.html", "db.html", "up/secret.html", ".hidden.html",
        "shown.html", "notes.txt", "loop.html", "", ".", "latest", "latest/", "..", "x%00.html", "../../secret.html",
        "index.html%00", "%c0%ae%c0%ae/secret.html", "a" * 5000 + ".html", "latest/../../autoflow.db",
    ]  # fmt: skip
    for root in ("reports", "notebooks", "view"):
        for path in paths:
            answer = site.ask(f"/{root}/{path}")
            assert answer.status in (400, 403, 404), (root, path, answer.status)
            assert "secret" not in answer.body
            assert "SQLite" not in answer.body
    for path in ("/autoflow.db", "/.autoflow/", "/../autoflow.db", "/reports/../../.autoflow/x.html"):
        assert site.ask(path).status in (400, 403, 404)


def test_links_to_the_newest_reports_are_followed(site: Site) -> None:
    (link,) = site.deployment.made("reports/latest/*.html")
    answer = site.ask(f"/reports/latest/{link.name}")
    assert answer.status == 200
    assert "sandbox" in answer.headers["content-security-policy"]


def test_an_executed_notebook_is_shown_and_runs_nothing(site: Site) -> None:
    notebook = json.loads((NOTEBOOKS / "glues.ipynb").read_text())
    script = "<script>alert('notebook')</script><img src='http://192.0.2.1/x.png'>"
    output = {"output_type": "display_data", "data": {"text/html": script}, "metadata": {}}
    notebook["cells"][-1]["outputs"] = [output]
    name = "<i>hostile&.ipynb"
    (site.deployment.outputs / "notebooks" / name).write_text(json.dumps(notebook))
    answer = site.ask("/view/%3Ci%3Ehostile%26.ipynb")
    assert answer.status == 200
    assert "&lt;i&gt;hostile&amp;.ipynb" in answer.body
    assert "sandbox" in answer.headers["content-security-policy"].split("; ")
    raw = site.ask("/notebooks/%3Ci%3Ehostile%26.ipynb")
    assert raw.headers["content-disposition"] == "attachment"


def test_a_damaged_notebook_is_said_to_be_one(site: Site) -> None:
    (site.deployment.outputs / "notebooks" / "damaged.ipynb").write_text("{")
    assert "cannot be shown" in site.ask("/view/damaged.ipynb").body


@pytest.mark.parametrize(
    "path",
    [
        "/runs/999999",
        "/runs/x",
        "/runs/-1",
        "/runs/1.9",
        "/runs/1.1.1",
        "/why",
        "/why?trigger=99&date=2016-01-01",
        "/why?date=tomorrow",
        "/months/1999-01",
        "/months/2016-13",
        "/workflow?name=no-such",
        "/runs?state=lost",
        "/runs?first=tomorrow",
    ],
)
def test_what_is_not_there_is_not_found_and_a_page_says_what_is(site: Site, path: str) -> None:
    answer = site.ask(path)
    assert (answer.status, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "../runs" in links_in(answer.body) or "./runs" in links_in(answer.body)


def test_a_run_is_shown_with_its_error_its_notebooks_and_its_parameters(site: Site) -> None:
    bodies = [site.ask(f"/runs/{run}").body for run in range(1, 5)]
    (failed, *_) = [body for body in bodies if '<span class="badge failed">' in body]
    for words in ("Traceback", "executed notebook", "reference_date", "fails", "cell "):
        assert words in failed, failed
    assert "<h1>Attempt 1.1 " in site.ask("/runs/1.1").body
    assert re.search(r"<small>[0-9.]+ [MG]B at most</small>", failed)


def test_a_link_of_before_runs_had_numbers_for_life_leads_to_the_attempt(site: Site) -> None:
    with closing(sqlite3.connect(site.deployment.outputs / "autoflow.db")) as connection:
        with connection:
            connection.execute(
                "INSERT INTO attempts (id, run, attempt, state, started, superseded)"
                " VALUES (77, 1, 9, 'interrupted', '2020-01-01', '2020-01-01')"
            )
            connection.execute("INSERT INTO meta VALUES ('old_numbers', '77')")
        answer = site.ask("/runs/77")
        with connection:
            connection.execute("DELETE FROM attempts WHERE id = 77")
            connection.execute("DELETE FROM meta WHERE key = 'old_numbers'")
    assert (answer.status, answer.headers["location"]) == (301, "1.9")
    assert site.ask("/runs/77").status == 404


def test_the_page_says_why_a_date_is_as_it_is(site: Site) -> None:
    body = site.ask("/why?workflow=plain&date=2030-01-01").body
    assert "not available" in body
    assert "FlowAPI lists no data for this date yet" in body


def test_metrics_count_runs_and_tell_times(site: Site) -> None:
    text = site.ask("/metrics").body
    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["autoflow_attempts", "succeeded"] == 2
    assert samples["autoflow_attempts", "failed"] == 2
    assert samples["autoflow_attempt_duration_seconds_count", "plain", "succeeded"] == 2
    assert samples["autoflow_healthy",] == 1
    assert samples["autoflow_next_tick_timestamp_seconds",] > time.time()
    assert samples["autoflow_token_expiry_timestamp_seconds",] > time.time()
    assert abs(samples["autoflow_last_poll_timestamp_seconds",] - time.time()) < 300


def test_slow_and_silent_clients_hold_nobody_up(site: Site) -> None:
    clients = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(30)]
    for client in clients[:15]:
        client.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    assert site.ask("/health").status == 200
    for client in clients:
        # none of them had to be let go for it
        assert is_connected(client)
        client.close()


def test_a_flood_of_connections_ends_with_the_flood(site: Site) -> None:
    clients = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(200)]
    for client in clients:
        client.close()
    until(site.answers)


def is_connected(client: socket.socket) -> bool:
    """Whether the other side has neither answered nor let go."""
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@dataclass
class Served:
    """The page in this process, and the jobs that are started for it."""

    port: int
    jobs: list[str]
    notebooks: Path

    async def ask(self, path: str) -> tuple[int, str]:
        def asked() -> tuple[int, str]:
            with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()

        return await asyncio.to_thread(asked)


@asynccontextmanager
async def served(deployment: Deployment, *, warm: bool = True, batch: Batch | None = None) -> AsyncIterator[Served]:
    deployment.write(definitions(), "glues", "raises")
    deployment.environment["AUTOFLOW_HTTP"] = f"127.0.0.1:{free_port()}"
    settings = load_settings(deployment.environment, docker_secrets=deployment.inputs / "no secrets")
    with open_context(settings, deployment.environment, Progress()) as context:
        jobs, call = list[str](), context.jobs.call

        async def counted(kind: str, *arguments: Any, **named: Any) -> Reply:
            jobs.append(kind)
            return await call(kind, *arguments, **named)

        context.jobs.call = counted  # type: ignore[method-assign]
        taken = read_definitions(settings.workflows_file)
        pages = PageCache(context, lambda: DaemonState(context.now(), taken, batch=batch))

        async def healthy() -> Mapping[str, Any]:
            return {"healthy": True}

        async with context.jobs.warmth(()) if warm else nullcontext(), Web(context, pages, healthy):
            assert settings.http is not None
            yield Served(settings.http.port, jobs, settings.notebooks_dir)


def test_clients_that_do_not_take_their_answers_are_let_go(deployment: Deployment) -> None:
    clients = [socket.socket() for _ in range(MOST_CONNECTIONS)]

    async def asking() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, HeldLoop)
        async with served(deployment, warm=False) as site:
            (deployment.outputs / "reports" / "large.html").write_bytes(b"." * 8_000_000)
            for client in clients:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", site.port))
                client.sendall(f"GET /reports/large.html HTTP/1.1\r\nHost: 127.0.0.1:{site.port}\r\n\r\n".encode())
            await loop.until(lambda: connections() == MOST_CONNECTIONS)
            began = loop.time()
            assert began < SLOWEST
            await loop.until(lambda: connections() == 0)
            assert loop.time() - began <= SLOWEST + 1
            assert (await site.ask("/health"))[0] == 200

    run_held(asking())
    for client in clients:
        client.close()


def connections() -> int:
    """Count those that this process serves and has not let go."""
    return sum(isinstance(each, IOStream) and not each.closed() for each in gc.get_objects())


def test_closed_connections_leave_nothing_behind(deployment: Deployment) -> None:
    async def asking() -> None:
        async with served(deployment, warm=False) as site:
            for _ in range(5 * MOST_CONNECTIONS):
                _, client = await asyncio.open_connection("127.0.0.1", site.port)
                client.close()
                await client.wait_closed()
            assert (await site.ask("/health"))[0] == 200
            gc.collect()
            left = [each for each in gc.get_objects() if isinstance(each, IOStream | asyncio.TimerHandle)]
            # a timer for each of them held its connection
            assert len(left) < 20, left

    run_held(asking())


def test_while_runs_wait_the_page_says_how_far_they_are(deployment: Deployment) -> None:
    batch = Batch(12, 1, Counter({"plain": 50, HOSTILE: 3}), 2)

    async def asking() -> None:
        async with served(deployment, batch=batch) as site:
            status, body = await site.ask("/")
            assert (status, "12 of 66 runs done" in body) == (200, True), body

    asyncio.run(asking())


def test_what_is_not_there_starts_no_process(deployment: Deployment) -> None:
    async def asking() -> None:
        async with served(deployment) as site:
            for path in (
                *("/why?workflow=no-such&date=2016-01-01", "/why?trigger=99&date=2016-01-01", "/why?trigger=-1"),
                *("/why", "/why?workflow=plain", "/why?workflow=plain&date=2016-02-30", "/why?workflow=plain&date=x"),
                *("/runs/1000", "/runs/999999999999999", "/runs/", "/runs/x", "/runs/1%00"),
                *("/view/no-such.ipynb", "/view/..%2Finputs%2Fglues.ipynb", "/view/%00.ipynb", "/view/"),
                *("/reports/none.pdf", "/notebooks/none.ipynb", "/favicon.ico", "/robots.txt", "/%F0%28"),
                *(f"/{'x' * 2000}", f"/view/{'x' * 2000}.ipynb", "/status", "/index.html"),
            ):
                status, _ = await site.ask(path)
                assert (path, status in (400, 404)) == (path, True)
            assert site.jobs == []
            # the count is one that counts
            assert (await site.ask("/why?workflow=plain&date=2016-01-01"))[0] == 200
            assert site.jobs == ["page"]

    asyncio.run(asking())


def test_mutated_notebooks_are_answered_for_over_http_too(deployment: Deployment) -> None:
    texts = list(mutated())[::30]

    async def asking() -> None:
        async with served(deployment) as site:
            told = 0
            for number, text in enumerate(texts):
                (site.notebooks / f"mutated-{number}.ipynb").write_text(text)
                status, page = await site.ask(f"/view/mutated-{number}.ipynb")
                assert status == 200, text
                told += "It cannot be shown: " in page
            assert 0 < told < len(texts)

    asyncio.run(asking())


def test_connections_that_ask_nothing_shut_nobody_out(site: Site) -> None:
    clients = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(3 * MOST_CONNECTIONS)]
    slow = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(100)]
    for client in slow:
        client.sendall(b"GET / HTTP/1.1\r\nHost: loc")
    assert site.answers()
    # it was no time-out that made room
    assert is_connected(slow[-1])
    for client in (*clients, *slow):
        client.close()


NOTEBOOK = {
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}},
    "cells": [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# text", "attachments": {}},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"tags": ["x"]},
            "source": "1",
            "execution_count": 1,
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "said"},
                {"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": {"text/plain": "1"}},
                {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["t"]},
            ],
        },
    ],
}


def mutated() -> Iterator[str]:
    """Put something odd into each place of a notebook in turn."""

    def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
        yield path
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for key, item in entries:
            yield from places(item, (*path, key))

    for path in list(places(NOTEBOOK))[1:]:
        for odd in (None, 7, "\ud800", [], {}, [None], {"a": [None]}):
            changed = json.loads(json.dumps(NOTEBOOK))
            here = changed
            for part in path[:-1]:
                here = here[part]
            here[path[-1]] = odd
            yield json.dumps(changed)


def test_a_mutated_notebook_is_shown_or_said_to_be_one(tmp_path: Path) -> None:
    path = tmp_path / "mutated.ipynb"
    told = 0
    # what libraries say of half a surrogate pair is more than pytest's own processes can tell each other
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        logging.disable()
        for text in mutated():
            path.write_text(text)
            page, _ = notebook_page(path, path.name)
            told += "It cannot be shown: " in page
        logging.disable(logging.NOTSET)
    assert told > 50


def test_parts_of_files_and_files_that_have_not_changed(site: Site) -> None:
    path = site.deployment.outputs / "reports" / "parts.pdf"
    path.write_bytes(b"%PDF-1.7 and more")
    part = site.ask("/reports/parts.pdf", headers={"Range": "bytes=5-7"})
    assert (part.status, part.body, part.headers["content-range"]) == (206, "1.7", "bytes 5-7/17")
    assert site.ask("/reports/parts.pdf", headers={"Range": "bytes=99-"}).status == 416
    since = {"If-Modified-Since": part.headers["last-modified"]}
    assert (site.ask("/reports/parts.pdf", headers=since).status, part.headers["content-type"]) == (
        304,
        "application/pdf",
    )


def test_more_pages_than_are_made_at_a_time_are_refused_at_once_and_the_loop_goes_on(site: Site) -> None:
    paths = [f"/why?workflow=plain&date=2020-01-{day:02}" for day in range(1, 25)]
    with ThreadPoolExecutor(len(paths)) as pool:
        asked = [pool.submit(site.ask, path) for path in paths]
        assert site.ask("/health").status == 200
        assert not all(each.done() for each in asked)
        answers = [each.result() for each in asked]
    assert {answer.status for answer in answers} == {200, 503}
    assert all("retry-after" in answer.headers for answer in answers if answer.status == 503)


def test_the_index_beside_the_reports_leads_to_all_of_them_and_only_to_files_that_are_there(site: Site) -> None:
    index = site.deployment.outputs / "reports" / "index.html"
    seen, left = set[Path](), [index]
    while left:
        path = left.pop()
        assert path.is_file(), path
        if path not in seen and (path == index or path.parent.name == "months"):
            links = [link for link in links_in(path.read_text()) if not link.startswith("data:")]
            assert links
            left += [(path.parent / unquote(link)).resolve() for link in links]
        seen.add(path)
    reports = {path for path in index.parent.glob("*__*") if path.suffix in (".pdf", ".html")}
    assert reports
    assert reports <= seen


def test_a_page_is_read_again_by_itself_unless_somebody_reads_it(site: Site) -> None:
    assert int(site.ask("/").headers["refresh"]) > 0
    still = site.ask("/?still")
    assert (still.status, "refresh" in still.headers) == (200, False)
    assert "refresh" not in site.ask("/runs").headers


def test_the_history_of_runs_is_found_by_workflow_state_and_date(site: Site) -> None:
    assert site.ask("/runs").body.count('<tr><td><a href="./runs/') == 4
    failed = site.ask("/runs?workflow=plain&state=succeeded&first=2016-01-02&last=2016-01-02").body
    assert failed.count('<tr><td><a href="./runs/') == 1
    assert "There are no such runs" in site.ask("/runs?before=1").body


def test_a_workflow_has_a_page_with_its_graph_its_durations_and_its_reports(site: Site) -> None:
    body = site.ask("/workflow?name=plain").body
    for words in ("How long runs took", "<svg", "Reports by date", "Newest runs", "2016-01-02"):
        assert words in body


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
def test_in_a_browser_pages_are_quiet_and_fit_on_a_phone(site: Site) -> None:
    async def look() -> None:
        root = f"http://127.0.0.1:{site.port}"
        index = (site.deployment.outputs / "reports" / "index.html").as_uri()
        async with browser() as tab:
            for width in (360, 1280):
                for url in (*(f"{root}/{path}" for path in PATHS), index):
                    page = await tab.load(url, width)
                    asked = [request for request in page.requests if not request.startswith("data:")]
                    assert page.complaints == []
                    assert len(asked) == 1, asked
                    assert page.width <= width
                    assert "alert" not in page.text or "<" in page.text

    asyncio.run(look())


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")
def test_in_a_browser_scripts_of_notebooks_and_reports_do_not_run(site: Site) -> None:
    script = "<script>document.title = 'ran'</script><img src='/health' onerror=\"document.title = 'ran'\">"
    script += "<meta http-equiv='refresh' content='0;url=/health'>"
    (site.deployment.outputs / "reports" / "script.html").write_text(f"<!DOCTYPE html><title>as it was</title>{script}")
    notebook = json.loads((NOTEBOOKS / "glues.ipynb").read_text())
    output = {"output_type": "display_data", "data": {"text/html": script}, "metadata": {}}
    notebook["cells"][-1]["outputs"] = [output]
    (site.deployment.outputs / "notebooks" / "script.ipynb").write_text(json.dumps(notebook))

    async def look() -> None:
        async with browser() as tab:
            for path, title in (("/reports/script.html", "as it was"), ("/view/script.ipynb", "script.ipynb")):
                page = await tab.load(f"http://127.0.0.1:{site.port}{path}")
                await asyncio.sleep(0.5)
                assert await tab.evaluate("document.title") == title
                assert all("violates" in complaint or "sandbox" in complaint for complaint in page.complaints)

    asyncio.run(look())


@pytest.mark.usefixtures("forked_warm_parents")
def test_what_goes_on_is_shown_by_notebook_and_cell(deployment: Deployment, typed: Typed) -> None:
    port = free_port()
    deployment.write_simple("sleeps")
    process = deployment.start("--now", AUTOFLOW_HTTP=str(port), AUTOFLOW_GRACE="1s")
    site = Site(deployment, port, process, "")
    try:
        until_answers(site)
        body = site.until("/", "cell 3/3").body
        assert '<h2 id="running">Running</h2>' in body
        assert "cell 3/3" in site.until("/runs/1", "cell 3/3").body
        how = json.loads(site.ask("/health").body)
        assert [1, "sleeps", "cell 3/3"] in how["tasks"]
        # a machine that has no more to give lets the other run wait
        assert re.search(r"; (2 runs in progress|1 run in progress, 1 waiting)$", how["doing"])
        assert "notebook sleeps: cell 3/3" in typed("why", "w", "2016-01-01").answer
    finally:
        process.terminate()
        log, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, log
    # the page says last that nothing goes on any more
    assert "<p>No runs are in progress.</p>" in (deployment.outputs / "reports" / "index.html").read_text()


def test_a_daemon_that_can_not_tick_is_not_healthy(
    tmp_path: Path, flowapi: FlowapiStandin, warm_parents: WarmParents
) -> None:
    flowapi.fault = "500"
    site = started(tmp_path, flowapi, warm_parents, "--now")
    try:
        answer = site.until("/health", "returned no available dates")
        assert answer.status == 503
        assert json.loads(answer.body)["healthy"] is False
        # who asks over the socket hears the same
        asked = site.deployment.run("--health")
        assert (asked.code, "returned no available dates" in asked.log) == (1, True)
        assert site.deployment.run("--alive").code == 0
        (site.deployment.inputs / "workflows.yml").write_text("workflows: 1\n")
        site.process.send_signal(signal.SIGHUP)
        assert "workflows.yml" in site.until("/health", "the definitions read before stay in use").body
        assert site.ask("/").status == 200
    finally:
        site.process.terminate()
        site.process.communicate(timeout=PATIENCE)
    assert site.process.returncode == 0


@pytest.mark.parametrize("address", ["nonsense", "1.2.3:80", "127.0.0.1", "127.0.0.1:0", "example.org:80", "::1:80"])
def test_an_address_that_is_none_is_a_mistake_of_the_settings(
    deployment: Deployment, typed: Typed, address: str
) -> None:
    deployment.write_simple("glues")
    outcome = typed(AUTOFLOW_HTTP=address)
    assert outcome.code == 2
    assert "AUTOFLOW_HTTP: found" in outcome.log
    assert "Traceback" not in outcome.log


def test_an_address_that_others_reach_is_warned_about(tmp_path: Path, flowapi: FlowapiStandin) -> None:
    deployment, port = make_deployment(tmp_path, flowapi), free_port()
    deployment.write_simple("glues")
    process = deployment.start(AUTOFLOW_HTTP=f"0.0.0.0:{port}")
    site = Site(deployment, port, process, "")
    try:
        until_answers(site)
        assert site.ask("/health", host="autoflow.example.org").status == 200
        # somebody who is slow does not hold up the end
        clients = [socket.create_connection(("127.0.0.1", port))]
        assert site.ask("/", host="autoflow.example.org").status == 200
        # nor does a page that is just being made
        for day in range(1, 4):
            asking = socket.create_connection(("127.0.0.1", port))
            asking.sendall(f"GET /why?workflow=w&date=2016-01-0{day} HTTP/1.0\r\n\r\n".encode())
            clients.append(asking)
        until(lambda: deployment.made(".autoflow/*/job-*/request.json") != [])
    finally:
        process.terminate()
        log, _ = process.communicate(timeout=PATIENCE)
    for client in clients:
        client.close()
    assert "Traceback" not in log
    assert "ERROR" not in log
    assert log.count("there is no password") == 1


def test_a_port_that_is_taken_is_said_to_be(deployment: Deployment) -> None:
    deployment.write_simple("glues")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        outcome = deployment.run(AUTOFLOW_HTTP=str(taken.getsockname()[1]))
    assert outcome.code == 75
    assert "AUTOFLOW_HTTP" in outcome.log
    assert "is in use by another program" in outcome.log
    assert "Traceback" not in outcome.log


def test_an_address_of_another_machine_is_said_to_be(deployment: Deployment) -> None:
    deployment.write_simple("glues")
    outcome = deployment.run(AUTOFLOW_HTTP="192.0.2.1:8080")
    # it may become one, as at the machine's own start
    assert (outcome.code, "is not an address of this machine" in outcome.log) == (75, True), outcome.log


def test_a_run_once_writes_the_page_beside_the_reports(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("raises")
    assert typed("--run-once").code == 1
    page = (deployment.outputs / "reports" / "index.html").read_text()
    assert "Unresolved failures" in page
    assert deployment.environment["FLOWAPI_TOKEN"] not in page


def test_a_page_that_can_not_be_written_fails_nothing(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("glues")
    (deployment.outputs / "reports" / "index.html").mkdir(parents=True)
    outcome = typed("--run-once")
    assert outcome.code == 0
    assert outcome.log.count("index.html cannot be written") == 1
