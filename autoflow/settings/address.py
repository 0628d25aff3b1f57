# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Addresses to listen on, as people write them: ``127.0.0.1:8080``, ``[::1]:8080``, or a port alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address

from autoflow.wording import shown

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """An address of this machine, and a port."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return ip_address(self.host).is_loopback

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read an address; a port alone is one of the loopback address.

    Raises
    ------
    ValueError
        Saying what was found and what was expected.
    """
    parts = re.fullmatch(r"(?:(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^\[\]:]*)):)?(?P<port>\d{1,5})", text.strip(), re.ASCII)
    host = (parts["v6"] or parts["host"] or LOOPBACK) if parts else ""
    host = LOOPBACK if host == "localhost" else host
    try:
        version = ip_address(host).version
        usable = parts is not None and 0 < int(parts["port"]) < 65536 and (version == 6) == bool(parts["v6"])
    except ValueError:
        usable = False
    if parts is None or not usable:
        raise ValueError(
            f"found {shown(text)}, expected an IP address and a port such as 127.0.0.1:8080 or [::1]:8080,"
            " or a port alone"
        )
    return Address(host, int(parts["port"]))
