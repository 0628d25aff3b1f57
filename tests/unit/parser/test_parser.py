# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml: what is accepted, and the words for what is not."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from autoflow.dates import Share
from autoflow.dates.date_stencil import DateStencil
from autoflow.dates.listed_dates import DataRule
from autoflow.definitions import Automatic, Concurrency, Keep, Late, Notebook, Output, Retries, Sheet
from autoflow.errors import DefinitionError
from autoflow.parser.parser import load_definitions
from autoflow.runs.runs import build_run, key_maker, recorded_run
from tests.conftest import NOTEBOOKS, ROOT

EXAMPLE = ROOT / "examples" / "inputs"

GOOD = """\
workflows:
  - name: flows
    notebooks:
      run:
        filename: glues.ipynb
        parameters: {reference_date: reference_date}
      report:
        filename: reads.ipynb
        parameters: {previous: run}
available_dates_sensor:
  schedule: "0 0 * * *"
  workflows:
    - workflow_name: flows
"""

WEB_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmFseXN0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1hYmM"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    directory = tmp_path / "inputs"
    directory.mkdir()
    for name in ("glues", "reads", "of_another_kernel"):
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", directory)
    return directory


def load(inputs: Path, text: str) -> list[str]:
    """Give the warnings; raise the errors."""
    (inputs / "workflows.yml").write_bytes(text.encode("utf-8", "surrogatepass"))
    return [str(problem) for problem in load_definitions(inputs / "workflows.yml")[1]]


def errors_of(inputs: Path, text: str) -> list[str]:
    """Give the errors, each without the directory."""
    with pytest.raises(DefinitionError) as raised:
        load(inputs, text)
    return [str(problem).removeprefix(f"{inputs}/") for problem in raised.value.problems]


def test_the_examples_definitions_are_as_the_predecessor_had_them() -> None:
    definitions, warnings = load_definitions(EXAMPLE / "workflows.yml")
    assert warnings == ()
    (workflow,) = definitions.workflows.values()
    assert workflow.dependencies() == {"run_flows": set(), "flows_report": {"run_flows"}}
    assert workflow.wanted_parameters() == {"aggregation_unit"}
    assert workflow.notebooks[1].outputs == (Output("pdf"),)
    assert [trigger.parameters for trigger in definitions.triggers] == [
        {"aggregation_unit": "admin2"},
        {"aggregation_unit": "admin3"},
    ]
    assert definitions.triggers[0].earliest_date == dt.date(2016, 1, 8)
    assert definitions.cdr_types == ("calls", "sms")
    assert definitions.schedule == "0 0 * * *"


def test_optional_keys_have_defaults_that_suit(inputs: Path) -> None:
    assert load(inputs, GOOD) == []
    definitions, _ = load_definitions(inputs / "workflows.yml")
    (trigger,) = definitions.triggers
    assert (trigger.earliest_date, trigger.date_stencil) == (None, DateStencil.parse([0]))
    assert (definitions.timezone, definitions.cdr_types, definitions.order) == ("UTC", None, "oldest")
    assert definitions.workflows["flows"].retries == Retries(attempts=None)


def test_limits_are_read(inputs: Path) -> None:
    text = GOOD.replace(
        "  - name: flows\n",
        "  - name: flows\n    timeout: none\n    concurrency: 1\n"
        "    retries: {attempts: 3, pause: 90s, max_pause: 1h30m}\n",
    )
    text = text.replace("filename: glues.ipynb", "filename: glues.ipynb\n        timeout: 30m")
    text = text.replace(
        "  schedule:", "  timezone: Africa/Accra\n  order: newest\n  concurrency: {runs: 3}\n  schedule:"
    )
    assert load(inputs, text) == []
    definitions, _ = load_definitions(inputs / "workflows.yml")
    workflow = definitions.workflows["flows"]
    assert (workflow.timeout, workflow.concurrency) == (None, 1)
    assert workflow.retries == Retries(3, 90.0, 5400.0)
    assert workflow.notebooks[0] == Notebook(
        "run", filename="glues.ipynb", parameters={"reference_date": "reference_date"}, timeout=1800.0
    )
    assert (definitions.timezone, definitions.order) == ("Africa/Accra", "newest")
    assert definitions.concurrency == Concurrency(3, 3)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("auto", Automatic()),
        ("{most: 6}", Automatic(6)),
        ("{notebooks: 2}", Concurrency(2, 2)),
        ("{runs: 3, notebooks: 2}", Concurrency(3, 2)),
    ],
)
def test_concurrency_is_left_to_the_machine_or_fixed(
    inputs: Path, written: str, meant: Automatic | Concurrency
) -> None:
    assert load(inputs, GOOD.replace("  schedule:", f"  concurrency: {written}\n  schedule:")) == []
    assert load_definitions(inputs / "workflows.yml")[0].concurrency == meant


