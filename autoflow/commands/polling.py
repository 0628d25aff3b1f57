# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""FlowAPI asked by a command: where no AutoFlow has done so yet, and nothing is recorded."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from autoflow.clock import utc_now
from autoflow.commands.children import children_of
from autoflow.dates import ListedDates, listed_at
from autoflow.definitions import Definitions
from autoflow.model import RunReader
from autoflow.sensor import ask_flowapi, ask_qa, outcomes_in, question_of, wanted_checks
from autoflow.settings import load_settings, read_token


def listed_dates(reader: RunReader, definitions: Definitions) -> ListedDates:
    """Return the dates that FlowAPI listed when it was asked last, and ask it where that has never been.

    Raises
    ------
    SettingsError, FlowapiError
        When it cannot be asked, or does not answer.
    """
    listed = reader.listed_dates()
    return listed if listed.polled is not None else asyncio.run(_ask(definitions, listed))


async def _ask(definitions: Definitions, known: ListedDates) -> ListedDates:
    # what reads the record alone has no need of FlowAPI's address
    settings, now = load_settings(os.environ), utc_now()
    token = read_token(settings, now)
    with children_of("poll", settings) as jobs:
        listed = listed_at(await ask_flowapi(jobs, settings, token), now)
        listed = replace(listed, overrides=known.overrides)
        if not (wanted := wanted_checks(definitions, listed)):
            return listed
        answer = await ask_qa(jobs, settings, token, question_of(wanted, listed, {}))
        return replace(listed, outcomes=outcomes_in(answer))
