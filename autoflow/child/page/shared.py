# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What pages are made of: links, templates, and text that can be read."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from autoflow.definitions import Definitions
from autoflow.model import RunReader
from autoflow.overview import Facts
from autoflow.wording import printable

TEMPLATES = Path(__file__).parent / "html"

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
        """Return the link to another page; None where there is no server."""
        return None if self.base is None else f"{self.base}{path}"

    def file(self, path: str | None) -> str | None:
        """Return the link to a file; None when it is not there, or not to be shown."""
        found = Path(path) if path else None
        for directory, name in ((self.notebooks_dir, "notebooks"), (self.reports_dir, "reports")):
            if found is not None and found.is_relative_to(directory) and found.is_file():
                if self.base is None:
                    return quote(os.path.relpath(found, self.reports_dir))
                return f"{self.base}{name}/{quote(str(found.relative_to(directory)))}"
        return None

    def view(self, path: str | None) -> str | None:
        """Return the link to an executed notebook as a page."""
        found = Path(path) if path else None
        if self.base is None or found is None or not found.is_relative_to(self.notebooks_dir) or not found.is_file():
            return None
        return f"{self.base}view/{quote(str(found.relative_to(self.notebooks_dir)))}"


@dataclass(frozen=True)
class PageRequest:
    """A page that is wanted, and all that it is made of."""

    request: Mapping[str, Any]
    reader: RunReader
    definitions: Definitions
    now: dt.datetime
    links: Links

    def facts(self, span: tuple[dt.date, dt.date] | None = None) -> Facts:
        """Read what decides the states of a span of dates, or of all dates."""
        return Facts.read(self.definitions, self.reader, self.reader.listed_dates(), self.now, span)


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
    return printable(plain, keep="\n\t\N{NO-BREAK SPACE}", spaces=False)


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