def test_notebooks_that_import_flowclient_are_in_a_pool_unless_numbers_are_fixed(inputs: Path) -> None:
    shutil.copy(NOTEBOOKS / "asks_flowapi.ipynb", inputs / "glues.ipynb")
    text = GOOD.replace(
        "        parameters: {reference_date: reference_date}", "        parameters: {flowapi_url: flowapi_url}"
    )

    def pool(more: str) -> tuple[str | None, Mapping[str, int]]:
        (inputs / "workflows.yml").write_text(text.replace("  schedule:", f"{more}  schedule:"))
        definitions, _ = load_definitions(inputs / "workflows.yml")
        return definitions.workflows["flows"].notebooks[0].pool, definitions.pools

    assert pool("") == ("flowapi", {"flowapi": 4})
    assert pool("  pools: {flowapi: 9}\n") == ("flowapi", {"flowapi": 9})
    assert pool("  concurrency: {runs: 4}\n") == (None, {})
    text = text.replace("filename: glues.ipynb", "filename: glues.ipynb\n        pool: flowdb")
    assert pool("  pools: {flowdb: 1}\n") == ("flowdb", {"flowdb": 1})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("  schedule:", "  concurrency: automatic\n  schedule:",
         ["concurrency: found 'automatic', expected auto, or a mapping such as {most: 8} or {runs: 4}"]),
        ("  schedule:", "  concurrency: 4\n  schedule:", ["concurrency: found 4, expected auto, or a mapping"]),
        ("  schedule:", "  concurrency: {}\n  schedule:",
         ["concurrency: found an empty mapping, expected auto, or a mapping such as {most: 8} or {runs: 4}"]),
        *(
            ("  schedule:", f"  concurrency: {{{name}: null}}\n  schedule:",
             [f"concurrency.{name}: found null, expected a whole number; leave it out, or write `concurrency: auto`"])
            for name in ("most", "runs", "notebooks")
        ),
        ("  schedule:", "  concurrency: {most: 6, runs: 2}\n  schedule:",
         ["concurrency.most: `most` is for `auto`, and runs is a fixed number; leave out one of them"]),
        ("filename: glues.ipynb", "filenam: glues.ipynb",
         ["workflows.yml:5:9: workflows[0].notebooks.run.filenam: unknown key; did you mean 'filename'?"]),
        ("        filename: glues.ipynb\n", "", ["workflows[0].notebooks.run.filename: missing; this key is needed"]),
        ("schedule: \"0 0 * * *\"", "schedule: '0 0 * *'",
         ["workflows.yml:11:13: available_dates_sensor.schedule: found '0 0 * *' with 4 fields, expected five"]),
        ("schedule: \"0 0 * * *\"", "schedule: '0 0 31 2 *'", ["never ticks: there is no such date"]),
        ("schedule: \"0 0 * * *\"", "schedule: '0 25 * * *'", ["whose hour '25' cannot be read; expected 0 to 23"]),
        ("schedule: \"0 0 * * *\"", "schedule: 5", ["schedule: found 5, expected text; put it in quotes"]),
        ("schedule:", "timezone: Mars/Base\n  schedule:", ["found 'Mars/Base', expected an IANA time zone"]),
        ("workflow_name: flows", "workflow_name: flow", ["unknown workflow 'flow'; did you mean 'flows'?"]),
        ("glues.ipynb", "glue.ipynb", ["glue.ipynb not found in ", "did you mean 'glues.ipynb'?"]),
        ("glues.ipynb", "../inputs/glues.ipynb/../../x.ipynb", ["is outside of the directory of workflows.yml"]),
        ("glues.ipynb", "/etc/passwd", ["/etc/passwd is an absolute path, expected one from the directory"]),
        ("glues.ipynb", "link.ipynb", ["link.ipynb is outside of the directory of workflows.yml"]),
        ("glues.ipynb", "of_another_kernel.ipynb",
         ["asks for the kernel 'no_such_kernel', which is not installed; install it"]),
        ("glues.ipynb", "workflows.yml", ["workflows.yml is not a notebook: its JSON breaks at line 1"]),
        ("glues.ipynb", ".", [". is not a file"]),
        ("filename: reads.ipynb", "output: {format: pdf, template: no.tpl}\n        filename: reads.ipynb",
         ["notebooks.report.output.template: no.tpl not found"]),
        ("filename: reads.ipynb", "output: {format: docx}\n        filename: reads.ipynb",
         ["output.format: found 'docx'; expected one of html, pdf"]),
        ("filename: reads.ipynb", "output: [{format: pdf}, {format: pdf}]\n        filename: reads.ipynb",
         ["report.output[1].format: 'pdf' is listed twice; a notebook has one report of each"]),
        ("filename: reads.ipynb", "output: [{format: pdf}, {formt: html}]\n        filename: reads.ipynb",
         ["report.output[1].formt: unknown key; did you mean 'format'?"]),
        ("filename: reads.ipynb", "output: {format: html, theme: link.ipynb}\n        filename: reads.ipynb",
         ["report.output.theme: link.ipynb is outside of", "report.output.theme: a theme is for pdf; remove it"]),
        ("name: flows", "name: flows\n    titel: x\n    language: french\n    subtitle: ' '\n    logo: glues.ipynb",
         ["workflows.yml:3:5: workflows[0].titel: unknown key; did you mean 'title'?",
          "workflows[0].language: found 'french'; expected one of ar, en, es, fr, pt",
          "workflows[0].subtitle: found ' ', expected text that is not blank",
          "workflows[0].logo: glues.ipynb is not a picture that ends with .png, .jpg, .jpeg, .svg"]),
        ("filename: reads.ipynb", "title: '{refrence_date}'\n        contact: '{'\n        logo: gone.png\n"
         "        organisation: 2016\n        filename: reads.ipynb",
         ["workflows.yml:8:16: workflows[0].notebooks.report.title: there is no value named 'refrence_date';"
          " did you mean 'reference_date'?",
          "report.contact: found '{' with a single '{'; write '{{' for a brace",
          "report.logo: gone.png not found in", "report.organisation: found 2016, expected text; put it in quotes"]),
        ("filename: reads.ipynb", "output: {format: pdf, theme: no.yml}\n        filename: reads.ipynb",
         ["report.output.theme: no.yml not found in"]),
        ("filename: reads.ipynb", "output: {format: pdf, code: 1}\n        filename: reads.ipynb",
         ["report.output.code: found 1, expected"]),
        ("      run:", "      flowapi_url:", ["'flowapi_url' is a name that AutoFlow provides a value for"]),
        ("{reference_date: reference_date}", "{reference_date: report}",
         ["workflows.yml:6:38: workflows[0].notebooks.run.parameters.reference_date: notebooks depend on each other"
          " in a cycle: run -> report -> run (each reads the next)"]),
        ("{reference_date: reference_date}", "{reference_date: run}", ["notebook 'run' reads itself"]),
        ("{reference_date: reference_date}", "{reference_date: unit}",
         ["the parameter 'unit', which run of 'flows' reads, is missing; add it under parameters"]),
        ("{reference_date: reference_date}", "{reference_date: reprt}", ["or did you mean the notebook 'report'?"]),
        ("{reference_date: reference_date}", "{reference_date: refrence_date}",
         ["is missing; add it under parameters, or did you mean 'reference_date'?"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      refrence_date: 2016-01-01",
         ["workflows[0].refrence_date: unknown key; did you mean 'reference_date'? AutoFlow provides it"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: {refrence_date: 2016-01-01}",
         ["no notebook of 'flows' uses this parameter; did you mean 'reference_date'? AutoFlow provides it"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      date_stencil: [[refrence_date, 1]]",
         ["date_stencil[0][0]: found 'refrence_date', expected a date (YYYY-MM-DD), a whole number of days, or a first"
          " day such as month or month-1; the reference date itself is 0"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: {unit: admin2}",
         ["no notebook of 'flows' uses this parameter"]),
        ("- workflow_name: flows", f"- workflow_name: flows\n      parameters: {{unit: [{WEB_TOKEN}]}}",
         ["workflows.yml:14:20: available_dates_sensor.workflows[0].parameters.unit: this looks like a token",
          'by environ["FLOWAPI_TOKEN"] (docs/how-to/write-a-notebook.md)']),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: {run: admin2}",
         ["'run' is the label of a notebook of 'flows'; rename one of them"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: {reference_date: x}",
         ["AutoFlow provides the value of this parameter; remove it"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      earliest_date: 2016-13-04",
         ["workflows.yml:14:22: available_dates_sensor.workflows[0].earliest_date: found 2016-13-04, which is not"
          " a valid date (month must be in 1..12)"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      earliest_date: 2016-01-04 10:00:00",
         ["expected a date such as 2016-01-01"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      date_stencil: [true]",
         ["workflows.yml:14:22: available_dates_sensor.workflows[0].date_stencil[0]: found true, expected a date"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      date_stencil: [[0, -3]]",
         ["date_stencil[0]: [0, -3] holds no day; the start must come first"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      date_stencil: []", ["expected a list of dates"]),
        ("- workflow_name: flows", "- workflow_nam: flows", ["unknown key; did you mean 'workflow_name'?"]),
        ("available_dates_sensor:", "available_date_sensor:",
         ["available_date_sensor: unknown key; did you mean 'available_dates_sensor'?"]),
        ("available_dates_sensor:\n", "available_dates_sensor:\n  cdr_types: [call]\n",
         ["cdr_types[0]: found 'call'; did you mean 'calls'?"]),
        ("  workflows:\n    - workflow_name: flows\n", "  workflows:\n",
         ["available_dates_sensor.workflows: found nothing, expected a list"]),
        ("  - name: flows\n", "  - name: flows\n    timeout: 30\n", ["did you mean '30s'?"]),
        ("  - name: flows\n", "  - name: flows\n    concurrency: true\n", ["found true, expected a whole number"]),
        ("  - name: flows\n", "  - name: flows\n    name: flows\n",
         ["workflows.yml:3:5: workflows[0].name: this key appears twice, first in line 2; keep one of them"]),
        ("  - name: flows\n", "  - name: flows\n    a: [1\n", ["is not valid YAML"]),
        ("  - name: flows\n", "  - name: flows\n\ttab: 1\n", ["is not valid YAML"]),
        ("available_dates_sensor:", "---\navailable_dates_sensor:", ["a second document starts here"]),
        ("workflows:\n  - name", "workflows: !!python/object:os.system\n  - name",
         ["workflows.yml:1:12: workflows: found a value of the kind !!python/object:os.system"]),
        ("workflow_name: flows", "workflow_name: [flows]", ["workflow_name: found a list, expected text"]),
        ("name: flows", "name: no", ["workflows[0].name: found false, expected text; put it in quotes"]),
        ("glues.ipynb", "Glues.ipynb", ["did you mean 'glues.ipynb'?"]),
        ("glues.ipynb", "pipe.ipynb", ["pipe.ipynb is not a file"]),
        ("glues.ipynb", '"a\\0b"', ["is not a usable file name"]),
        ("glues.ipynb", "g" * 300, ["cannot be read (File name too long)"]),
        ("glues.ipynb", "nameless.ipynb", ["nameless.ipynb names no kernel; open it in Jupyter"]),
        ("{reference_date: reference_date}", "{reference_date: 3}", ["found 3, expected text"]),
        ("{reference_date: reference_date}", "{3: reference_date}",
         ["found the key 3, which YAML does not read as text; put it in quotes"]),
        ("      run:", "      1:", ["workflows.yml:4:7: workflows[0].notebooks.1: found the key 1"]),
        ("      run:", '      "":', ["workflows.yml:4:7: workflows[0].notebooks.'': found the key '', expected text"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: [unit]",
         ["parameters: found a list, expected a mapping"]),
        ("{reference_date: reference_date}", "{reference_date: unit}\n# ", ["is missing"]),
        ("filename: reads.ipynb", "output: pdf\n        filename: reads.ipynb", ["found 'pdf', expected a mapping"]),
        ("available_dates_sensor:\n", "available_dates_sensor:\n  cdr_types: [[calls]]\n",
         ["cdr_types[0]: found a list; expected calls, sms, mds, topups"]),
        ("schedule: \"0 0 * * *\"", "schedule: * * * * *", ["text that begins with * must be in quotes"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      cdr_types: [call]",
         ["workflows.yml:14:19: available_dates_sensor.workflows[0].cdr_types[0]: found 'call'; did you mean 'calls'"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      require: al",
         ["workflows[0].require: found 'al'; did you mean 'all'?"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      requires: all", ["did you mean 'require'?"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      require: all",
         ["workflows.yml:14:16: available_dates_sensor.workflows[0].require: all of which types? Name them under"]),
        ("schedule:", "require: all\n  schedule:", ["available_dates_sensor.workflows[0]: all of which types?"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      dates: sun",
         ["workflows.yml:14:14: available_dates_sensor.workflows[0].dates: found 'sun' with 1 field, expected three"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      dates: 30 2 *", ["'30 2 *' never matches"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      dates: * * sun", ["must be in quotes"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      dates: 5", ["dates: found 5, expected text"]),
        ("- workflow_name: flows",
         "- workflow_name: flows\n      earliest_date: 2016-01-02\n      latest_date: 2016-01-01",
         ["workflows.yml:15:20: available_dates_sensor.workflows[0].latest_date: 2016-01-01 is before the earliest"
          " date, 2016-01-02"]),
        ("- workflow_name: flows",
         "- {workflow_name: flows, earliest_date: 2016-01-04, latest_date: 2016-01-09, dates: '* * sun'}",
         ["dates: '* * sun' matches no date from 2016-01-04 to 2016-01-09, the earliest and the latest date"]),
        ("- workflow_name: flows",
         "- {workflow_name: flows, earliest_date: 2016-01-04, latest_date: 2016-01-19, dates: '* * sun',"
         " exclude: [2016-01-10, [2016-01-16, 2016-01-18]]}",
         ["workflows[0].exclude: leaves no date for this trigger"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      exclude: 2016-01-01",
         ["exclude: found 2016-01-01, expected a list of dates and pairs of dates"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      exclude: [2016-01-01, -3, [2016-01-03, 2016-01-01]]",
         ["exclude[1]: found -3, expected dates (YYYY-MM-DD) and no offsets",
          "exclude[2]: [2016-01-03, 2016-01-01] holds no day; the start must come first"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      exclude: [[2016-01-01, 3]]",
         ["exclude[0]: found [2016-01-01, 3], expected dates"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      exclude: [2016-02-30]", ["is not a valid date"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      lag: 2 days",
         ["lag: found '2 days', expected a whole number of days or a duration such as 2d or 36h"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      lag: -1", ["lag: found -1, expected a whole number"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      lag: true", ["lag: found true, expected"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      lag: 99999999999d", ["no more than 3650 days"]),
        ("  schedule: \"0 0 * * *\"\n", "", ["available_dates_sensor.schedule: missing; this key is needed"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_to_do(inputs: Path, old: str, new: str, expected: list[str]) -> None:
    (inputs / "link.ipynb").symlink_to("/etc/passwd")
    os.mkfifo(inputs / "pipe.ipynb")
    (inputs / "nameless.ipynb").write_text('{"nbformat": 4, "cells": [], "metadata": {}}')
    assert old in GOOD
    errors = "\n".join(errors_of(inputs, GOOD.replace(old, new, 1)))
    assert errors.startswith("workflows.yml:")
    for words in expected:
        assert words in errors


def test_all_mistakes_are_told_in_one_go_in_the_order_of_the_file(inputs: Path) -> None:
    text = GOOD.replace("filename: glues", "filename: glue").replace("reads.ipynb", "reads.ipynb\n        outptu: 1")
    text = text.replace("'0 0 * * *'", "'never'").replace("workflow_name: flows", "workflow_name: floows")
    errors = errors_of(inputs, text)
    assert [error.split(":")[1] for error in errors] == ["5", "9", "14"]


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "not found; AUTOFLOW_INPUTS_DIR"), (b"", "is empty"), (b"\xff\xfe\x00", "is not UTF-8 text"),
     (b"- a\n", "found a list, expected a mapping"), (b"just text", "found 'just text', expected a mapping"),
     (b"a: &a [*a]\n", "holds itself through an alias"), (b"? [1, 2]\n: 3\n", "found a list or mapping as a key")],
)  # fmt: skip
def test_a_file_of_another_kind_is_told(inputs: Path, content: bytes | None, words: str) -> None:
    path = inputs / "workflows.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DefinitionError) as raised:
        load_definitions(path)
    assert words in str(raised.value)


def test_a_file_that_is_a_directory_is_told(inputs: Path) -> None:
    (inputs / "workflows.yml").mkdir()
    with pytest.raises(DefinitionError, match="cannot be read"):
        load_definitions(inputs / "workflows.yml")


def test_a_file_that_blows_up_is_bounded(inputs: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "stands for more than" in errors_of(inputs, bomb)[0]


def test_files_that_a_notebook_reads_are_patterns_that_match_some(inputs: Path) -> None:
    def with_reads(reads: str) -> str:
        return GOOD.replace("filename: glues.ipynb", f"filename: glues.ipynb\n        reads: {reads}")

    assert with_reads("x") != GOOD
    (inputs / "texts").mkdir()
    (inputs / "texts" / "a.md").touch()
    assert (
        load(inputs, with_reads("[texts/*.md, '**/a.md', inputs_dir/texts/*, shared_dir/x, run_dir/*, ./texts/a.md]"))
        == []
    )
    (warning,) = load(inputs, with_reads("[texts/*.md, texts/*.csv]"))
    assert ".reads[1]: no file in" in warning
    assert "matches 'texts/*.csv'" in warning
    (warning,) = load(inputs, with_reads("texts"))
    assert ".reads: no file in" in warning
    for wrong in ("/etc/*", "../x", ".", "./", "a/.", "a**", "''"):
        (error,) = errors_of(inputs, with_reads(wrong))
        assert ".reads: found" in error


def test_doubtful_things_are_warned_about(inputs: Path) -> None:
    text = GOOD.replace("{reference_date: reference_date}", "{referenc_date: reference_date}")
    text = text.replace(
        "available_dates_sensor:", "  - {name: idle, notebooks: {a: {filename: glues.ipynb}}}\navailable_dates_sensor:"
    )
    warnings = "\n".join(load(inputs, text + "    - workflow_name: flows\n"))
    assert "does not define 'referenc_date'; did you mean 'reference_date'?" in warnings
    assert "no trigger under available_dates_sensor.workflows runs 'idle'" in warnings
    assert "asks for the same runs as the trigger in line" in warnings


def test_two_triggers_cannot_say_of_the_same_runs_otherwise_when_they_are_final(inputs: Path) -> None:
    window = "date_stencil: [{from: -2, to: 1, at_least: 1}], late: {after: 1d}"
    trigger = "    - {workflow_name: flows, " + window + "%s}\n"
    text = GOOD.replace("    - workflow_name: flows\n", trigger % "" + trigger)
    found = "asks for the same runs as the trigger in line"
    (warning,) = [each for each in load(inputs, text % "") if found in each]
    assert warning.endswith("; each is run once")
    for other, keys in {
        ", quality: {check: count_msisdns, at_least: 5}": "quality",
        ", lag: 2, cdr_types: [calls]": "cdr_types and lag",
    }.items():
        (error,) = errors_of(inputs, text % other)
        assert found in error
        assert error.endswith(
            f"and one of them has late; expected the same {keys} in both, or dates that do not overlap"
        )
    (error,) = errors_of(inputs, text.replace("at_least: 1}", "at_least: 2}", 1) % "")
    assert "expected the same date_stencil in both" in error
    apart = text.replace(window, f"{window}, latest_date: 2016-02-01", 1) % ", earliest_date: 2016-03-01, lag: 2"
    assert not any(found in each for each in load(inputs, apart))


def test_yaml_anchors_and_merge_keys_work(inputs: Path) -> None:
    text = GOOD.replace(
        "    - workflow_name: flows\n",
        "    - &t {workflow_name: flows, earliest_date: 2016-01-01}\n    - {<<: *t, earliest_date: 2016-02-01}\n",
    )
    load(inputs, text)
    definitions, _ = load_definitions(inputs / "workflows.yml")
    assert [t.earliest_date for t in definitions.triggers] == [dt.date(2016, 1, 1), dt.date(2016, 2, 1)]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_notebook_that_can_not_be_read_is_told(inputs: Path) -> None:
    (inputs / "glues.ipynb").chmod(0)
    assert "cannot be read" in errors_of(inputs, GOOD)[0]


def test_a_mistake_hides_no_other(inputs: Path) -> None:
    """What is wrong in a workflow's shape does not keep its cycle and its triggers from being looked at."""
    text = GOOD.replace("{reference_date: reference_date}", "{reference_date: report, a: unit}")
    text = text.replace("filename: glues.ipynb", "filename: glues.ipynb\n        timeout: 5")
    text = text.replace('"0 0 * * *"', '"0 0 31 2 *"\n  timezone: Mars/Base')
    text += "      date_stencil: [2016-02-30, [3, 1]]\n"
    told = [error.split(": ", 2)[1] for error in errors_of(inputs, text)]
    assert told == [
        "workflows[0].notebooks.run.timeout",
        "workflows[0].notebooks.run.parameters.reference_date",
        "available_dates_sensor.schedule",
        "available_dates_sensor.timezone",
        "available_dates_sensor.workflows[0]",
        "available_dates_sensor.workflows[0].date_stencil[0]",
        "available_dates_sensor.workflows[0].date_stencil[1]",
    ]


def test_a_mistake_makes_no_others_up(inputs: Path) -> None:
    """A parameter is not called unused because the notebook that uses it is misspelt."""
    text = GOOD.replace("parameters: {previous: run}", "parametrs: {previous: run, unit: unit}")
    text += "      parameters: {unit: admin2}\n"
    (error,) = errors_of(inputs, text)
    assert "unknown key; did you mean 'parameters'?" in error


def test_a_misspelt_key_is_not_also_missing(inputs: Path) -> None:
    assert errors_of(inputs, GOOD.replace("filename: glues", "filenam: glues")) == [
        "workflows.yml:5:9: workflows[0].notebooks.run.filenam: unknown key; did you mean 'filename'?"
    ]


def test_workflows_of_one_name_are_told_with_both_lines(inputs: Path) -> None:
    """Which of them a trigger's parameters are for cannot be told, and is not guessed at."""
    twin = "  - {name: flows, notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: unit}}}}\n"
    text = GOOD.replace("available_dates", f"{twin}available_dates")
    assert errors_of(inputs, text + "      parameters: {unit: admin2}\n") == [
        "workflows.yml:10:12: workflows[1].name: a workflow named 'flows' is in line 2 already; rename one of them"
    ]


@pytest.mark.parametrize(
    "value",
    ["!!set {a}", "!!binary aGk=", "2016-02-30", "{2016-01-01: 1}", "{.nan: 1}", "{1: a, b: c}", "{null: 1, 2: 3}"],
)
def test_parameters_are_what_json_can_write_and_dates(inputs: Path, value: str) -> None:
    text = GOOD.replace("{reference_date: reference_date}", "{reference_date: unit}")
    (error,) = errors_of(inputs, text + f"      parameters: {{unit: {value}}}\n")
    assert error.startswith("workflows.yml:14:")


def test_parameters_keep_the_types_that_yaml_gave_them(inputs: Path) -> None:
    text = GOOD.replace("{reference_date: reference_date}", "{reference_date: unit}")
    load(inputs, text + "      parameters: {unit: [2016-01-01, '2016-01-01', 1, 1.5, yes, null, {a: b}]}\n")
    (trigger,) = load_definitions(inputs / "workflows.yml")[0].triggers
    assert trigger.parameters == {"unit": [dt.date(2016, 1, 1), "2016-01-01", 1, 1.5, True, None, {"a": "b"}]}


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.dates()
    | st.text("ab1é %\n", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text("ab1", max_size=3), inner, max_size=3)
        | st.dictionaries(st.integers(-20, 20) | st.floats(-20, 20) | st.booleans(), inner, max_size=3)
        | st.dictionaries(st.none(), inner, max_size=1)
    ),
    max_leaves=6,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(value=JSON_VALUES)
@example(value=float("inf"))
@example(value={"a": [float("nan")]})
@example(value={10: "a", 2: "b", True: float("-inf")})
@example(value={None: {1.5: "x"}})
def test_whatever_the_predecessor_could_hash_has_its_hash(inputs: Path, value: Any) -> None:
    text = GOOD.replace("{reference_date: reference_date}", "{reference_date: unit}")
    written = yaml.safe_dump({"unit": value}, default_flow_style=True, width=10**6).replace("\n", "\n        ")
    load(inputs, f"{text}      parameters: {written}")
    definitions, _ = load_definitions(inputs / "workflows.yml")
    (trigger,), day = definitions.triggers, dt.date(2016, 1, 7)
    # the predecessor's formula over what PyYAML alone gives
    theirs = {**yaml.safe_load(written), "reference_date": day, "date_ranges": [(day, day + dt.timedelta(days=1))]}
    expected = hashlib.md5(json.dumps(theirs, sort_keys=True, default=str).encode()).hexdigest()
    run = build_run(definitions.workflows["flows"], trigger, day)
    assert run.parameters_hash == key_maker(trigger)(day)[1] == expected
    # what is recorded is JSON, and the run that is made of it again has the same key
    assert recorded_run(run.workflow, json.loads(json.dumps(run.parameters)), run.parameters_hash).key == run.key


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ("{1: a, 1.0: b}", "unit.1.0: this key appears twice, first in line 14; keep one of them"),
        ("{yes: a, on: b}", "unit.on: this key appears twice, first in line 14; keep one of them"),
        ("{1: a, b: c}", "unit: found keys of different kinds, which have no order; put all of them in quotes"),
        (
            "{2016-01-01: a}",
            "unit.2016-01-01: found the key 2016-01-01, which YAML does not read as text; put it in quotes",
        ),
    ],
)
def test_keys_that_have_no_hash_are_told(inputs: Path, keys: str, problem: str) -> None:
    text = GOOD.replace("{reference_date: reference_date}", "{reference_date: unit}")
    (error,) = errors_of(inputs, f"{text}      parameters: {{unit: {keys}}}\n")
    assert error.endswith(f"available_dates_sensor.workflows[0].parameters.{problem}")


def test_lists_that_leave_nothing_to_run_are_warned_about(inputs: Path) -> None:
    head, _, _ = GOOD.partition("  workflows:\n    - workflow_name")
    assert [each.partition(": ")[2] for each in load(inputs, f"{head}  workflows: []\n")] == [
        "warning: workflows[0].name: no trigger under available_dates_sensor.workflows runs 'flows'",
        "warning: available_dates_sensor.workflows: an empty list: no runs are ever due",
    ]
    sensor = GOOD[GOOD.index("available_dates_sensor") :]
    (error,) = errors_of(inputs, f"workflows: []\n{sensor}")
    assert "unknown workflow 'flows'" in error
    nothing = f"workflows: []\n{sensor.partition('  workflows')[0]}  workflows: []\n"
    assert len(load(inputs, nothing)) == 2


def test_empty_parameters_are_no_parameters(inputs: Path) -> None:
    assert load(inputs, GOOD + "      parameters:\n") == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("", "date_stencil: [[0, 1]]"),
        ("earliest_date: 2016-01-01", "earliest_date: 2017-01-01"),
        ("date_stencil: [2016-01-01]", "date_stencil: ['2016-01-01']"),
    ],
)
def test_triggers_that_ask_for_the_same_runs_are_doubtful(inputs: Path, first: str, second: str) -> None:
    triggers = f"    - workflow_name: flows\n      {first}\n    - workflow_name: flows\n      {second}\n"
    (warning,) = load(inputs, GOOD.replace("    - workflow_name: flows\n", triggers))
    assert "workflows.yml:15:7: warning: available_dates_sensor.workflows[1]: asks for the same runs" in warning
    assert "the trigger in line 13" in warning


def test_triggers_that_differ_are_no_twins(inputs: Path) -> None:
    text = GOOD.replace("{reference_date: reference_date}", "{reference_date: unit}")
    more = "      parameters: {unit: 1}\n    - {workflow_name: flows, parameters: {unit: 2}}\n"
    more += "    - {workflow_name: flows, parameters: {unit: 1}, date_stencil: [-1]}\n"
    assert load(inputs, text + more) == []


@pytest.mark.parametrize(
    ("first", "second", "twins"),
    [
        ("latest_date: 2016-12-31", "earliest_date: 2017-01-01", False),
        ("latest_date: 2017-01-01", "earliest_date: 2017-01-01", True),
        ("dates: '* * sun'", "dates: '* * mon'", False),
        ("dates: '* * sun'", "dates: 'L * *'", True),
        ("cdr_types: [calls]", "cdr_types: [sms]", True),
        ("lag: 2", "lag: 3d", True),
        ("latest_date: 2016-12-31", "exclude: [[1970-01-01, 2017-01-01]]", True),
        ("earliest_date: 2016-01-01, latest_date: 2016-12-31", "exclude: [[1970-01-01, 2017-01-01]]", False),
    ],
)
def test_triggers_that_share_no_date_are_no_twins(inputs: Path, first: str, second: str, twins: bool) -> None:
    triggers = "".join(f"    - {{workflow_name: flows, {keys}}}\n" for keys in (first, second))
    warnings = load(inputs, GOOD.replace("    - workflow_name: flows\n", triggers))
    assert ["asks for the same runs" in warning for warning in warnings] == [True] * twins


def test_dates_and_the_data_that_they_need_are_read(inputs: Path) -> None:
    keys = """\
      latest_date: 2016-12-31
      dates: "* * sun"
      exclude: [2016-03-06, ["2016-12-24", 2017-01-01]]
      cdr_types: [calls, sms]
      require: all
      lag: 36h
"""
    assert load(inputs, GOOD + keys) == []
    (trigger,) = load_definitions(inputs / "workflows.yml")[0].triggers
    assert (trigger.latest_date, trigger.dates) == (dt.date(2016, 12, 31), "* * sun")
    assert trigger.exclude == (
        (dt.date(2016, 3, 6), dt.date(2016, 3, 7)),
        (dt.date(2016, 12, 24), dt.date(2017, 1, 1)),
    )
    assert (trigger.cdr_types, trigger.require, trigger.lag) == (("calls", "sms"), "all", dt.timedelta(hours=36))


def test_a_trigger_goes_before_the_sensor(inputs: Path) -> None:
    text = GOOD.replace("  schedule:", "  cdr_types: [calls, sms]\n  require: all\n  schedule:")
    text += "    - {workflow_name: flows, cdr_types: [mds], date_stencil: [-1]}\n"
    text += "    - {workflow_name: flows, require: any, lag: 2, date_stencil: [-2]}\n"
    assert load(inputs, text) == []
    definitions, _ = load_definitions(inputs / "workflows.yml")
    assert [definitions.data_rule(trigger) for trigger in definitions.triggers] == [
        DataRule(("calls", "sms"), "all", workflow="flows"),
        DataRule(("mds",), "all", workflow="flows"),
        DataRule(("calls", "sms"), "any", dt.timedelta(days=2), workflow="flows"),
    ]


def test_types_that_are_there_twice_and_all_of_one_are_doubtful(inputs: Path) -> None:
    warnings = load(inputs, GOOD + "      cdr_types: [calls, calls]\n      require: all\n")
    assert [warning.split(": ", 2)[2] for warning in warnings] == [
        "available_dates_sensor.workflows[0].cdr_types[1]: 'calls' is listed twice; it counts once",
        "available_dates_sensor.workflows[0].require: with one type, all means the same as any; name more than 'calls'"
        " under cdr_types",
    ]
    text = GOOD.replace("  schedule:", "  cdr_types: [calls]\n  schedule:") + "      require: all\n"
    (warning,) = load(inputs, text)
    assert "workflows[0].require: with one type, all means" in warning


def test_a_notebook_without_a_parameters_cell_is_doubtful(inputs: Path) -> None:
    bare = '{"nbformat": 4, "cells": [], "metadata": {"kernelspec": {"name": "python3", "language": "python"}}}'
    (inputs / "glues.ipynb").write_text(bare)
    (warning,) = load(inputs, GOOD)
    assert "6:21: warning: workflows[0].notebooks.run.parameters: glues.ipynb has no cell tagged" in warning


def test_files_in_subdirectories_are_found(inputs: Path) -> None:
    (inputs / "sub").mkdir()
    (inputs / "glues.ipynb").rename(inputs / "sub" / "glues.ipynb")
    assert load(inputs, GOOD.replace("glues", "sub/glues")) == []
    (error,) = errors_of(inputs, GOOD.replace("glues", "sub/glue"))
    assert "did you mean 'sub/glues.ipynb'?" in error


def test_the_file_is_named_as_it_was_given(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (inputs / "workflows.yml").write_text(GOOD.replace("filename", "filenam"))
    monkeypatch.chdir(inputs)
    with pytest.raises(DefinitionError, match=r"^workflows\.yml:5:9: "):
        load_definitions(Path("workflows.yml"))


def test_every_message_is_one_line(inputs: Path) -> None:
    odd = '"o\\x1bdd\\nkey"'
    text = GOOD.replace("run:", f"{odd}:").replace("name: flows", f"name: {odd}").replace("glues.ipynb", odd)
    for error in errors_of(inputs, text):
        assert error.isprintable()


PIECES = [
    "",
    " ",
    ":",
    "- ",
    "[",
    "}",
    "{",
    "null",
    "\n",
    "1",
    "&a ",
    "*a",
    "<<: *a",
    "!",
    "'",
    "!!set ",
    "yes",
    "2016-02-30",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    changes=st.lists(
        st.tuples(st.floats(0, 1), st.integers(0, 12), st.sampled_from(PIECES) | st.text(max_size=3)), max_size=4
    )
)
def test_a_file_with_slips_of_the_keyboard_is_valid_or_told(
    inputs: Path, changes: list[tuple[float, int, str]]
) -> None:
    """Nothing but definitions or a DefinitionError ever comes of a file."""
    text = (EXAMPLE / "workflows.yml").read_text()
    for share, gone, put in changes:
        at = int(share * len(text))
        text = text[:at] + put + text[at + gone :]
    with suppress(DefinitionError):
        load(inputs, text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.dates() | st.just("flows") | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=2),
    max_leaves=3,
)


def _paths(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    pairs = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for step, inner in pairs:
        yield from _paths(inner, (*path, step))


MORE = """\
      cdr_types: [calls]
      require: all
      dates: "* * sun"
      earliest_date: 2016-01-01
      latest_date: 2016-12-31
      exclude: [2016-01-01, [2016-02-01, 2016-02-03]]
      lag: 2
"""


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), value=values)
def test_a_value_of_any_kind_in_any_place_is_valid_or_told(inputs: Path, data: st.DataObject, value: object) -> None:
    content: Any = yaml.safe_load(GOOD + "      parameters: {}\n      date_stencil: [[-1, 0], 0]\n" + MORE)
    *steps, last = data.draw(st.sampled_from(list(_paths(content))))
    inner = content
    for step in steps:
        inner = inner[step]
    inner[last] = value
    with suppress(DefinitionError):
        load(inputs, yaml.safe_dump(content))


def test_a_notebook_has_one_output_or_a_list_of_them(inputs: Path) -> None:
    (inputs / "own.yml").write_text("extends: default")
    one = "output: {format: html, code: true}"
    several = "output: [{format: pdf, theme: own.yml}, {format: html}]"
    for written, outputs in (
        ("output:", ()),
        (one, (Output("html", code=True),)),
        (several, (Output("pdf", theme="own.yml"), Output("html"))),
    ):
        load(inputs, GOOD.replace("filename: reads.ipynb", f"{written}\n        filename: reads.ipynb"))
        definitions, _ = load_definitions(inputs / "workflows.yml")
        (workflow,) = definitions.workflows.values()
        assert {notebook.outputs for notebook in workflow.notebooks} == {(), outputs}


def test_a_notebook_may_be_called_output(inputs: Path) -> None:
    text = GOOD.replace("      report:", "      output:").replace("reads.ipynb", "reds.ipynb")
    assert any(
        "workflows[0].notebooks.output.filename: reds.ipynb not found" in error for error in errors_of(inputs, text)
    )


def test_keep_takes_numbers_and_ages(inputs: Path) -> None:
    load(inputs, GOOD.replace("    notebooks:", "    keep: {notebooks: 30d, reports: 100}\n    notebooks:"))
    definitions, _ = load_definitions(inputs / "workflows.yml")
    (workflow,) = definitions.workflows.values()
    assert workflow.keep == Keep(notebooks=dt.timedelta(days=30), reports=100)


@pytest.mark.parametrize("amount", ["0", "-1", "true", "soon", "1.5", "[]", "'30'", "99999999999d"])
def test_keep_is_told_what_it_takes(inputs: Path, amount: str) -> None:
    text = GOOD.replace("    notebooks:", f"    keep: {{reports: {amount}}}\n    notebooks:")
    (error,) = errors_of(inputs, text)
    assert "workflows[0].keep.reports: found" in error
    assert "expected a number such as 30 (the newest 30), or an age such as 90d" in error


def test_what_reports_say_of_themselves_is_said_for_a_workflow_or_for_a_notebook(inputs: Path) -> None:
    (inputs / "logo.svg").write_text("<svg/>")
    said = "name: flows\n    title: '{reference_date}'\n    language: fr\n    logo: logo.svg"
    text = GOOD.replace("name: flows", said, 1).replace(
        "filename: reads.ipynb", "filename: reads.ipynb\n        title: Own\n        contact: me"
    )
    assert load(inputs, text) == []
    run, report = load_definitions(inputs / "workflows.yml")[0].workflows["flows"].notebooks
    assert run.sheet == Sheet("{reference_date}", language="fr", logo="logo.svg")
    assert report.sheet == Sheet("Own", contact="me", language="fr", logo="logo.svg")


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("secrets: FLOWAPI_TOKEN", "every notebook has FLOWAPI_TOKEN; remove it here"),
        ("secrets: [PYTHONPATH]", "'PYTHONPATH' is a variable that Python, Jupyter or AutoFlow depend on"),
        ("secrets: [my-key]", "found 'my-key'"),
        ("environment: {LD_PRELOAD: x}", "'LD_PRELOAD' is a variable that Python, Jupyter or AutoFlow depend on"),
        ("environment: {KEY: a}, secrets: [KEY]", "'KEY' is among the secrets too; remove it here"),
        (f"environment: {{KEY: {WEB_TOKEN}}}", "'KEY' looks like a token; name it under secrets"),
        ("environment: {KEY: 3}", "found 3, expected text; put it in quotes"),
    ],
)
def test_variables_that_a_notebook_cannot_be_given_are_told(inputs: Path, keys: str, expected: str) -> None:
    errors = errors_of(
        inputs,
        GOOD.replace(
            "parameters: {previous: run}",
            f"parameters: {{previous: run}}\n        {keys.replace('}, s', '}' + chr(10) + '        s')}",
        ),
    )
    assert any(expected in error for error in errors), errors
    assert not any(WEB_TOKEN in error for error in errors)


LATE = "      date_stencil: [{from: month, to: month+1, at_least: 60%}]\n      late: {after: 5d, at_least: 25}\n"


def test_what_waits_for_some_time_only_says_for_what_and_how_long(inputs: Path) -> None:
    (inputs / "workflows.yml").write_text(GOOD + LATE)
    definitions, warnings = load_definitions(inputs / "workflows.yml")
    (trigger,) = definitions.triggers
    assert trigger.late == Late(dt.timedelta(days=5), Share.read(25))
    assert not any("late" in str(warning) for warning in warnings)
    first, second = LATE.splitlines(keepends=True)
    for text, words in (
        (first, "date_stencil[0]: nothing says when waiting ends, so all of this window is waited for"),
        (second, "late: no window of date_stencil may be incomplete"),
    ):
        (inputs / "workflows.yml").write_text(GOOD + text)
        _, warnings = load_definitions(inputs / "workflows.yml")
        assert [words in str(warning) for warning in warnings].count(True) == 1
    assert "late.after: missing" in "\n".join(errors_of(inputs, GOOD + first + "      late: {at_least: 3}\n"))


def test_runs_that_are_needed_are_all_needed(inputs: Path) -> None:
    needs = "      needs: [{workflow: flows, dates: [{from: month, to: month+1}]}]\n"
    assert "needs[0].dates[0]: found a mapping, expected a pair" in "\n".join(errors_of(inputs, GOOD + needs))


def test_a_parameter_may_have_the_name_of_the_missing_dates(inputs: Path) -> None:
    text = GOOD.replace("reference_date: reference_date", "reference_date: reference_date, gone: missing_dates", 1)
    assert text != GOOD
    (inputs / "workflows.yml").write_text(text)
    load_definitions(inputs / "workflows.yml")
    (inputs / "workflows.yml").write_text(text + "      parameters: {missing_dates: [2016-01-01]}\n")
    definitions, _ = load_definitions(inputs / "workflows.yml")
    assert definitions.triggers[0].parameters == {"missing_dates": [dt.date(2016, 1, 1)]}


@pytest.mark.parametrize(("example", "notebooks"), [("monthly", 1), ("pipelines", 12)])
def test_the_pipelines_of_the_examples_leave_no_doubt(example: str, notebooks: int) -> None:
    definitions, warnings = load_definitions(ROOT / "examples" / example / "inputs" / "workflows.yml")
    assert warnings == ()
    assert sum(len(workflow.notebooks) for workflow in definitions.workflows.values()) == notebooks


def test_a_kernel_that_is_not_installed_is_told(inputs: Path) -> None:
    keys = "parameters: {previous: run}\n        kernel: "
    assert load(inputs, GOOD.replace("parameters: {previous: run}", f"{keys}python3")) == []
    (error,) = errors_of(inputs, GOOD.replace("parameters: {previous: run}", f"{keys}pythn3"))
    assert "the kernel 'pythn3' is not installed; did you mean 'python3'?" in error


POOLS = GOOD.replace("filename: glues.ipynb", "filename: glues.ipynb\n        pool: flowdb").replace(
    "  schedule:", "  pools: {flowdb: 2}\n  schedule:"
)


def test_pools_are_read(inputs: Path) -> None:
    assert load(inputs, POOLS) == []
    definitions, _ = load_definitions(inputs / "workflows.yml")
    workflow = definitions.workflows["flows"]
    assert definitions.pools == {"flowdb": 2}
    assert [notebook.pool for notebook in workflow.notebooks] == ["flowdb", None]
    assert workflow.pools() == workflow.pools(at_start=True) == {"flowdb"}
    assert (
        load(
            inputs,
            POOLS.replace("{previous: run}", "{previous: run}\n        pool: other").replace(
                "{flowdb: 2}", "{flowdb: 2, other: 1}"
            ),
        )
        == []
    )
    definitions, _ = load_definitions(inputs / "workflows.yml")
    workflow = definitions.workflows["flows"]
    assert (workflow.pools(), workflow.pools(at_start=True)) == ({"flowdb", "other"}, {"flowdb"})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("pool: flowdb", "pool: flowbd",
         "workflows.yml:6:15: workflows[0].notebooks.run.pool: unknown pool 'flowbd'; did you mean 'flowdb'?"),
        ("  pools: {flowdb: 2}\n", "",
         "workflows.yml:6:15: workflows[0].notebooks.run.pool: unknown pool 'flowdb';"
         " available_dates_sensor.pools has none; add it there"),
        ("{flowdb: 2}", "{flowdb: 0}",
         "workflows.yml:12:19: available_dates_sensor.pools.flowdb: found 0, expected a number greater than 0"),
        ("{flowdb: 2}", "{flowdb: two}", "pools.flowdb: found 'two', expected a whole number"),
        ("{flowdb: 2}", "{flowdb: true}", "pools.flowdb: found true, expected a whole number"),
        ("{flowdb: 2}", "{flowdb: 1001}", "pools.flowdb: found 1001, expected a number of no more than 1000"),
        ("{flowdb: 2}", "[flowdb]", "available_dates_sensor.pools: found "),
        ("pool: flowdb", "pool: [flowdb]", "workflows[0].notebooks.run.pool: found "),
    ],
)  # fmt: skip
def test_pools_that_cannot_be_meant_are_errors(inputs: Path, old: str, new: str, expected: str) -> None:
    (error,) = errors_of(inputs, POOLS.replace(old, new))
    assert expected in error


def test_a_pool_that_no_notebook_uses_is_doubtful(inputs: Path) -> None:
    (warning,) = load(inputs, POOLS.replace("{flowdb: 2}", "{flowdb: 2, unused: 1}"))
    assert (
        "workflows.yml:12:22: warning: available_dates_sensor.pools.unused: no notebook has `pool: unused`" in warning
    )
