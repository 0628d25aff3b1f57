# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow health``: ask the running daemon how it is, and say what `/health` does."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

from autoflow.errors import ExitCode
from autoflow.settings import Settings
from autoflow.system import ask
from autoflow.wording import counted, first_few


def run(options: argparse.Namespace, settings: Settings) -> ExitCode:
    """Exit with 1 where it is not well, or does not answer; with ``--alive``, only where it does not answer."""
    try:
        answer = ask(settings.control_socket)
    except (OSError, ValueError) as error:
        complaint = f"no answer from a daemon at {settings.control_socket} ({error})"
        return _say(options, {}, ExitCode.RUN_FAILED, complaint)
    # a daemon of the version before does not say
    is_well = options.alive or answer.get("healthy", True)
    return _say(options, answer, ExitCode.OK if is_well else ExitCode.RUN_FAILED)


def _say(options: argparse.Namespace, answer: dict[str, Any], code: ExitCode, complaint: str = "") -> ExitCode:
    problems = list(dict.fromkeys((*answer.get("reasons", ()), *answer.get("problems", ()))))
    if options.json:
        # who asks every minute imports no more than the answer needs
        from autoflow.commands.answer import problems_in
        from autoflow.commands.terminal import print_json

        content = {
            "pid": answer.get("pid"),
            "doing": answer.get("doing"),
            "healthy": bool(answer) and answer.get("healthy", True),
            "slots": answer.get("slots"),
            "reasons": list(answer.get("reasons", ())),
            "warnings": [each for each in problems if each not in answer.get("reasons", ())],
        }
        print_json(options, content, code, problems_in(complaint))
    elif complaint:
        print(complaint)  # noqa: T201
    else:
        lines = (f"pid {answer.get('pid')}: {answer.get('doing')}", *slots_lines(answer), *problems)
        print("\n".join(lines))  # noqa: T201
    return code


def slots_lines(answer: dict[str, Any]) -> list[str]:
    """Say how much goes on at a time, and why no more starts, as far as a daemon says so."""
    if not (slots := answer.get("slots")):
        return []
    why = f"; the next {slots['why']}" if slots["why"] else ""
    return [f"{slots['in_use']} of {slots['given']} slots in use{why}", *pools_lines(slots.get("pools", {}))]


def pools_lines(pools: Mapping[str, Any]) -> Iterator[str]:
    """Say how much of each pool is in use, and who waits for it."""
    for name, pool in pools.items():
        waiting = [f"run {each['run']} ({each['notebook']})" for each in pool["waiting"]]
        number = counted(len(waiting), "notebook waits", "notebooks wait")
        waits = f"; {number}: {first_few(waiting)}" if waiting else ""
        # a daemon of the version before does not say
        idle = [f"run {each['run']} ({each['notebook']})" for each in pool.get("without_slot", ())]
        slotless = counted(len(idle), "notebook that waits", "notebooks that wait")
        of_idle = f", {len(idle)} of them by {slotless} for a slot: {first_few(idle)}" if idle else ""
        yield f"pool {name}: {pool['in_use']} of {pool['places']} places in use{of_idle}{waits}"
