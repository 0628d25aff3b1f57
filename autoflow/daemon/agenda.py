# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the daemon is at, and when it has to do something next."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from autoflow.daemon.definitions_file import DefinitionsFile
from autoflow.definitions import Definitions
from autoflow.errors import SettingsError
from autoflow.schedule import Schedule, next_tick

STARTING = "starting"


@dataclass
class Agenda:
    """What the daemon is at, and when it has to do something next."""

    last_tick: dt.datetime
    definitions: Definitions
    """Those that are used, whatever has become of workflows.yml."""
    retry_at: dt.datetime | None = None
    """When a tick that could not be made is tried again."""
    failed_ticks: int = 0
    doing: str = STARTING
    """In words, for people and service managers, without the runs in progress."""
    told: str = ""
    """What service managers were told last."""
    unsettled: bool = False
    """Whether there is something to clean up once no run is in progress."""
    seen: dt.datetime | None = None
    """What the clock showed when it was last looked at."""
    file: DefinitionsFile = field(default_factory=DefinitionsFile)

    def next(self, now: dt.datetime, retry_at: dt.datetime | None = None) -> dt.datetime:
        """Return the time of the next tick; one in the past was missed, and happens at once.

        A last tick in the future means that the clock was set back: the schedule goes on from now.

        Parameters
        ----------
        retry_at
            When a failed run can be tried again.
        """
        scheduled = next_tick(schedule_of(self.definitions), min(self.last_tick, now))
        return min(time for time in (scheduled, self.retry_at, retry_at) if time is not None)


def schedule_of(definitions: Definitions) -> Schedule:
    """Return the schedule of a daemon's definitions.

    Raises
    ------
    SettingsError
        For ``schedule: null``, which is for one tick and not for a daemon that goes on.
    """
    if definitions.schedule is None:
        raise SettingsError(
            "schedule: null asks for one tick, but this AutoFlow was started with a schedule; restart it"
        )
    return Schedule(definitions.schedule, definitions.timezone)
