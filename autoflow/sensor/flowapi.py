# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""FlowAPI, asked in a child process for the dates that have data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autoflow.errors import FlowapiError
from autoflow.jobs import Jobs
from autoflow.settings import Settings, Token


@dataclass(frozen=True)
class FlowapiAnswer:
    """What FlowAPI has answered, and how."""

    by_type: Mapping[str, list[str]]
    """ISO dates, sorted, by CDR type."""
    seconds: float
    time: dt.datetime | None
    """What FlowAPI's clock said, to the second."""
    proxy: str | None
    """What it came through, in words."""


async def ask_flowapi(jobs: Jobs, settings: Settings, token: Token) -> Mapping[str, list[str]]:
    """Ask FlowAPI for the dates that have data, by CDR type.

    Raises
    ------
    FlowapiError
        When it does not give them.
    """
    by_type: Mapping[str, list[str]] = await _answer(jobs, settings, token, "available_dates")
    return by_type


async def examine_flowapi(jobs: Jobs, settings: Settings, token: Token) -> FlowapiAnswer:
    """Ask FlowAPI for dates, and say what else there is to know of its answer.

    Raises
    ------
    FlowapiError
        When it does not give them.
    """
    # a daemon has no need of this
    from email.utils import parsedate_to_datetime

    found = await _answer(jobs, settings, token, "flowapi_answer")
    try:
        time = parsedate_to_datetime(found["date"]) if found["date"] else None
    except ValueError:
        time = None
    return FlowapiAnswer(found["by_type"], found["seconds"], time, found["proxy"])


async def _answer(jobs: Jobs, settings: Settings, token: Token, kind: str) -> Any:
    with jobs.workspace() as workspace:
        reply = await jobs.call(
            kind,
            {"url": settings.flowapi_url, "ssl_certificate": str(settings.ssl_certificate or "")},
            workspace,
            timeout=settings.poll_timeout,
            secrets={"FLOWAPI_TOKEN": token.value},
        )
    if reply.cause == "timeout":
        raise FlowapiError(f"FlowAPI at {settings.flowapi_url} did not answer within {settings.poll_timeout:g} s")
    if reply.cause != "done":
        what = reply.error.get("message") or f"{reply.how}. {reply.log}"
        raise FlowapiError(f"FlowAPI at {settings.flowapi_url} returned no available dates: {what}")
    return reply.value
