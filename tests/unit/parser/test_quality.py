# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""How QA checks are written in workflows.yml, and what is said of mistakes."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from autoflow.definitions import QualityCheck
from autoflow.errors import DefinitionError
from autoflow.parser import load_definitions
from autoflow.quality.check import Bound
from tests.conftest import NOTEBOOKS

GOOD = """
workflows:
  - name: w
    notebooks:
      run: {filename: glues.ipynb, parameters: {reference_date: reference_date, version: data_version}}
available_dates_sensor:
  schedule: null
  cdr_types: [calls, sms]
  quality:
    - {check: count_duplicated, at_most: 0.1%}
    - {check: latest_timestamp, at_least: "18:00", on_missing: hold}
    - {check: count_msisdns, within: 30%, on_missing: wait 2d}
  workflows:
    - {workflow_name: w}
    - {workflow_name: w, date_stencil: [-1], quality: []}
    - {workflow_name: w, date_stencil: [-2], quality: {check: median_duration.calls, at_least: 5}, restatement: rerun}
"""
CHECKS = (
    QualityCheck("count_duplicated", at_most=Bound(0.1, "percent")),
    QualityCheck("latest_timestamp", at_least=Bound(18 * 3600.0, "time"), on_missing="hold"),
    QualityCheck("count_msisdns", within=30.0, on_missing=dt.timedelta(days=2)),
)


def write(directory: Path, text: str) -> Path:
    shutil.copy(NOTEBOOKS / "glues.ipynb", directory)
    (directory / "workflows.yml").write_text(text)
    return directory / "workflows.yml"


def test_a_trigger_has_the_checks_of_the_sensor_or_its_own_or_none(tmp_path: Path) -> None:
    definitions, _ = load_definitions(write(tmp_path, GOOD))
    theirs = [definitions.data_rule(trigger).quality for trigger in definitions.triggers]
    assert theirs == [CHECKS, (), (QualityCheck("median_duration.calls", at_least=Bound(5.0)),)]
    # without a word of restatement, who goes by checks is told of it
    assert list(map(definitions.restatement_of, definitions.triggers)) == ["tell", None, "rerun"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            '"18:00"',
            "18:00",
            "11:43: available_dates_sensor.quality[1].at_least: found 1080, expected a time of the day",
        ),
        ("0.1%", "a bit", "10:42: available_dates_sensor.quality[0].at_most: found 'a bit', expected a number, a perc"),
        (
            "30%",
            "30",
            "12:38: available_dates_sensor.quality[2].within: found 30, expected a percentage greater than 0",
        ),
        (
            "wait 2d",
            "later",
            "quality[2].on_missing: found 'later', expected pass, hold, wait, or wait with a duration",
        ),
        (", within: 30%", "", "12:7: available_dates_sensor.quality[2]: says nothing of what outcomes have to be like"),
        ("within: 30%", "at_most: 1, at_least: 2", "2 is more than at_most, 1: no outcome is as asked, and every date"),
        ("median_duration.calls", "median_duration.mds", "'mds' is none of the CDR types that count here (calls, sms)"),
        (
            "median_duration.calls",
            "Median",
            "workflows[2].quality.check: FlowAPI lists a check whose name has capitals",
        ),
        ("at_least: 5", "at_lest: 5", "workflows[2].quality.at_lest: unknown key; did you mean 'at_least'?"),
        ("at_most: 0.1%", 'at_most: "06:00"', "a time of the day, but outcomes of count_duplicated are numbers"),
        ('at_least: "18:00"', "within: 5%", "outcomes of latest_timestamp are times; within is for numbers"),
        ("restatement: rerun", "restatement: again", "restatement: found 'again'; expected one of ignore, rerun, tell"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    with pytest.raises(DefinitionError) as raised:
        load_definitions(write(tmp_path, GOOD.replace(old, new, 1)))
    assert any(expected in str(problem) for problem in raised.value.problems), raised.value.problems


def test_a_name_that_is_nearly_one_of_flowetls_is_doubtful(tmp_path: Path) -> None:
    _, warnings = load_definitions(write(tmp_path, GOOD.replace("count_msisdns", "count_msisdn")))
    assert any("did you mean 'count_msisdns'?" in str(warning) for warning in warnings)
