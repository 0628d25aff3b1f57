# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A small HTTP server that indicators are published to: one secret opens releases, another fills them."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType


@dataclass
class Receiver:
    """Listens on 127.0.0.1 while the context lasts."""

    admin_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    updater_secret: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    releases: dict[str, str] = field(default_factory=dict)
    """Months, by the ids of their releases."""
    files: dict[str, bytes] = field(default_factory=dict)
    """What each month's newest release holds."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Receiver:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self._body()
            if self._allowed(receiver.admin_secret):
                release = f"{len(receiver.releases) + 1}"
                receiver.releases[release] = json.loads(body)["month"]
                self._answer(201, {"id": release})

        def do_PUT(self) -> None:
            body, release = self._body(), self.path.rpartition("/")[2]
            if self._allowed(receiver.updater_secret):
                receiver.files[receiver.releases[release]] = body
                self._answer(200, {"bytes": len(body)})

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"]))

        def _allowed(self, secret: str) -> bool:
            if secrets.compare_digest(self.headers.get("Authorization", ""), f"Bearer {secret}"):
                return True
            self._answer(403, {"error": "not allowed"})
            return False

        def _answer(self, status: int, content: object) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return Handler
