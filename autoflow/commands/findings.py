# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What `autoflow doctor` looks at, one thing after the other; nothing is changed by it."""

from __future__ import annotations

import datetime as dt
import os
import platform
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from autoflow import __version__
from autoflow.channels import channels_of, complaints
from autoflow.cluster import require_dask, survey_of
from autoflow.context import unwritable
from autoflow.definitions import Definitions
from autoflow.errors import AutoflowError, DefinitionError
from autoflow.machine import Machine
from autoflow.model import open_for_reading, schema_of
from autoflow.parser import check_tools, load_definitions
from autoflow.sensor import FlowapiAnswer, QaExamination
from autoflow.settings import Settings, Token, Workers, read_secrets
from autoflow.system import ask
from autoflow.wording import counted, moment, seconds_text

LITTLE, VERY_LITTLE = 2e9, 2e8
"""Bytes free on a disk below which there is a warning, and a fault."""

FEW_FILES = 1000
"""The same in names of files that a file system has room for."""

CLOCKS_APART = 60.0
"""Seconds between two clocks that are worth a warning: tokens and runs go by them."""

SOON = dt.timedelta(days=14)

CONTAINERS = ("/.dockerenv", "/run/.containerenv")


@dataclass(frozen=True)
class Finding:
    """How one thing is."""

    name: str
    verdict: Literal["ok", "note", "warning", "fault"]
    text: str
    """What was found, and, where it is not right, what to do."""


def of_program(installation: Mapping[str, Any]) -> Iterator[Finding]:
    """Say which versions these are."""
    packages = installation.get("packages", {})
    versions = ", ".join(f"{name} {version}" for name, version in packages.items() if version)
    python = f"Python {platform.python_version()}, sqlite {sqlite3.sqlite_version}"
    yield Finding("AutoFlow", "ok", f"{__version__} in {sys.prefix}, {python}")
    if versions:
        yield Finding("packages", "ok", versions)
    for name in (name for name, version in packages.items() if not version and name != "pandas"):
        yield Finding("packages", "fault", f"{name} is not installed; install it with: pip install {name}")


