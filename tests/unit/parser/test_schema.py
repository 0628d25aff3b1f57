# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The JSON Schema that editors read is the shape that AutoFlow accepts."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import ValidationError

from autoflow.dates.durations import parse_duration
from autoflow.definitions import NotebookEntry, Retries, WorkflowEntry
from autoflow.parser.schema import json_schema, validator
from tests.conftest import ROOT
from tests.reference import REFERENCE, keys_in

EXAMPLE = ROOT / "examples" / "inputs" / "workflows.yml"

FULL = """
workflows:
  - name: w
    title: "Flows, {month}"
    subtitle: of all
    organisation: O
    contact: c@example.org
    language: pt
    logo: logo.svg
    timeout: 1h30m
    retries: {attempts: 3, pause: 90s, max_pause: 1d}
    concurrency: 2
    notebooks:
      a: {filename: a.ipynb, title: T, parameters: {x: x}, timeout: none, output: {format: pdf, template: t.tpl}}
      b: {filename: b.ipynb, parameters:, output: [{format: pdf, theme: t.yml}, {format: html, code: true}]}
    keep: {notebooks: 30d, reports: 100, attempts: 1d12h}
available_dates_sensor:
  schedule:
  timezone: Africa/Accra
  cdr_types: [calls, mds]
  order: newest
  concurrency: {runs: 3, notebooks: 4}
  workflows:
    - workflow_name: w
      parameters: {x: [1, {y: 2}]}
      earliest_date: "2016-01-01"
      date_stencil: [0, [-7, "2016-01-01"], [month-1, month], year + 1, {from: month, to: 0, at_least: 60%}]
      late: {after: 5d, at_least: 3, finalise: false}
      latest_date: "2016-12-31"
      dates: "* * sun"
      exclude: ["2016-03-06", ["2016-12-24", "2017-01-01"]]
      cdr_types: [calls, sms]
      require: all
      lag: 2d
    - {workflow_name: w, lag: 2}
"""


@cache
def editor() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema())


def by_schema(content: Any) -> bool:
    return editor().is_valid(content)


def by_model(content: Any) -> bool:
    try:
        validator().validate_python(content)
    except ValidationError:
        return False
    return True


def changed(path: tuple[str | int, ...], value: Any) -> Any:
    content: Any = yaml.safe_load(FULL)
    inner = content
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return content


def test_the_schema_is_one_and_can_be_written() -> None:
    schema = json.loads(json.dumps(json_schema()))
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_example_and_every_key_are_valid() -> None:
    # editors see text where YAML has dates
    example = json.loads(json.dumps(yaml.safe_load(EXAMPLE.read_text()), default=str))
    for content in (example, yaml.safe_load(FULL)):
        assert by_model(content)
        assert by_schema(content)


SENSOR = "available_dates_sensor"
TRIGGER = (SENSOR, "workflows", 0)


