# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""FlowAPI, asked in a child process for the dates that have data."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
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


@dataclass(frozen=True)
class QaQuestion:
    """What is asked of FlowAPI's QA checks."""

    wanted: Mapping[str, Sequence[str]]
    """Names of checks by CDR type."""
    first: dt.date
    last: dt.date
    known: Mapping[str, Mapping[str, Mapping[str, str]]]
    """Digests of what is known, by CDR type, check and year."""


@dataclass(frozen=True)
class QaAnswer:
    """What FlowAPI says of QA checks."""

    listed: Mapping[str, Sequence[str]]
    """Names of the checks that have outcomes, by CDR type."""
    changed: Mapping[str, Mapping[str, Mapping[str, str | None]]]
    """Blocks of outcomes that are others than those that are known, by CDR type, check and year."""
    off: str | None
    """Why there are none to be had at all, with this FlowAPI or this token."""


async def ask_qa(jobs: Jobs, settings: Settings, token: Token, question: QaQuestion) -> QaAnswer:
    """Ask FlowAPI for the outcomes of QA checks.

    Raises
    ------
    FlowapiError
        When it does not give them.
    """
    asked = {
        "wanted": {cdr_type: list(checks) for cdr_type, checks in question.wanted.items()},
        "first": question.first.isoformat(),
        "last": question.last.isoformat(),
        "known": question.known,
    }
    return QaAnswer(**await _answer(jobs, settings, token, "qa_outcomes", asked))


WANTED = {"qa_outcomes": "QA outcomes"}
"""What each kind of question is for; the others are for dates."""


async def _answer(
    jobs: Jobs, settings: Settings, token: Token, kind: str, asked: Mapping[str, Any] | None = None
) -> Any:
    with jobs.workspace() as workspace:
        reply = await jobs.call(
            kind,
            {"url": settings.flowapi_url, "ssl_certificate": str(settings.ssl_certificate or ""), **(asked or {})},
            workspace,
            timeout=settings.poll_timeout,
            secrets={"FLOWAPI_TOKEN": token.value},
        )
    if reply.cause == "timeout":
        raise FlowapiError(f"FlowAPI at {settings.flowapi_url} did not answer within {settings.poll_timeout:g} s")
    if reply.cause != "done":
        what = reply.error.get("message") or f"{reply.how}. {reply.log}"
        wanted = WANTED.get(kind, "available dates")
        raise FlowapiError(f"FlowAPI at {settings.flowapi_url} returned no {wanted}: {what}")
    return reply.value
