# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The page on the network: read-only, from AutoFlow's own loop, and never in its way."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from http.client import responses
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar
from urllib.parse import urlsplit
from weakref import WeakSet

from tornado.http1connection import HTTP1Connection, HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.iostream import IOStream, StreamClosedError
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler, StaticFileHandler

from autoflow.context import Context
from autoflow.dates import as_date
from autoflow.errors import SettingsError, may_pass
from autoflow.web.metrics import CONTENT_TYPE, Metrics
from autoflow.web.not_found import NOT_FOUND_POLICY, not_found
from autoflow.web.page_cache import BusyError, PageCache, PageError

SILENCE, LONGEST_CONNECTION = 15.0, 600.0
"""Seconds that a client may be silent, and that it may be connected in all."""

SLOWEST = 20.0
"""Seconds in which a client has to take a page, or the next part of a file; those who do not keep others out."""

MOST_CONNECTIONS = 64
LARGEST_HEAD, LARGEST_BODY = 16_384, 4_096

NOTHING = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
STATIC = {
    # what notebooks have made may look as it likes, but runs nothing and loads nothing
    ".html": (
        "text/html; charset=utf-8",
        f"{NOTHING}; sandbox; img-src data:; font-src data:; style-src 'unsafe-inline'",
    ),
    # browsers show a PDF in a page of their own
    ".pdf": ("application/pdf", f"{NOTHING}; object-src 'self'; style-src 'unsafe-inline'"),
    ".ipynb": ("application/x-ipynb+json", f"{NOTHING}; sandbox"),
    ".json": ("application/json", f"{NOTHING}; sandbox"),
}
"""Files of the outputs directories that are served, by their suffix: their type and Content-Security-Policy."""

logger = logging.getLogger(__name__)


class Web:
    """Serves the page for as long as the context lasts.

    Parameters
    ----------
    health
        Says how the daemon is: ``healthy``, and what else there is to know.

    Raises
    ------
    SettingsError
        When the address cannot be had.
    """

    def __init__(self, context: Context, pages: PageCache, health: Callable[[], Awaitable[Mapping[str, Any]]]) -> None:
        if context.settings.http is None:
            raise ValueError("no address to serve the page on")
        self._address = address = context.settings.http
        self._pages = pages
        answering: WeakSet[IOStream] = WeakSet()
        shared = {"context": context, "pages": pages, "guarded": address.is_loopback, "answering": answering}
        notebooks, reports = context.settings.notebooks_dir, context.settings.reports_dir
        application = Application(
            [
                (r"/", _Status, shared),
                (r"/runs/(?P<run>\d{1,15})(?:\.(?P<attempt>\d{1,9}))?", _Run, shared),
                (r"/runs", _Runs, shared),
                (r"/months/(?P<month>\d{4}-(?:0[1-9]|1[0-2]))", _Month, shared),
                (r"/workflow", _Workflow, shared),
                (r"/why", _Why, shared),
                (r"/view/(?P<name>.+)", _View, shared),
                (r"/notebooks/(.+)", _File, {**shared, "path": str(notebooks)}),
                (r"/reports/(.+)", _File, {**shared, "path": str(reports)}),
                (r"/health", _Health, {**shared, "health": health}),
                (r"/metrics", _Metrics, {**shared, "health": health, "metrics": Metrics(context, pages)}),
            ],
            default_handler_class=_Nothing,
            default_handler_args=shared,
            # a line in the log for each request would be all that there is in it
            log_function=lambda _: None,
        )
        self._server = _Server(
            application,
            answering=answering,
            idle_connection_timeout=SILENCE,
            body_timeout=SILENCE,
            max_header_size=LARGEST_HEAD,
            max_body_size=LARGEST_BODY,
        )

    async def __aenter__(self) -> None:
        host, port = self._address.host, self._address.port
        try:
            self._server.add_sockets(bind_sockets(port, host))
        except OSError as error:
            why = {
                errno.EADDRINUSE: "is in use by another program; stop that one, or choose another port",
                errno.EADDRNOTAVAIL: "is not an address of this machine; 127.0.0.1 always is",
                errno.EACCES: "is not allowed for this user; use port 1024 or higher",
            }.get(error.errno or 0, f"cannot be listened on ({error.strerror})")
            raise SettingsError(f"AUTOFLOW_HTTP: {self._address} {why}", passing=may_pass(error)) from error
        logger.info("the page is at http://%s/", self._address)
        if not self._address.is_loopback:
            logger.warning(
                "AUTOFLOW_HTTP: anyone who can reach %s can read all reports; there is no password",
                self._address,
            )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.stop()
        try:
            async with asyncio.timeout(1.0):
                await self._server.close_all_connections()
        except TimeoutError:
            # they end with the process
            pass
        await self._pages.close()


