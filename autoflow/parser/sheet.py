# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a report says of itself, for one run: dates and parameters take the places that are left for them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from autoflow.definitions import Sheet
from autoflow.languages import DEFAULT, date_text, month_text
from autoflow.wording import did_you_mean, shown

DATES = ("reference_date", "month", "year")
"""Names with values of the reference date; a parameter of the same name as one of the last two goes before it."""

TEXTS = ("title", "subtitle", "organisation", "contact")
"""Keys of texts that values are filled into."""

PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
"""A brace that is doubled, the name of a value, or a brace that is neither."""


def merged(general: Sheet, own: Sheet) -> Sheet:
    """Combine the metadata of a workflow with a notebook's own, which take precedence."""
    said = {field.name: value for field in fields(own) if (value := getattr(own, field.name)) is not None}
    return replace(general, **said)


def complaint(text: str, parameters: Iterable[str]) -> str | None:
    """Say what is wrong with the places in a text; None when nothing is."""
    known = {*DATES, *parameters}
    for match in PLACE.finditer(text):
        name = match.group(1)
        if match.group() in ("{", "}"):
            return f"found {shown(text)} with a single {match.group()!r}; write {match.group() * 2!r} for a brace"
        if name is not None and name.strip() not in known:
            return f"there is no value named {shown(name)}; {did_you_mean(name, known)}"
    return None


def filled(sheet: Sheet, reference_date: dt.date, parameters: Mapping[str, Any]) -> Sheet:
    """Put values into the texts of a sheet."""
    language = sheet.language or DEFAULT
    values = {
        "month": month_text(reference_date, language),
        "year": str(reference_date.year),
        **{name: value_text(value, language) for name, value in parameters.items()},
        "reference_date": date_text(reference_date, language),
    }

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return match.group()[0] if name is None else values.get(name.strip(), match.group())

    def fill(text: str | None) -> str | None:
        return text and PLACE.sub(value, text)

    return replace(
        sheet,
        title=fill(sheet.title),
        subtitle=fill(sheet.subtitle),
        organisation=fill(sheet.organisation),
        contact=fill(sheet.contact),
    )


def value_text(value: Any, language: str) -> str:
    """Write the value of a parameter for a reader."""
    if isinstance(value, str):
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            try:
                return date_text(dt.date.fromisoformat(value), language)
            except ValueError:
                return value
        return value
    if isinstance(value, dt.date):
        return date_text(value, language)
    if isinstance(value, list):
        return ", ".join(value_text(each, language) for each in value)
    return shown(value)


def human(name: str) -> str:
    """Write a name that programs read as people would: ``flows_above_normal`` as "Flows above normal"."""
    if re.fullmatch(r"[a-z0-9]+([_-][a-z0-9]+)*", name):
        words = re.sub("[_-]", " ", name)
        return words[0].upper() + words[1:]
    return name
