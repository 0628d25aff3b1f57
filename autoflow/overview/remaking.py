# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which runs are made again though nobody names them: a report that is there may be the better one."""

from __future__ import annotations

import datetime as dt
import shlex
from collections.abc import Mapping

from autoflow.decision import runs_with_data
from autoflow.definitions import Definitions
from autoflow.model import RunReader, StaleMark
from autoflow.runs import RunKey
from autoflow.wording import moment


def why_not_made_again(
    definitions: Definitions,
    reader: RunReader,
    runs: Mapping[RunKey, dt.date],
    now: dt.datetime,
    stale: Mapping[RunKey, StaleMark] | None = None,
) -> dict[RunKey, str]:
    """Say which of some runs stay as they are unless somebody names them, and why.

    That is what somebody skips, what used dates that FlowAPI lists no more, and what is stale and has data that do not
    count now. Of what is not stale, nobody would know later that it is to be made again: it is requested, and waits.

    Parameters
    ----------
    runs
        With their reference dates.
    stale
        Why those of them are stale that are; None: they are read, of which there may be very many.

    Returns
    -------
    dict
        The reasons, in words; of a run that may be made again, none.
    """
    if not runs:
        return {}
    there = runs_with_data(definitions, reader.listed_dates(), now, runs)
    skips = reader.skips()
    if stale is None:
        stale = {each.key: each.mark for each in reader.stale()}
    found = {}
    for key, date in runs.items():
        if skip := skips.of(key, date):
            found[key] = f"skipped since {moment(skip.since)}: {skip.reason}"
        elif key not in stale:
            continue
        elif not stale[key].can_be_made_again:
            found[key] = f"dates that it used have left FlowAPI's list: {_explained(key, date)}"
        elif key not in there:
            found[key] = f"its data do not all count now: {_explained(key, date)}"
    return found


def _explained(key: RunKey, date: dt.date) -> str:
    return f"`autoflow why {shlex.quote(key[0])} {date}`"