class _Server(HTTPServer):
    """Has so many connections and no more, none of them for ever; who has not asked yet makes room for who comes."""

    answering: WeakSet[IOStream]
    """Those whose question is there, and whose answer is in progress."""

    def initialize(self, *arguments: Any, answering: WeakSet[IOStream], **named: Any) -> None:  # type: ignore[override]
        super().initialize(*arguments, **named)
        self.answering = answering
        self._ends: dict[IOStream, asyncio.TimerHandle] = {}

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        if len(self._ends) >= MOST_CONNECTIONS:
            silent = next((each for each in self._ends if each not in self.answering), None)
            if silent is None:
                stream.close()
                return
            self._forget(silent)
            silent.close()
        self._ends[stream] = asyncio.get_running_loop().call_later(LONGEST_CONNECTION, stream.close)
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)
        if isinstance(server_conn, HTTP1ServerConnection):
            self._forget(server_conn.stream)

    def _forget(self, stream: IOStream) -> None:
        """Let its timer go, which would hold it for minutes."""
        if (end := self._ends.pop(stream, None)) is not None:
            end.cancel()


class _Handler(RequestHandler):
    """What all answers have in common."""

    SUPPORTED_METHODS: ClassVar[tuple[str, ...]] = ("GET", "HEAD")  # type: ignore[misc]

    def initialize(
        self, context: Context, pages: PageCache, guarded: bool, answering: WeakSet[IOStream], **_: Any
    ) -> None:
        self.context = context
        self.pages = pages
        self.guarded = guarded
        self.answering = answering

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        self.set_header("Content-Security-Policy", NOTHING)
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("X-Frame-Options", "DENY")
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cross-Origin-Resource-Policy", "same-origin")
        self.set_header("Cache-Control", "no-cache")

    def prepare(self) -> Awaitable[None] | None:
        if isinstance(self.request.connection, HTTP1Connection):
            self.answering.add(self.request.connection.stream)
        # a foreign name that points at 127.0.0.1 must not make a browser ask here
        if self.guarded and not _is_loopback(self.request.host):
            raise HTTPError(421, reason="Misdirected Request")
        return None

    def head(self, *path: str, **named: str) -> Awaitable[None] | None:
        # the answer to GET, without its body, which tornado leaves out
        return self.get(*path, **named)

    def on_finish(self) -> None:
        if isinstance(self.request.connection, HTTP1Connection):
            self.answering.discard(self.request.connection.stream)

    def flush(self, include_footers: bool = False) -> asyncio.Future[None]:
        sent = super().flush(include_footers)
        connection = self.request.connection
        if isinstance(connection, HTTP1Connection):
            letting_go = asyncio.get_running_loop().call_later(SLOWEST, connection.stream.close)
            sent.add_done_callback(lambda _: letting_go.cancel())
        return sent

    def write_error(self, status_code: int, **_: Any) -> None:
        if status_code == 405:
            self.set_header("Allow", "GET, HEAD")
        if status_code == 503:
            self.set_header("Retry-After", "5")
        if status_code == 404:
            self.set_header("Content-Type", "text/html; charset=utf-8")
            self.set_header("Content-Security-Policy", NOT_FOUND_POLICY)
            self.finish(not_found(self.request.path, self._reason))
            return
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish(f"{status_code} {responses.get(status_code, '')}\n")

    async def _show(self, **request: Any) -> None:
        try:
            page = await self.pages.get(**request)
        except BusyError:
            raise HTTPError(503, reason="Too many pages are being rendered; try again") from None
        except asyncio.CancelledError:
            raise HTTPError(503, reason="AutoFlow is stopping") from None
        except (PageError, OSError) as error:
            logger.warning("the page %s could not be rendered: %s", self.request.path[:200], error)
            raise HTTPError(503, reason="The page could not be rendered; see the log") from None
        self.set_status(page.status)
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", page.policy)
        if page.refresh:
            self.set_header("Refresh", str(page.refresh))
        self.write(page.body)


class _Nothing(_Handler):
    def get(self) -> None:
        raise HTTPError(404)


class _Status(_Handler):
    async def get(self) -> None:
        still = {"still": True} if self.get_query_arguments("still") else {}
        await self._show(page="status", **still)


class _Month(_Handler):
    async def get(self, month: str) -> None:
        await self._show(page="month", month=month)


class _Runs(_Handler):
    async def get(self) -> None:
        """Show the history of runs, as far as it is asked for."""
        names = ("workflow", "state", "first", "last", "before")
        asked = {name: self.get_query_argument(name, "")[:500] for name in names}
        await self._show(page="runs", **asked)


