# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow doctor``: how everything is that AutoFlow needs, in one screen, to look at or to put into a bug report."""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import os
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from typing import Any

from autoflow.clock import utc_now
from autoflow.commands import findings
from autoflow.commands.children import children_of
from autoflow.commands.findings import Finding
from autoflow.commands.terminal import on_terminal, print_json, print_line, width
from autoflow.dates import listed_at
from autoflow.definitions import Definitions
from autoflow.errors import AutoflowError, ExitCode
from autoflow.jobs import Jobs
from autoflow.redaction import Redactor
from autoflow.resources import config_file
from autoflow.sensor import FlowapiAnswer, QaExamination, examine_flowapi, examine_qa
from autoflow.settings import Settings, Token, current_secrets, load_settings, read_token

PATIENCE = 60.0
"""Seconds that looking at what is installed may take."""

SIGNS = {"ok": "ok", "note": "-", "warning": "warn", "fault": "FAIL"}
MARGIN = 17
"""Columns before what was found."""
STYLES = {"ok": "", "note": "bright_black", "warning": "yellow", "fault": "bold red"}


@dataclass(frozen=True)
class Asked:
    """What children have found."""

    installation: Mapping[str, Any] | AutoflowError
    flowapi: FlowapiAnswer | AutoflowError | None
    """None where there is no token to ask with."""
    quality: QaExamination | AutoflowError | None
    """None where no trigger goes by QA checks, or there were no dates to ask for."""


def run(options: argparse.Namespace, settings: Settings | None) -> ExitCode:
    """Look at everything, and say how it is; the settings may be what is wrong."""
    found: Iterable[Finding]
    redactor = Redactor()
    try:
        settings = load_settings(os.environ)
    except AutoflowError as error:
        wrong = (Finding("settings", "fault", line) for line in str(error).splitlines())
        found = [*findings.of_program({}), *findings.of_machine(), *wrong]
    else:
        redactor = Redactor.of(*current_secrets(settings))
        found = list(_of_all(settings))
    code = ExitCode.RUN_FAILED if any(each.verdict == "fault" for each in found) else ExitCode.OK
    if options.json:
        print_json(options, {"findings": redactor.redact_json([asdict(each) for each in found])}, code)
    else:
        for each in found:
            for head, line in zip_longest(
                [f"{SIGNS[each.verdict]:4}  {each.name:9}"], _lines(redactor.redact(each.text))
            ):
                print_line(f"{head or '':{MARGIN}}{line}", STYLES[each.verdict])
    return code


def _lines(text: str) -> list[str]:
    """Break what is found into lines that fit beside its name; a pipe gets it as it is."""
    if not on_terminal():
        return text.splitlines()
    room = max(width() - MARGIN, MARGIN)
    return [
        part
        for line in text.splitlines()
        for part in textwrap.wrap(line, room, break_long_words=False, break_on_hyphens=False)
    ]


def _of_all(settings: Settings) -> Iterator[Finding]:
    now = utc_now()
    token: Token | AutoflowError
    try:
        token = read_token(settings, now)
    except AutoflowError as error:
        token = error
    definitions, about_them = findings.of_definitions(settings)
    asked = asyncio.run(_ask_children(settings, token if isinstance(token, Token) else None, definitions, now))
    installation = asked.installation if not isinstance(asked.installation, AutoflowError) else {}
    yield from findings.of_program(installation)
    yield from findings.of_machine()
    config = os.environ.get("AUTOFLOW_CONFIG") or config_file("config.toml")
    yield Finding("settings", "ok", f"{f'{settings.name}: ' if settings.name else ''}{config} and the environment")
    yield from about_them
    yield from findings.of_disks(settings)
    yield from findings.of_record(settings)
    yield from findings.of_daemon(settings)
    if settings.workers:
        yield from asyncio.run(findings.of_workers(settings.workers, now))
    if isinstance(token, Token):
        yield from findings.of_token(token, now)
    else:
        yield Finding("token", "fault", str(token))
    if isinstance(asked.flowapi, FlowapiAnswer):
        yield from findings.of_flowapi(settings, asked.flowapi, now)
    elif asked.flowapi is not None:
        yield Finding("FlowAPI", "fault", str(asked.flowapi))
    if definitions is not None and asked.quality is not None:
        yield from findings.of_quality(definitions, asked.quality)
    if isinstance(asked.installation, AutoflowError):
        yield Finding("packages", "fault", str(asked.installation))
    else:
        yield from findings.of_kernels(installation)
        yield from findings.of_reports(installation, definitions)
    if definitions is not None:
        yield from findings.of_notifications(definitions, settings)


async def _ask_children(
    settings: Settings, token: Token | None, definitions: Definitions | None, now: dt.datetime
) -> Asked:
    """Let children look, with the environment that notebooks have."""
    with children_of("doctor", settings) as jobs:
        installation, (flowapi, quality) = await asyncio.gather(
            _installation(jobs), _flowapi(jobs, settings, token, definitions, now)
        )
        return Asked(installation, flowapi, quality)


async def _installation(jobs: Jobs) -> Mapping[str, Any] | AutoflowError:
    with jobs.workspace() as workspace:
        reply = await jobs.call("installation", {}, workspace, timeout=PATIENCE)
    if reply.cause == "done":
        found: Mapping[str, Any] = reply.value
        return found
    return AutoflowError(f"what is installed cannot be looked at: {reply.error.get('message') or reply.how}")


async def _flowapi(
    jobs: Jobs, settings: Settings, token: Token | None, definitions: Definitions | None, now: dt.datetime
) -> tuple[FlowapiAnswer | AutoflowError | None, QaExamination | AutoflowError | None]:
    if token is None:
        return None, None
    try:
        answer = await examine_flowapi(jobs, settings, token)
    except AutoflowError as error:
        return error, None
    if definitions is None:
        return answer, None
    try:
        return answer, await examine_qa(jobs, settings, token, definitions, listed_at(answer.by_type, now))
    except AutoflowError as error:
        return answer, error
