# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What stands above a report and on each of its pages: title, subtitle, byline, contents, attributes."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoflow.child.report.asciidoc import literal
from autoflow.child.report.markdown import on_headings
from autoflow.child.report.pictures import PictureError, raster, svg
from autoflow.dates import Days
from autoflow.languages import DEFAULT, LANGUAGES, Words, date_text, moment_text

LONG = 220
"""Lines of text, pictures and tables from which on a report has a table of contents."""

MOST_GAPS = 12
"""Gaps that a report names which was made with dates missing."""

MIDDLE_DOT = " · "

DASH = " \N{EN DASH} "
"""Stands between the first and the last date of a gap, in any language."""


@dataclass(frozen=True)
class Heading:
    """What a report says of itself; empty is not said."""

    workflow: str = ""
    """Its name, as people write it."""
    parameters: str = ""
    reference_date: str = ""
    """ISO date."""
    generated: str = ""
    """ISO time."""
    title: str | None = None
    subtitle: str | None = None
    organisation: str | None = None
    contact: str | None = None
    language: str = DEFAULT
    logo: str | None = None
    """Path of a picture."""
    missing_dates: Sequence[str] = ()
    """ISO dates that it was made without."""
    days: int = 0
    """How many days it was to be made of."""

    @property
    def stamp(self) -> str:
        """What is in the running head of a report that was made with dates missing."""
        # which dates these are stands above the text; a running head has room for little
        return self.words.provisional.upper() if self.missing_dates else ""

    @property
    def words(self) -> Words:
        return LANGUAGES[self.language]

    @property
    def date(self) -> str:
        """The reference date as people write it."""
        return date_text(dt.date.fromisoformat(self.reference_date), self.language) if self.reference_date else ""

    @property
    def made(self) -> str:
        """When the report was made, as people write it."""
        if not self.generated:
            return ""
        return f"{self.words.generated} {moment_text(dt.datetime.fromisoformat(self.generated), self.language)}"

    @property
    def name(self) -> str:
        """What each page calls the report."""
        return MIDDLE_DOT.join(part for part in (self.title or self.workflow, self.parameters) if part)

    @property
    def subject(self) -> str:
        """What the report is about, for those who look at its file."""
        return self.subtitle or MIDDLE_DOT.join(part for part in (self.name, self.date) if part)

    @property
    def keywords(self) -> str:
        return ", ".join(part for part in (self.workflow, self.parameters, self.reference_date) if part)


def document(body: str, title: str, heading: Heading, logo: Path | None = None) -> str:
    """Put title and attributes above the text of a report.

    Parameters
    ----------
    body
        In asciidoc.
    title
        In asciidoc.
    heading
        What else is said.
    logo
        Picture beside the document.
    """
    attributes = {name: literal(value) if value else "" for name, value in _attributes(heading).items()}
    if logo:
        attributes["report-logo"] = str(logo)
    if _is_long(body):
        attributes |= {"toc": "macro", "toclevels": "2"}
    lines = [f"= {title}", *(f":{name}: {value}".rstrip() for name, value in attributes.items())]
    front = list(_front(heading, title))
    if "toc" in attributes:
        front.append("toc::[]")
    return "\n".join(lines) + "\n\n" + "".join(f"{block}\n\n" for block in front) + f"{body}\n"


def _attributes(heading: Heading) -> dict[str, str]:
    """Return what themes can show, what a file says of itself, and the words that asciidoctor adds."""
    words = heading.words
    name = heading.name
    # the date is said once
    date = "" if heading.date and heading.date in name else heading.date
    return {
        "doctype": "article",
        "idprefix": "",
        "idseparator": "-",
        "lang": heading.language,
        "toc-title": words.contents,
        "figure-caption": words.figure,
        "table-caption": words.table,
        "report-workflow": name,
        "report-date": MIDDLE_DOT.join(filter(None, (heading.stamp, date or heading.organisation))),
        "important-caption": words.provisional,
        "report-time": heading.made,
        "report-organisation": heading.organisation or "",
        "report-contact": f"{words.contact}: {heading.contact}" if heading.contact else "",
        "report-foot": MIDDLE_DOT.join(
            part for part in (heading.contact and f"{words.contact}: {heading.contact}", heading.made) if part
        ),
        "report-page": words.page,
        "report-of": words.of,
        "report-subject": heading.subject,
        "report-keywords": heading.keywords,
    }


def _front(heading: Heading, title: str) -> Iterator[str]:
    if heading.subtitle:
        yield f"[.below-title]\n{literal(heading.subtitle)}"
    if heading.missing_dates:
        yield f"[IMPORTANT]\n====\n{literal(_missing(heading))}\n===="
    shown = html.unescape(title).casefold()
    parts = []
    if not heading.title and heading.workflow.casefold() not in shown:
        parts.append(heading.workflow)
    parts.append(heading.parameters)
    said = f"{shown} {(heading.subtitle or '').casefold()}"
    if heading.date and heading.date.casefold() not in said:
        parts.append(f"{heading.words.reference_date}: {heading.date}")
    if byline := MIDDLE_DOT.join(filter(None, parts)):
        yield f"[.byline]\n{literal(byline)}"


def _missing(heading: Heading) -> str:
    """Name the dates that a report was made without, the first of very many."""
    stretches = Days.of(dt.date.fromisoformat(date).toordinal() for date in heading.missing_dates).stretches
    ends = ((dt.date.fromordinal(start), dt.date.fromordinal(end - 1)) for start, end in stretches[:MOST_GAPS])
    named = ", ".join(str(first) if first == last else f"{first}{DASH}{last}" for first, last in ends)
    missing = heading.words.missing.format(missing=len(heading.missing_dates), days=heading.days)
    return f"{missing}: {named}{', …' if len(stretches) > MOST_GAPS else ''}"


def _is_long(body: str) -> bool:
    headings = 0

    def count(level: int, words: str) -> str:
        nonlocal headings
        headings += level <= 2
        return words

    on_headings(body, count)
    return headings >= 4 and len(body.splitlines()) + 20 * len(re.findall("^image::", body, re.MULTILINE)) > LONG


def bring_logo(heading: Heading, directory: Path) -> Path | None:
    """Put the logo beside a document, as one that every format takes.

    Raises
    ------
    PictureError
        When it is none.
    """
    if not heading.logo:
        return None
    source = Path(heading.logo)
    try:
        content = source.read_bytes()
        drawn = (svg if source.suffix.lower() == ".svg" else raster)(content)
    except (OSError, PictureError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise PictureError(f"the logo {source.name}: {reason}") from None
    suffix = ".svg" if source.suffix.lower() == ".svg" else ".jpg" if drawn.content[:2] == b"\xff\xd8" else ".png"
    logo = directory / f"logo{suffix}"
    logo.write_bytes(drawn.content)
    return logo
