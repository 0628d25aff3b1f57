# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Pages to look at: the status page, one attempt, why a date is as it is, an executed notebook.

All of it is read-only, and made of what others wrote: names, parameters, errors and notebooks are shown, and never
obeyed.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import os
import pickle
import re
import unicodedata
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autoflow.decision import Situation
from autoflow.definitions import Definitions
from autoflow.model import RunReader, open_for_reading
from autoflow.redaction import Redactor
from autoflow.settings import Places

TEMPLATES = Path(__file__).parent / "html"

NICENESS = 10
"""Runs go first."""

COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
LONGEST_TEXT = 20_000


class NotFoundError(Exception):
    """There is no such page, and why."""


@dataclass(frozen=True)
class Links:
    """Where a page leads, from where it stands."""

    notebooks_dir: Path
    reports_dir: Path
    base: str | None
    """What leads from the page to the root of the server; None where there is no server."""

    def page(self, path: str) -> str | None:
        """Give the link to another page; None where there is no server."""
        return None if self.base is None else f"{self.base}{path}"

    def file(self, path: str | None) -> str | None:
        """Give the link to a file; None when it is not there, or not to be shown."""
        found = Path(path) if path else None
        for directory, name in ((self.notebooks_dir, "notebooks"), (self.reports_dir, "reports")):
            if found is not None and found.is_relative_to(directory) and found.is_file():
                if self.base is None:
                    return quote(os.path.relpath(found, self.reports_dir))
                return f"{self.base}{name}/{quote(str(found.relative_to(directory)))}"
        return None

    def view(self, path: str | None) -> str | None:
        """Give the link to an executed notebook as a page."""
        found = Path(path) if path else None
        if self.base is None or found is None or not found.is_relative_to(self.notebooks_dir) or not found.is_file():
            return None
        return f"{self.base}view/{quote(str(found.relative_to(self.notebooks_dir)))}"


@dataclass(frozen=True)
class Asked:
    """A page that is wanted, and all that it is made of."""

    request: Mapping[str, Any]
    reader: RunReader
    definitions: Definitions
    now: dt.datetime
    links: Links

    def situation(self, first: dt.date | None = None, last: dt.date | None = None) -> Situation:
        """Read what decides the states of a span of dates."""
        return Situation(self.definitions, self.reader.listed_dates(), self.reader.standing(first, last), self.now)


def prepare() -> None:
    """Import and compile ahead what the page beside the reports needs."""
    import_module("autoflow.child.page_run")
    environment().get_template("status.html")


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:
    """Make a page.

    Parameters
    ----------
    request
        ``page``: ``status`` or ``index`` (the same as a file), ``run`` (with ``run``, its id), ``why`` (with
        ``workflow`` or ``trigger``, a number, and ``date``) or ``notebook`` (with ``notebook``, its path in
        the directory of notebooks); ``db``, ``outputs_dir``, ``notebooks_dir``, ``reports_dir``; ``now``, ``doing``,
        ``next_tick``, ``problems`` and ``progress`` are what the daemon knows.
    workspace
        ``definitions.pickle`` in it are the daemon's; ``page.html`` is made.

    Returns
    -------
    dict
        ``status``, the HTTP status, and ``policy``, the Content-Security-Policy.
    """
    # from the daemon, in a directory that nobody else can write to
    definitions = pickle.loads((workspace / "definitions.pickle").read_bytes())  # noqa: S301
    redactor = Redactor.of(os.environ.pop("FLOWAPI_TOKEN", None))
    with suppress(OSError):
        os.nice(NICENESS)
    if request["page"] == "notebook":
        from autoflow.child.page_notebook import notebook_page

        directory, name = Path(request["notebooks_dir"]), request["notebook"]
        text, policy, status = *notebook_page(directory / name, name), 200
    else:
        outputs, notebooks, reports = (Path(request[f"{name}_dir"]) for name in ("outputs", "notebooks", "reports"))
        reader = open_for_reading(Path(request["db"]), Places(outputs, notebooks, reports))
        depth = {"index": None, "run": "../"}.get(request["page"], "./")
        links = Links(Path(request["notebooks_dir"]), Path(request["reports_dir"]), depth)
        asked = Asked(request, reader, definitions, dt.datetime.fromisoformat(request["now"]), links)
        text, policy, status = _page(asked)
        reader.close()
    # what is no character in UTF-8 may come from JSON all the same
    (workspace / "page.html").write_text(redactor.redact(text), encoding="utf-8", errors="backslashreplace")
    return {"status": status, "policy": policy}


def _page(asked: Asked) -> tuple[str, str, int]:
    from autoflow.child.page_run import run_page, why_page
    from autoflow.child.page_status import status_page

    makers: dict[str, Callable[[Asked], tuple[str, dict[str, Any]]]] = {
        "status": status_page,
        "index": status_page,
        "run": run_page,
        "why": why_page,
    }
    try:
        (template, values), status = makers[asked.request["page"]](asked), 200
    except NotFoundError as error:
        (template, values), status = ("missing.html", {"message": str(error)}), 404
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    policy = policy_for(style)
    common = {"is_home": False, "style": Markup(style), "policy": policy, "links": asked.links, "now": asked.now}  # noqa: S704
    return environment().get_template(template).render(**{**common, **values}), policy, status


def policy_for(style: str) -> str:
    """Allow one style sheet, pictures that are in the page, and nothing else."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


@cache
def environment() -> Environment:
    """Make the templates' environment: all that they are given is escaped, and can be read."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_legible,
    )
    made.filters["minute"] = minute
    made.filters["short"] = short
    return made


def legible(text: str) -> str:
    """Write out what would steer a terminal, or turn the direction of text, instead of being seen."""
    plain = COLOURS.sub("", text)
    if len(plain) > LONGEST_TEXT:
        plain = f"{plain[:LONGEST_TEXT]} … ({len(plain) - LONGEST_TEXT} more characters)"
    if plain.isprintable():
        return plain
    return "".join(
        character
        if character in "\n\t" or unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
        else character.encode("unicode_escape", "backslashreplace").decode()
        for character in plain
    )


def _legible(value: Any) -> Any:
    return legible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def minute(moment: dt.datetime | None) -> Markup | str:
    """Write a time, in UTC, also for machines."""
    if moment is None:
        return ""
    utc = moment.astimezone(dt.UTC)
    return Markup('<time datetime="{}">{}</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M}")


def short(text: Any, length: int = 80) -> str:
    """Cut what is too long for a table."""
    plain = legible(str(text))
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"
