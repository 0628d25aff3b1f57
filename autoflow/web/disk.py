# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How much room there is where outputs and the record are, out of the loop's way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autoflow.threads import Probe

FRESH = 10.0
"""Seconds for which what was found is good."""

PATIENCE = 2.0
"""Seconds that a file system may take to answer; without an answer there are no figures."""


@dataclass(frozen=True)
class Room:
    """What a file system has, in bytes."""

    size: int
    used: int
    free: int


class DiskProbe:
    """Asks file systems for their room, one question at a time."""

    def __init__(self, places: Mapping[str, Path], record: Path) -> None:
        self._probe = Probe(lambda: _look(places, record))

    async def look(self) -> tuple[dict[str, Room], int | None]:
        """Return the room of each place, by its name, and the bytes of the record; less where there is no answer."""
        return await self._probe.found(fresh=FRESH, patience=PATIENCE) or ({}, None)


def _look(places: Mapping[str, Path], record: Path) -> tuple[dict[str, Room], int | None]:
    rooms = {}
    for name, place in places.items():
        try:
            rooms[name] = Room(*shutil.disk_usage(place))
        except OSError:
            # what is wrong with it is for /health to say
            continue
    beside = (record, record.with_name(f"{record.name}-wal"))
    try:
        return rooms, sum(path.stat().st_size for path in beside if path.exists())
    except OSError:
        return rooms, None
