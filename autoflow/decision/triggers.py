# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which triggers a recorded run is of, now that workflows.yml may have changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

from autoflow.dates import EmptyIntervalError
from autoflow.definitions import Definitions, Trigger
from autoflow.runs import RunKey, key_maker


def triggers_by_run(definitions: Definitions) -> Callable[[RunKey, dt.date], Iterator[Trigger]]:
    """Make the function that gives the triggers of a run; with another stencil or parameters it is another run."""
    makers: dict[str, list[tuple[Trigger, Callable[[dt.date], RunKey]]]] = {}
    for trigger in definitions.triggers:
        makers.setdefault(trigger.workflow_name, []).append((trigger, key_maker(trigger)))

    def triggers_of(key: RunKey, date: dt.date) -> Iterator[Trigger]:
        for trigger, key_of in makers.get(key[0], ()):
            if _key(key_of, date) == key:
                yield trigger

    return triggers_of


def _key(key_of: Callable[[dt.date], RunKey], date: dt.date) -> RunKey | None:
    try:
        return key_of(date)
    except EmptyIntervalError:
        # its stencil holds no day for this date
        return None
