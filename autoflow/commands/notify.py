# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow notify --test``: one message over every channel, now, and how each went."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from typing import Any

from autoflow.channels import channels_of, complaints
from autoflow.clock import utc_now
from autoflow.commands.children import children_of
from autoflow.commands.reading import definitions_of
from autoflow.commands.terminal import print_json, print_line
from autoflow.definitions import Definitions
from autoflow.errors import AutoflowError, ExitCode, Problem
from autoflow.jobs import Jobs
from autoflow.messages import send, signature_of, why_not
from autoflow.model import Message, Queued
from autoflow.settings import Settings


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Send it, and exit with 1 if a channel did not take it."""
    if not options.test:
        raise AutoflowError("nothing was done; `autoflow notify --test` sends a test notification over every channel")
    definitions = definitions_of(settings)
    missing = list(complaints(definitions.notify, settings))
    channels = channels_of(definitions.notify, settings)
    if not channels:
        hint = "set AUTOFLOW_WEBHOOK_URL, or AUTOFLOW_SMTP_URL and notify.email in workflows.yml"
        raise AutoflowError("\n".join(missing) or f"no notification channel is set; {hint}")
    outcomes = asyncio.run(_try_all(channels, settings, definitions))
    code = ExitCode.OK if all(each["taken"] for each in outcomes) else ExitCode.RUN_FAILED
    if options.json:
        problems = [asdict(Problem(str(settings.workflows_file), 0, 0, "", each, "warning")) for each in missing]
        print_json(options, {"channels": outcomes, "problems": problems}, code)
    else:
        for complaint in missing:
            print_line(f"warning: {complaint}", "yellow")
        for each in outcomes:
            how = "taken" if each["taken"] else each["reason"]
            print_line(f"{each['channel']}: {how} ({each['seconds']:.1f} s)", "" if each["taken"] else "bold red")
    return code


async def _try_all(channels: tuple[str, ...], settings: Settings, definitions: Definitions) -> list[dict[str, Any]]:
    with children_of("notify", settings) as jobs:
        return list(await asyncio.gather(*(_try(channel, jobs, settings, definitions) for channel in channels)))


async def _try(channel: str, jobs: Jobs, settings: Settings, definitions: Definitions) -> dict[str, Any]:
    clock, now = asyncio.get_running_loop().time, utc_now()
    began = clock()
    lines = (
        "This is a test sent by `autoflow notify --test`. If you can read this, notifications work.",
        "",
        signature_of(settings),
    )
    # not the number of any message in the outbox
    queued = Queued(-int(now.timestamp()), channel, now, Message("test", "a test", lines))
    reply = await send(jobs, settings, definitions, queued)
    refused = reply.value.get("refused") if reply.cause == "done" else None
    reason = f"rejected for {', '.join(refused)}" if refused else None if reply.cause == "done" else why_not(reply)
    return {
        "channel": channel,
        "taken": reason is None,
        "reason": reason,
        "seconds": round(clock() - began, 3),
    }
