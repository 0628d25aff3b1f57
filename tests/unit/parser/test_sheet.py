# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What reports say of themselves: texts with places, dates in five languages, names that people read."""

from __future__ import annotations

import datetime as dt
from typing import get_args

import pytest

from autoflow.definitions import Language, Sheet
from autoflow.languages import LANGUAGES, date_text, moment_text, month_text
from autoflow.parser.sheet import complaint, filled, human, merged, value_text

DATE = dt.date(2016, 1, 20)


@pytest.mark.parametrize(
    ("language", "first", "later", "month"),
    [
        ("en", "1 August 2016", "20 January 2016", "January 2016"),
        ("fr", "1er août 2016", "20 janvier 2016", "janvier 2016"),
        ("es", "1 de agosto de 2016", "20 de enero de 2016", "enero de 2016"),
        ("pt", "1º de agosto de 2016", "20 de janeiro de 2016", "janeiro de 2016"),
        ("ar", "1 أغسطس 2016", "20 يناير 2016", "يناير 2016"),
    ],
)
def test_dates_are_written_as_people_write_them(language: str, first: str, later: str, month: str) -> None:
    assert date_text(dt.date(2016, 8, 1), language) == first
    assert date_text(DATE, language) == later
    assert month_text(DATE, language) == month


def test_moments_are_in_utc() -> None:
    moment = dt.datetime(2016, 1, 1, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    assert moment_text(moment, "en") == "31 December 2015, 23:30 UTC"


def test_every_language_that_can_be_asked_for_has_its_words() -> None:
    assert set(get_args(Language)) == LANGUAGES.keys()
    assert all(len(set(words.months.split())) == 12 for words in LANGUAGES.values())


def test_values_take_the_places_that_are_left_for_them() -> None:
    sheet = Sheet("Flows in {month}, {unit}: {{x}}", "{reference_date} {year} { since }", language="fr")
    parameters = {"unit": "{month}", "since": "2016-01-01"}
    found = filled(sheet, DATE, parameters)
    assert found.title == "Flows in janvier 2016, {month}: {x}"
    assert found.subtitle == "20 janvier 2016 2016 1er janvier 2016"
    assert found.contact is None


def test_a_parameter_goes_before_a_part_of_the_date_of_the_same_name() -> None:
    assert filled(Sheet("{month}"), DATE, {"month": 3}).title == "3"
    assert filled(Sheet("{reference_date}"), DATE, {}).title == "20 January 2016"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{reference_date} {year} {month} {unit} {{literally}}", None),
        ("plain", None),
        ("{refrence_date}", "there is no value named 'refrence_date'; did you mean 'reference_date'?"),
        ("{}", "there is no value named ''; expected one of month, reference_date, unit, year"),
        ("{unit.__class__}", "there is no value named 'unit.__class__'; expected one of"),
        ("{unit!r}", "there is no value named 'unit!r'; did you mean 'unit'?"),
        ("open {unit", "found 'open {unit' with a single '{'; write '{{' for a brace"),
        ("close }", "found 'close }' with a single '}'; write '}}' for a brace"),
    ],
)
def test_places_without_a_value_are_complained_of(text: str, message: str | None) -> None:
    found = complaint(text, ["unit"])
    assert found is None if message is None else found is not None and found.startswith(message)


def test_what_a_notebook_says_goes_before_what_its_workflow_says() -> None:
    general = Sheet("W", organisation="O", language="fr")
    assert merged(general, Sheet("N", contact="C")) == Sheet("N", organisation="O", contact="C", language="fr")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("flows_above_normal", "Flows above normal"),
        ("daily-report", "Daily report"),
        ("w", "W"),
        ("Flows of DRC", "Flows of DRC"),
        ("flows of DRC", "flows of DRC"),
        ("_x", "_x"),
        ("taux_été", "taux_été"),
    ],
)
def test_names_for_programs_are_written_for_people(name: str, shown: str) -> None:
    assert human(name) == shown


def test_values_of_parameters_are_written_for_people() -> None:
    assert value_text(["2016-01-01", "admin2", 3, True], "es") == "1 de enero de 2016, admin2, 3, true"
    assert value_text("2016-13-01", "en") == "2016-13-01"
