# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Tells systemd how the daemon is: sd_notify(3), a datagram to the socket in $NOTIFY_SOCKET."""

from __future__ import annotations

import logging
import socket
from collections.abc import Mapping

logger = logging.getLogger(__name__)


class Notifier:
    """Speaks to the service manager; says nothing where there is none.

    Parameters
    ----------
    environment
        ``NOTIFY_SOCKET`` and ``WATCHDOG_USEC`` as systemd sets them.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        watchdog = environment.get("WATCHDOG_USEC", "")
        self.watchdog: float | None = int(watchdog) / 1e6 if watchdog.isdigit() and int(watchdog) else None
        """Seconds within which systemd wants to hear from the daemon; None when it does not watch."""

    def ready(self) -> None:
        """Say that the daemon is up, also after a reload."""
        self._send("READY=1")

    def reloading(self, now: float) -> None:
        """Say that workflows.yml is being read again; `ready` ends it.

        Parameters
        ----------
        now
            Time of the event loop, which is that of CLOCK_MONOTONIC.
        """
        self._send(f"RELOADING=1\nMONOTONIC_USEC={int(now * 1e6)}")

    def stopping(self) -> None:
        """Say that the daemon is on its way out."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the status line of ``systemctl status``."""
        self._send(f"STATUS={text.splitlines()[0]}")

    def alive(self) -> None:
        """Feed the watchdog."""
        if self.watchdog:
            self._send("WATCHDOG=1")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        # "@" stands for the abstract namespace
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
                connection.connect(address)
                connection.sendall(message.encode())
        except OSError as error:
            logger.warning("systemd could not be notified: %s", error)
