# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Messages to people, and the queue in which they wait."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Message:
    """One message; plain text, without any secret."""

    event: str
    subject: str
    lines: tuple[str, ...] = ()
    workflow: str | None = None
    dates: tuple[str, ...] = ()
    """Reference dates, in ISO format."""

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> Self:
        """Make one of what `dataclasses.asdict` made of one, also after it was JSON."""
        return cls(**{**content, "lines": tuple(content["lines"]), "dates": tuple(content["dates"])})


@dataclass(frozen=True)
class Queued:
    """A message that waits until a channel takes it."""

    id: int
    channel: str
    made: dt.datetime
    message: Message