def of_machine() -> Iterator[Finding]:
    """Say what this runs on, and as whom."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        system = platform.system()
    # limits of a control group count: those of the shell that asks, or of the container
    reading = Machine().read()
    memory = f", {reading.memory / 1000:.3g} GB" if reading.memory else ""
    place = " in a container" if any(Path(path).exists() for path in CONTAINERS) else ""
    cores = "1 core" if reading.cores == 1 else f"{reading.cores:.3g} cores"
    kernel = f"{platform.release()} {platform.machine()}"
    yield Finding("machine", "ok", f"{system}, {kernel}, {cores}{memory}; user id {os.getuid()}{place}")


def of_definitions(settings: Settings) -> tuple[Definitions | None, list[Finding]]:
    """Read workflows.yml, and say how many mistakes it has."""
    file = settings.workflows_file
    try:
        definitions, problems = load_definitions(file)
    except DefinitionError as error:
        first = str(error.problems[0]) if error.problems else str(error)
        more = f"; `autoflow check` shows all {len(error.problems)} mistakes" if len(error.problems) > 1 else ""
        return None, [Finding("workflows", "fault", first + more)]
    found = f"{counted(len(definitions.workflows), 'workflow')}, {counted(len(definitions.triggers), 'trigger')}"
    looks = [partial(read_secrets, settings, [name]) for name in definitions.secrets]
    findings = [Finding("workflows", "fault", text) for look in looks if (text := _complaint(look))]
    if problems:
        text = f"{file}: {found}, {counted(len(problems), 'warning')}; `autoflow check` shows them"
        return definitions, [Finding("workflows", "warning", text), *findings]
    return definitions, [Finding("workflows", "ok", f"{file}: {found}"), *findings]


def of_disks(settings: Settings) -> Iterator[Finding]:
    """Say whether outputs and record can be written, and how much room there is."""
    places = {settings.outputs_dir, settings.notebooks_dir, settings.reports_dir, settings.db_path.parent}
    there = sorted(place for place in places if place.is_dir())
    for complaint in unwritable(*there):
        yield Finding("disk", "fault", f"{complaint}; this is user id {os.getuid()}")
    for place in sorted(place for place in places if place.exists() and not place.is_dir()):
        yield Finding("disk", "fault", f"{place} is not a directory; move it away, or set AUTOFLOW_OUTPUTS_DIR")
    if not settings.outputs_dir.exists():
        yield Finding("disk", "note", f"{settings.outputs_dir} is made when AutoFlow starts")
    # one line for each file system
    systems = {place.stat().st_dev: place for place in reversed(there)}
    for place in systems.values():
        usage, names = shutil.disk_usage(place), os.statvfs(place)
        text = f"{place}: {usage.free / 1e9:.1f} of {usage.total / 1e9:.1f} GB free"
        few = names.f_files and names.f_favail < FEW_FILES
        verdict: Literal["ok", "warning", "fault"] = "ok" if usage.free >= LITTLE and not few else "warning"
        if few:
            text += f", {names.f_favail} files left"
        if verdict == "warning":
            text += "; make room, or let `keep` in workflows.yml remove old outputs"
        yield Finding("disk", "fault" if usage.free < VERY_LITTLE else verdict, text)


def of_record(settings: Settings) -> Iterator[Finding]:
    """Say what is in the record, and whether it is whole."""
    path = settings.db_path
    if not path.exists():
        yield Finding("record", "note", f"{path} is made when AutoFlow starts")
        return
    try:
        schema = schema_of(path)
        with closing(open_for_reading(path, settings.places)) as reader:
            facts = reader.facts()
            (found,) = reader.connection.execute("PRAGMA quick_check(1)").fetchone()
    except (AutoflowError, sqlite3.Error) as error:
        yield Finding("record", "fault", str(error))
        return
    if found != "ok":
        text = f"{path}: damaged ({' '.join(found.split())}); stop AutoFlow, and `autoflow restore` a backup"
        yield Finding("record", "fault", text)
        return
    size = f"{path.stat().st_size / 1e6:.1f} MB"
    what = f"{counted(facts.runs, 'run')}, {counted(facts.attempts, 'attempt')}"
    newest = f", the newest of {moment(facts.newest)}" if facts.newest else ""
    yield Finding("record", "ok", f"{path}: schema {schema}, {size}, {what}{newest}")


def of_daemon(settings: Settings) -> Iterator[Finding]:
    """Ask the daemon of these settings how it is."""
    try:
        answer = ask(settings.control_socket)
    except (FileNotFoundError, ConnectionRefusedError):
        yield Finding("daemon", "note", "none is running with these settings")
        return
    except PermissionError:
        yield Finding(
            "daemon", "warning", f"user id {os.getuid()} may not ask it; type this as the user of the service"
        )
        return
    except (OSError, ValueError) as error:
        yield Finding("daemon", "fault", f"does not answer ({error})")
        return
    yield Finding("daemon", "ok" if answer.get("healthy", True) else "fault", f"{answer.get('doing')}")
    for text in dict.fromkeys((*answer.get("reasons", ()), *answer.get("problems", ()))):
        yield Finding("daemon", "fault" if text in answer.get("reasons", ()) else "warning", text)


async def of_workers(workers: Workers, now: dt.datetime) -> list[Finding]:
    """Say which workers there are, and whether the certificates hold."""
    try:
        require_dask()
        found = await survey_of(workers, now)
    except (AutoflowError, OSError, ValueError) as error:
        return [Finding("workers", "fault", str(error))]
    verdict: Literal["ok", "warning", "fault"] = "warning" if workers.falls_back else "fault"
    # as a message it names what it is about first, which doctor's table has in a column
    text = (
        found.problem.removeprefix("workers: ") if found.problem else f"{workers.address}: {', '.join(found.workers)}"
    )
    findings = [Finding("workers", verdict if found.problem else "ok", text)]
    if found.certified_until < now + SOON:
        text = f"certificates end at {moment(found.certified_until)}; `autoflow cluster certificates` makes new ones"
        findings.append(Finding("workers", "warning" if found.certified_until > now else "fault", text))
    return findings


def of_token(token: Token, now: dt.datetime) -> Iterator[Finding]:
    """Say where the token is from, and how long it is good."""
    if token.expires is None:
        yield Finding("token", "ok", f"from {token.source}, without an end")
        return
    left = token.expires - now
    text = f"from {token.source}, valid until {moment(token.expires)}: {counted(left.days, 'day')} from now"
    yield Finding("token", "ok", text) if left > SOON else Finding("token", "warning", f"{text}; {token.renewal}")


def of_flowapi(settings: Settings, answer: FlowapiAnswer, now: dt.datetime) -> Iterator[Finding]:
    """Say what FlowAPI has, how quickly it said so, and whether its clock is this machine's."""
    types = ", ".join(
        f"{name} {len(dates)}{f' to {dates[-1]}' if dates else ''}" for name, dates in answer.by_type.items()
    )
    way = f", through {answer.proxy}" if answer.proxy else ""
    text = f"{settings.flowapi_url}: {types or 'no dates'}; answered in {answer.seconds * 1000:,.0f} ms{way}"
    yield Finding("FlowAPI", "ok" if types else "warning", text)
    if answer.time is None:
        return
    apart = (answer.time - now).total_seconds()
    if abs(apart) > CLOCKS_APART:
        which = "ahead of" if apart > 0 else "behind"
        text = f"FlowAPI's is {seconds_text(abs(apart))} {which} this machine's; is NTP running on both?"
        yield Finding("clock", "warning", text)
    else:
        yield Finding("clock", "ok", f"{moment(now)}; FlowAPI's agrees; local time zone {_zone(now)}")