@pytest.mark.parametrize("path", [("workflows",), (SENSOR, "workflows")])
def test_editors_and_autoflow_take_lists_that_are_empty(path: tuple[str, ...]) -> None:
    assert by_model(changed(path, []))
    assert by_schema(changed(path, []))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("extra",), 1),
        (("workflows", 0, "name"), ""),
        (("workflows", 0, "name"), 3),
        (("workflows", 0, "notebooks"), {}),
        (("workflows", 0, "notebooks"), None),
        (("workflows", 0, "notebooks", ""), {"filename": "a.ipynb"}),
        (("workflows", 0, "notebooks", "a", "filename"), None),
        (("workflows", 0, "notebooks", "a", "filenam"), "a.ipynb"),
        (("workflows", 0, "notebooks", "a", "parameters"), {"x": 3}),
        (("workflows", 0, "notebooks", "a", "parameters"), []),
        (("workflows", 0, "notebooks", "a", "timeout"), 90),
        (("workflows", 0, "notebooks", "a", "timeout"), "soon"),
        (("workflows", 0, "notebooks", "a", "timeout"), None),
        (("workflows", 0, "notebooks", "a", "output"), "pdf"),
        (("workflows", 0, "notebooks", "a", "output"), {}),
        (("workflows", 0, "notebooks", "a", "output", "format"), "docx"),
        (("workflows", 0, "notebooks", "a", "output", "template"), ""),
        (("workflows", 0, "notebooks", "b", "output", 0, "format"), "docx"),
        (("workflows", 0, "notebooks", "b", "output", 1, "code"), "yes"),
        (("workflows", 0, "keep"), 3),
        (("workflows", 0, "keep", "reports"), 0),
        (("workflows", 0, "keep", "reports"), "many"),
        (("workflows", 0, "retries"), 3),
        (("workflows", 0, "retries", "attempts"), 0),
        (("workflows", 0, "retries", "attempts"), "3"),
        (("workflows", 0, "retries", "attempts"), True),
        (("workflows", 0, "retries", "pause"), "none"),
        (("workflows", 0, "concurrency"), 0),
        (("workflows", 0, "concurrency"), 1.5),
        ((SENSOR, "schedule"), 5),
        ((SENSOR, "timezone"), None),
        ((SENSOR, "cdr_types"), []),
        ((SENSOR, "cdr_types"), "calls"),
        ((SENSOR, "cdr_types"), ["call"]),
        ((SENSOR, "order"), "random"),
        ((SENSOR, "concurrency", "runs"), -1),
        ((*TRIGGER, "workflow_name"), None),
        ((*TRIGGER, "earliest_date"), 20160101),
        ((*TRIGGER, "earliest_date"), True),
        ((SENSOR, "require"), "both"),
        ((SENSOR, "require"), None),
        ((*TRIGGER, "latest_date"), 20160101),
        ((*TRIGGER, "dates"), 5),
        ((*TRIGGER, "exclude"), None),
        ((*TRIGGER, "exclude"), "2016-01-01"),
        ((*TRIGGER, "exclude"), [-3]),
        ((*TRIGGER, "exclude"), [["2016-01-01"]]),
        ((*TRIGGER, "cdr_types"), []),
        ((*TRIGGER, "cdr_types"), ["call"]),
        ((*TRIGGER, "require"), "both"),
        ((*TRIGGER, "lag"), None),
        ((*TRIGGER, "lag"), -1),
        ((*TRIGGER, "lag"), 1.5),
        ((*TRIGGER, "lag"), True),
        ((*TRIGGER, "lag"), 4000),
        ((*TRIGGER, "lag"), "soon"),
        ((*TRIGGER, "date_stencil"), []),
        ((*TRIGGER, "date_stencil"), None),
        ((*TRIGGER, "date_stencil"), [True]),
        ((*TRIGGER, "date_stencil"), [1.5]),
        ((*TRIGGER, "date_stencil"), [[0]]),
        ((*TRIGGER, "date_stencil"), [{"from": 0}]),
        ((*TRIGGER, "date_stencil"), [{"from": 0, "to": 1, "until": 2}]),
        ((*TRIGGER, "date_stencil"), [{"from": 0, "to": 1, "longest_gap": 0}]),
        ((*TRIGGER, "late"), {"at_least": 3}),
        ((*TRIGGER, "late"), {"after": "5 days"}),
        ((*TRIGGER, "date_stencil"), [[0, 1, 2]]),
    ],
)
def test_editors_and_autoflow_refuse_the_same(path: tuple[str | int, ...], value: Any) -> None:
    content = changed(path, value)
    assert not by_model(content)
    assert not by_schema(content)


def test_every_key_is_explained() -> None:
    schema = json_schema()
    for definition in [schema, *schema["$defs"].values()]:
        assert definition["description"]
        for name, value in definition["properties"].items():
            # what refers to a model is explained there
            assert "description" in value or "$ref" in value, name


@pytest.mark.parametrize(
    ("entry", "field"),
    [(NotebookEntry, "timeout"), (WorkflowEntry, "timeout"), (Retries, "pause"), (Retries, "max_pause")],
)
def test_defaults_told_to_editors_are_those_that_hold(entry: type[Any], field: str) -> None:
    told = json_schema()["$defs"][entry.__name__]["properties"][field]["default"]
    assert parse_duration(told) == getattr(entry, field)


def test_the_reference_has_every_key_as_the_definitions_have_it() -> None:
    reference = (REFERENCE / "workflows-yml.md").read_text()
    entries = json_schema()["$defs"]
    tables = keys_in(reference)
    tables["NotebookEntry"] |= tables["WorkflowEntry"] & entries["NotebookEntry"]["properties"].keys()
    for name, keys in tables.items():
        assert keys == entries[name]["properties"].keys()
