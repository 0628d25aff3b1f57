# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Chromium without a window, to load pages as people do: ``python -m tests.browser URL FILE.png [WIDTH] [dark]``."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection, websocket_connect

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

    async def screenshot(self, path: Path, whole: bool = False) -> None:
        """Take a picture."""
        taken = await self.send("Page.captureScreenshot", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(taken["data"]))

    async def pdf(self, path: Path) -> None:
        """Print."""
        printed = await self.send("Page.printToPDF", preferCSSPageSize=True, printBackground=False)
        path.write_bytes(base64.b64decode(printed["data"]))

    async def _hear(self) -> dict[str, Any]:
        text = await asyncio.wait_for(self._socket.read_message(), 30)
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
    """Start Chromium with a profile of its own, and end it."""
    assert CHROMIUM is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            described = Path(profile) / "DevToolsActivePort"
            end = asyncio.get_running_loop().time() + 30
            while not described.exists() or "\n" not in described.read_text():
                assert asyncio.get_running_loop().time() < end, "Chromium does not start"
                await asyncio.sleep(0.05)
            port, path = described.read_text().split("\n")
            socket = await websocket_connect(f"ws://127.0.0.1:{port}{path}", max_message_size=100_000_000)
            tab = Browser(socket)
            await tab.open()
            yield tab
            socket.close()
        finally:
            process.terminate()
            process.wait()


async def _main(url: str, file: str, width: str = "1280", *how: str) -> None:
    async with browser() as tab:
        page = await tab.load(url, int(width), int(next((word for word in how if word.isdigit()), 1000)), "dark" in how)
        print(page.width, page.requests, page.complaints)  # noqa: T201
        if file.endswith(".pdf"):
            await tab.pdf(Path(file))
        else:
            await tab.screenshot(Path(file))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
