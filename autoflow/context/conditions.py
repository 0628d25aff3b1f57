# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Conditions that last: said once when they begin, and once when they are over."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from types import MappingProxyType

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Condition:
    """Something that is wrong at present."""

    name: str
    """What kind it is; the words may change while it lasts."""
    text: str
    since: dt.datetime


class Conditions:
    """What is wrong at present, so that a month of it fills no log."""

    def __init__(self, now: Callable[[], dt.datetime]) -> None:
        self.now = now
        self._present: dict[str, Condition] = {}
        self._over: set[str] = set()
        self._tell: Callable[[], None] = lambda: None

    def follow(self, tell: Callable[[], None]) -> None:
        """Call a function whenever a condition begins or ends."""
        self._tell = tell

    def begin(self, name: str, message: str, level: int = logging.ERROR) -> None:
        """Log a condition, unless it was logged with the same words and has not ended since."""
        self._over.discard(name)
        old = self._present.get(name)
        if old is None or old.text != message:
            self._present[name] = Condition(name, message, old.since if old else self.now())
            logger.log(level, "%s", message)
            self._tell()

    def present(self) -> list[str]:
        """List what is wrong now."""
        return [condition.text for condition in self._present.values()]

    def lasting(self) -> list[Condition]:
        """List what is wrong now, each with its name and since when."""
        return list(self._present.values())

    @property
    def by_name(self) -> Mapping[str, str]:
        """What is wrong now, in words, by the names of the conditions."""
        return MappingProxyType({name: condition.text for name, condition in self._present.items()})

    @property
    def over(self) -> Set[str]:
        """The names of conditions that are known to be over, also where they began before a restart."""
        return self._over

    def end(self, name: str, message: str) -> None:
        """Log that a condition is over, if it was there."""
        self._over.add(name)
        if self._present.pop(name, None) is not None:
            logger.info("%s", message)
            self._tell()
