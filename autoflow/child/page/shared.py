# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What pages are made of: links, templates, and text that can be read."""

from __future__ import annotations

import datetime as dt
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from autoflow.definitions import Definitions
from autoflow.model import RunReader, RunReports
from autoflow.overview import Facts, Row, attempt_marks, attempt_word, calendar, span
from autoflow.wording import length_text, printable, seconds_text

TEMPLATES = Path(__file__).parent / "html"

INDEX, MONTHS = "index.html", "months"
"""The status page as a file, and the directory beside it with pages of months."""

MOST_YEARS = 50
"""Years before the newest date whose months have pages though there are no reports of them."""

REPORT_SUFFIXES = (".pdf", ".html")

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
    origin: Path | None = None
    """The directory of a page that is a file; None: that of the reports."""
    months: Collection[str] = ()
    """Months, such as 2016-01, whose pages are files."""

    def page(self, path: str) -> str | None:
        """Return the link to another page; None where there is no server."""
        return None if self.base is None else f"{self.base}{path}"

    def home(self) -> str:
        """Return the link to the status page."""
        return f"{self._beside(self.reports_dir)}{INDEX}" if self.base is None else self.base

    def month(self, month: str) -> str | None:
        """Return the link to the page of a month, such as 2016-01; None where there is none."""
        if self.base is not None:
            return f"{self.base}months/{month}"
        return f"{self._beside(self.reports_dir)}{MONTHS}/{month}.html" if month in self.months else None

    def workflow(self, name: str) -> str | None:
        """Return the link to the page of a workflow; None where there is no server."""
        return self.page(f"workflow?name={quote(name, safe='')}")

    def file(self, path: str | None) -> str | None:
        """Return the link to a file; None when it is not there, or not to be shown."""
        found = Path(path) if path else None
        for directory, name in ((self.notebooks_dir, "notebooks"), (self.reports_dir, "reports")):
            if found is not None and found.is_relative_to(directory) and found.is_file():
                root = self._beside(directory) if self.base is None else f"{self.base}{name}/"
                return f"{root}{quote(str(found.relative_to(directory)))}"
        return None

    def report(self, path: str | Path) -> str | None:
        """Return the link to a report, in the first of its formats that is there."""
        found = (self.file(str(Path(path).with_suffix(suffix))) for suffix in REPORT_SUFFIXES)
        return next((link for link in found if link), None)

    def reports(self, paths: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return the labels and links of the reports of a run that are there."""
        return [(label, link) for label, path in paths.items() if (link := self.report(path)) is not None]

    def reports_of(self, made: RunReports | None) -> dict[str, Any] | None:
        """Return the reports of a run as templates take them; None where none is there any more."""
        if made is None:
            return None
        files, kept_out = self.reports(made.paths), self.reports(made.kept_out)
        marks = {"provisional": made.provisional, "stale": made.stale}
        return {"files": files, "kept_out": kept_out, **marks} if files or kept_out else None

    def view(self, path: str | None) -> str | None:
        """Return the link to an executed notebook as a page."""
        found = Path(path) if path else None
        if self.base is None or found is None or not found.is_relative_to(self.notebooks_dir) or not found.is_file():
            return None
        return f"{self.base}view/{quote(str(found.relative_to(self.notebooks_dir)))}"

    def _beside(self, directory: Path) -> str:
        """Return what leads from a page that is a file to a directory."""
        relative = quote(os.path.relpath(directory, self.origin or self.reports_dir))
        return "" if relative == "." else f"{relative}/"


@dataclass(frozen=True)
class PageRequest:
    """A page that is wanted, and all that it is made of."""

    request: Mapping[str, Any]
    reader: RunReader
    definitions: Definitions
    now: dt.datetime
    links: Links

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the schedule, in which pages tell the time."""
        return ZoneInfo(self.definitions.timezone)

    def workflow(self, name: str) -> str | None:
        """Return the link to the page of a workflow; None where workflows.yml has it no more, or there is no server."""
        return self.links.workflow(name) if name in self.definitions.workflows else None

    @cached_property
    def span(self) -> tuple[dt.date, dt.date] | None:
        """The first and the last date that there is something to say about."""
        return span(self.definitions, self.reader, self.reader.listed_dates(), self.now)

    @cached_property
    def calendar(self) -> list[Row]:
        """The states of all dates of all triggers."""
        return list(calendar(self.facts(self.span), *self.span)) if self.span else []

    @cached_property
    def months(self) -> list[str]:
        """The names of the months that there is something to say about, the oldest first; of very many the newest."""
        if self.span is None:
            return self.reader.months_of_reports_outside(dt.date.max, dt.date.min)
        first, last = self.span
        first = max(first, dt.date(max(last.year - MOST_YEARS, dt.MINYEAR), 1, 1))
        years = range(first.year, last.year + 1)
        within = [f"{year:04}-{month:02}" for year in years for month in range(1, 13)]
        counted = [name for name in within if f"{first}"[:7] <= name <= f"{last}"[:7]]
        return sorted({*counted, *self.reader.months_of_reports_outside(first, last)})

    def facts(self, span: tuple[dt.date, dt.date] | None = None) -> Facts:
        """Read what decides the states of a span of dates, or of all dates."""
        return Facts.read(self.definitions, self.reader, self.reader.listed_dates(), self.now, span)

    def values(self) -> dict[str, Any]:
        """Return what every template is given."""
        zone = self.zone
        name, offset = self.definitions.timezone, f"{self.now.astimezone(zone):%z}"
        return {
            "links": self.links,
            "now": self.now,
            "zone": zone,
            "zone_text": name if name == "UTC" else f"{name} (UTC{offset[:3]}:{offset[3:]})",
            "deployment": str(self.request.get("name") or ""),
        }


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
    made.filters["attempt_word"] = attempt_word
    made.filters["attempt_marks"] = attempt_marks
    made.filters["minute"] = minute
    made.filters["ago"] = ago
    made.filters["short"] = short
    made.filters["length_of"] = seconds_text
    return made


def legible(text: str) -> str:
    """Write out what would steer a terminal, or turn the direction of text, instead of being seen."""
    plain = COLOURS.sub("", text)
    if len(plain) > LONGEST_TEXT:
        plain = f"{plain[:LONGEST_TEXT]} … ({len(plain) - LONGEST_TEXT} more characters)"
    return printable(plain, keep="\n\t\N{NO-BREAK SPACE}", spaces=False)


def _legible(value: Any) -> Any:
    # what is no text becomes one in the page
    return value if isinstance(value, Markup) else legible(str(value))


@pass_context
def minute(context: Context, moment: dt.datetime | None) -> Markup | str:
    """Write a time in the zone of the page, and for machines."""
    if moment is None:
        return ""
    utc, here = moment.astimezone(dt.UTC), moment.astimezone(context["zone"])
    return Markup('<time datetime="{}">{}</time>').format(f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{here:%Y-%m-%d %H:%M}")


@pass_context
def ago(context: Context, moment: dt.datetime | None) -> Markup | str:
    """Write a time as `minute` does, and how far it is from now."""
    if moment is None:
        return ""
    return Markup("{} <small>({})</small>").format(minute(context, moment), distance(moment, context["now"]))


def distance(moment: dt.datetime, now: dt.datetime) -> str:
    """Say how far a time is from now."""
    seconds = (moment - now).total_seconds()
    if abs(seconds) < 60:
        return "now" if seconds > 0 else "just now"
    length = length_text(abs(seconds), whole=True)
    return f"in {length}" if seconds > 0 else f"{length} ago"


def short(text: Any, length: int = 80) -> str:
    """Cut what is too long for a table."""
    plain = legible(str(text))
    return plain if len(plain) <= length else f"{plain[: length - 1]}…"
