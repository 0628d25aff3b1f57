# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The workers that notebooks may run on: where they are, and how they are reached."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from autoflow.wording import shown

LEASE = 60.0
"""Seconds that a worker goes on with a notebook without hearing from AutoFlow: three times the longest break in the
network that is to be survived."""

SHORTEST_LEASE, LONGEST_LEASE = 5.0, 3600.0

FALLBACK = "here"


@dataclass(frozen=True)
class Workers:
    """A cluster of workers."""

    address: str
    """Where dask's scheduler is: ``tls://host:port``."""
    certificates: Path
    """The directory of ``ca.pem``, ``daemon.pem`` and ``daemon-key.pem``."""
    falls_back: bool = False
    """Whether notebooks run on this machine while no worker can be had."""
    lease: float = LEASE


def parse_workers_address(text: str) -> str:
    """Read where the scheduler is.

    Raises
    ------
    ValueError
        When it is no such address, or one without encryption.
    """
    if text.startswith("tcp://"):
        raise ValueError(f"found {shown(text)}, which is not encrypted; expected one such as tls://host:8786")
    found = re.fullmatch(r"tls://(\[[0-9A-Fa-f:]+\]|[\w.-]+):(\d{1,5})", text)
    if not found or not 0 < int(found[2]) < 65536:
        raise ValueError(f"found {shown(text)}, expected the address of a scheduler, such as tls://host:8786")
    return text


def parse_fallback(text: str) -> bool:
    """Read whether notebooks run here while there are no workers."""
    if text != FALLBACK:
        raise ValueError(f"found {shown(text)}, expected {FALLBACK}, or nothing to let notebooks wait")
    return True


def parse_certificates(text: str) -> Path:
    """Read where the certificates are.

    Raises
    ------
    ValueError
        When one of them is missing.
    """
    directory = Path(text).absolute()
    for name in ("ca.pem", "daemon.pem", "daemon-key.pem"):
        if not (directory / name).is_file():
            raise ValueError(
                f"{directory / name} is not there; `autoflow cluster certificates {directory}` makes certificates"
            )
    return directory