def of_quality(definitions: Definitions, found: QaExamination | AutoflowError) -> Iterator[Finding]:
    """Say whether FlowAPI has the outcomes of QA checks that workflows.yml asks for, and what comes of it if not."""
    checks = {check for trigger in definitions.triggers for check in definitions.data_rule(trigger).quality}
    wait = any(check.on_missing in ("wait", "hold") for check in checks)
    if isinstance(found, AutoflowError):
        yield Finding("quality", "fault", str(found))
    elif found.answer.off is not None:
        costs = ["dates whose outcomes are not known wait" if wait else "no date is checked"] if found.wanted else []
        costs += ["data that are ingested anew are not noticed"] if found.compared else []
        text = f"FlowAPI gives no outcomes of QA checks, which workflows.yml asks for: {found.answer.off}"
        yield Finding("quality", "fault", f"{text}; until then {' and '.join(costs)}")
    else:
        yield from _of_checks(found, wait=wait)


def _of_checks(found: QaExamination, *, wait: bool) -> Iterator[Finding]:
    """Say which checks there are no outcomes of, or that all are there."""
    if found.missing:
        costs = "dates wait for them, unless on_missing says otherwise" if wait else "dates count without"
        text = f"FlowAPI has no outcomes of QA checks that quality names: {'; '.join(found.missing)}; {costs}"
        yield Finding("quality", "fault" if wait else "warning", text)
    if found.unseen:
        text = f"FlowAPI has none of the QA checks that restatement compares, of {', '.join(found.unseen)}"
        yield Finding("quality", "warning", f"{text}: data of these that are ingested anew are not noticed")
    if not found.missing and not found.unseen:
        yield Finding("quality", "ok", f"FlowAPI has outcomes of QA checks: {', '.join(found.there)}")


def of_reports(installation: Mapping[str, Any], definitions: Definitions | None) -> Iterator[Finding]:
    """Say what makes reports, and which scripts they cannot be in."""
    programs = [line for line in installation.get("programs", {}).values() if line]
    complaint = _complaint(partial(check_tools, definitions)) if definitions else None
    if complaint:
        yield Finding("reports", "fault", complaint)
    elif programs:
        yield Finding("reports", "ok", ", ".join(programs))
    else:
        text = "asciidoctor-pdf is not installed, and no workflow needs it; apt-get install ruby-asciidoctor-pdf"
        yield Finding("reports", "note", text)
    packages: dict[str, list[str]] = {}
    for script, package in installation.get("fonts", {}).items():
        packages.setdefault(package, []).append(script)
    for package, scripts in packages.items():
        yield Finding("fonts", "note", f"none for {', '.join(scripts)} in PDF reports; apt-get install {package}")


def of_kernels(installation: Mapping[str, Any]) -> Iterator[Finding]:
    """List the kernels that notebooks can run in."""
    kernels = installation.get("kernels", {})
    names = ", ".join(f"{name} ({language})" for name, language in kernels.items())
    if names:
        yield Finding("kernels", "ok", names)
    else:
        yield Finding("kernels", "fault", "Jupyter finds none; pip install ipykernel")


def of_notifications(definitions: Definitions, settings: Settings) -> Iterator[Finding]:
    """List the channels of notifications."""
    channels = channels_of(definitions.notify, settings)
    if channels:
        text = f"{', '.join(channels)}; `autoflow notify --test` tries them"
        yield Finding("messages", "ok", text)
    else:
        yield Finding("messages", "note", "no channel is set: nobody is told when a run fails")
    for text in complaints(definitions.notify, settings):
        yield Finding("messages", "warning", text)


def _complaint(look: Callable[[], object]) -> str | None:
    """Return what a check says that finds something wrong."""
    try:
        look()
    except AutoflowError as error:
        return str(error)
    return None


def _zone(now: dt.datetime) -> str:
    local = now.astimezone()
    return f"{local.tzname()} ({local:%z})"
