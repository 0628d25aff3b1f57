# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Chromium without a window, to load pages as people do; ``python -m tests.browser URL FILE.png`` takes a picture."""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

from tests.clock import PATIENCE, until

CHROMIUM = shutil.which("chromium")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
)


@dataclass
class Loaded:
    """A page, and what happened while it was loaded."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """What is in the console, and exceptions."""
    width: int = 0
    """Of all there is, be it more than the window has."""
    text: str = ""


class Browser:
    """A tab of a running Chromium."""

    def __init__(self, socket: WebSocketClientConnection) -> None:
        self._socket = socket
        self._session: dict[str, str] = {}
        self._count = 0
        self.page = Loaded()

    async def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Give a command, and its result."""
        self._count += 1
        await self._socket.write_message(
            json.dumps({"id": self._count, "method": method, "params": parameters, **self._session})
        )
        while True:
            message = await self._hear()
            if message.get("id") == self._count:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result

    async def open(self) -> None:
        """Open the tab."""
        target = (await self.send("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Network", "Log", "Runtime"):
            await self.send(f"{domain}.enable")

    async def load(self, url: str, width: int = 1280, height: int = 900, dark: bool = False) -> Loaded:
        """Load a page in a window of this size."""
        await self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.page = Loaded()
        loaded = asyncio.get_running_loop().time() + 30
        await self.send("Page.navigate", url=url)
        while await self.evaluate("document.readyState") != "complete":
            assert asyncio.get_running_loop().time() < loaded, "the page is not loaded"
            await asyncio.sleep(0.05)
        self.page.width = await self.evaluate("document.documentElement.scrollWidth")
        self.page.text = await self.evaluate("document.body.innerText")
        return self.page

    async def evaluate(self, expression: str) -> Any:
        """Compute something in the page."""
        answer = await self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        return answer["result"].get("value")

    async def picture(self, kind: str) -> bytes:
        """Take a picture (``png``), or print (``pdf``)."""
        if kind == "pdf":
            taken = await self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        else:
            taken = await self.send("Page.captureScreenshot")
        return base64.b64decode(taken["data"])

    async def _hear(self) -> dict[str, Any]:
        text = await asyncio.wait_for(self._socket.read_message(), PATIENCE)
        assert text is not None, "Chromium has gone"
        message: dict[str, Any] = json.loads(text)
        parameters = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.page.requests.append(parameters["request"]["url"])
            case "Log.entryAdded":
                self.page.complaints.append(parameters["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.page.complaints.append(json.dumps(parameters))
        return message


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Open a tab of a Chromium that lives as long as the context."""
    with chromium() as address:
        socket = await websocket_connect(address, max_message_size=100_000_000)
        tab = Browser(socket)
        await tab.open()
        yield tab
        socket.close()
        # its end is there when the other side has said so
        while await asyncio.wait_for(socket.read_message(), PATIENCE) is not None:
            pass
        await asyncio.sleep(0.1)


@contextmanager
def chromium() -> Iterator[str]:
    """Start Chromium with a profile of its own, and give its address."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            described = Path(profile) / "DevToolsActivePort"
            until(lambda: described.exists() and "\n" in described.read_text())
            port, path = described.read_text().split("\n")
            yield f"ws://127.0.0.1:{port}{path}"
        finally:
            process.terminate()
            process.wait()


async def take(url: str, kind: str, width: int, height: int, dark: bool) -> bytes:
    """Take a picture of a page."""
    async with browser() as tab:
        page = await tab.load(url, width, height, dark)
        for line in (f"{page.width} pixels wide", *page.requests, *page.complaints):
            print(line)  # noqa: T201
        return await tab.picture(kind)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("file", type=Path, help="a .png, or a .pdf")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=1000)
    parser.add_argument("--dark", action="store_true")
    options = parser.parse_args()
    kind = options.file.suffix.removeprefix(".")
    options.file.write_bytes(asyncio.run(take(options.url, kind, options.width, options.height, options.dark)))


if __name__ == "__main__":
    main()