class _Workflow(_Handler):
    async def get(self) -> None:
        name = self.get_query_argument("name", "")[:500]
        # no process is started for what is not there
        if name not in self.pages.daemon_state.definitions.workflows:
            raise HTTPError(404, reason="Workflow not found")
        await self._show(page="workflow", workflow=name)


class _Run(_Handler):
    async def get(self, run: str, attempt: str | None = None) -> None:
        """Show a run, with its newest attempt or the one that is named."""
        read = self.context.store.read
        number = None if attempt is None else int(attempt)
        # no process is started for what is not there
        if read.attempt(int(run), number) is not None:
            await self._show(page="run", run=run if number is None else f"{int(run)}.{number}")
        elif number is None and (renumbered := read.renumbered(int(run))) is not None:
            self.redirect(renumbered.name, permanent=True)
        else:
            raise HTTPError(404, reason="Run not found")


class _Why(_Handler):
    async def get(self) -> None:
        """Answer for a workflow, or for the trigger of a number, and a date."""
        asked = {name: self.get_query_argument(name, "")[:500] for name in ("workflow", "trigger", "date")}
        triggers = self.pages.daemon_state.definitions.triggers
        names = {trigger.workflow_name for trigger in triggers}
        number = asked["trigger"]
        known = int(number) < len(triggers) if re.fullmatch(r"[0-9]{1,9}", number) else asked["workflow"] in names
        # no process is started for what is not there
        if not known or as_date(asked["date"]) is None:
            raise HTTPError(404, reason="Workflow or date not found")
        await self._show(page="why", **asked)


class _View(_Handler):
    async def get(self, name: str) -> None:
        """Show an executed notebook."""
        directory = self.context.settings.notebooks_dir
        if allowed(directory, directory / name, (".ipynb",)) is None:
            raise HTTPError(404)
        await self._show(page="notebook", notebook=name)


class _Health(_Handler):
    def initialize(self, health: Callable[[], Awaitable[Mapping[str, Any]]], **shared: Any) -> None:  # type: ignore[override]
        super().initialize(**shared)
        self.health = health

    async def get(self) -> None:
        how = await self.health()
        self.set_status(200 if how["healthy"] else 503)
        self.set_header("Content-Type", "application/json")
        self.write(json.dumps(how, indent=2) + "\n")


class _Metrics(_Health):
    def initialize(self, metrics: Metrics, **shared: Any) -> None:  # type: ignore[override]
        super().initialize(**shared)
        self.metrics = metrics

    async def get(self) -> None:
        how = await self.health()
        await self.metrics.look()
        self.set_header("Content-Type", CONTENT_TYPE)
        self.write(self.metrics.text(healthy=how["healthy"]))


class _File(_Handler, StaticFileHandler):
    """A file of an outputs directory."""

    def initialize(self, path: str, **shared: Any) -> None:  # type: ignore[override]
        _Handler.initialize(self, **shared)
        StaticFileHandler.initialize(self, path)

    def head(self, path: str) -> Awaitable[None]:  # type: ignore[override]
        return StaticFileHandler.head(self, path)

    async def get(self, path: str, include_body: bool = True) -> None:
        try:
            await StaticFileHandler.get(self, path, include_body)
        except StreamClosedError:
            # who asked has gone
            return

    def validate_absolute_path(self, root: str, absolute_path: str) -> str:
        found = allowed(Path(root), Path(absolute_path), tuple(STATIC))
        if found is None:
            raise HTTPError(404)
        return str(found)

    def set_extra_headers(self, path: str) -> None:
        kind, policy = STATIC[Path(self.absolute_path or path).suffix]
        self.set_header("Content-Type", kind)
        self.set_header("Content-Security-Policy", policy)
        self.set_header("Cache-Control", "no-cache")
        if kind not in ("application/pdf", "text/html; charset=utf-8"):
            self.set_header("Content-Disposition", "attachment")

    def compute_etag(self) -> str | None:
        # it would be the hash of the whole file, made in the loop and kept for ever
        return None


def allowed(root: Path, path: Path, suffixes: tuple[str, ...]) -> Path | None:
    """Find the file that may be shown under a path; None when there is none.

    It is in the directory, also after all links are followed, and no part of its path below that is hidden.
    """
    try:
        directory, found = root.resolve(strict=True), path.resolve(strict=True)
        parts = (*path.relative_to(root).parts, *found.relative_to(directory).parts)
        hidden = any(part.startswith(".") for part in parts)
        return None if hidden or found.suffix not in suffixes or not found.is_file() else found
    except (OSError, ValueError, RuntimeError):
        return None


def _is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or ip_address(name).is_loopback
    except ValueError:
        return False
