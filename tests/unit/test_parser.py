# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml: what is accepted, and the words for what is not."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
import shutil
from pathlib import Path

import pytest

from autoflow.date_stencil import DateStencil
from autoflow.definitions import Concurrency, Notebook, Output, Retries
from autoflow.errors import DefinitionError
from autoflow.parser import load_definitions
from autoflow.schema import json_schema

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "inputs"

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


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    directory = tmp_path / "inputs"
    directory.mkdir()
    for name in ("glues", "reads", "of_another_kernel"):
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", directory)
    return directory


def load(inputs: Path, text: str) -> list[str]:
    """Give the warnings; raise the errors."""
    (inputs / "workflows.yml").write_text(text)
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
    assert workflow.notebooks[1].output == Output("pdf", None)
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
    assert workflow.notebooks[0] == Notebook("run", "glues.ipynb", {"reference_date": "reference_date"}, timeout=1800.0)
    assert (definitions.timezone, definitions.order) == ("Africa/Accra", "newest")
    assert definitions.concurrency == Concurrency(3, 3)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("filename: glues.ipynb", "filenam: glues.ipynb",
         ["workflows.yml:5:9: workflows[0].notebooks.run.filename: missing; this key is needed",
          "workflows.yml:5:9: workflows[0].notebooks.run.filenam: unknown key; did you mean 'filename'?"]),
        ("schedule: \"0 0 * * *\"", "schedule: '0 0 * *'",
         ["workflows.yml:11:13: available_dates_sensor.schedule: found '0 0 * *' with 4 fields, expected five"]),
        ("schedule: \"0 0 * * *\"", "schedule: '0 0 31 2 *'", ["never ticks: there is no such date"]),
        ("schedule: \"0 0 * * *\"", "schedule: '0 25 * * *'", ["which is no cron expression"]),
        ("schedule: \"0 0 * * *\"", "schedule: 5", ["schedule: found 5, expected text"]),
        ("schedule:", "timezone: Mars/Base\n  schedule:", ["found 'Mars/Base', expected an IANA time zone"]),
        ("workflow_name: flows", "workflow_name: flow", ["there is no workflow 'flow'; did you mean 'flows'?"]),
        ("glues.ipynb", "glue.ipynb", ["glue.ipynb not found in ", "did you mean 'glues.ipynb'?"]),
        ("glues.ipynb", "../inputs/glues.ipynb/../../x.ipynb", ["is outside the directory of workflows.yml"]),
        ("glues.ipynb", "/etc/passwd", ["/etc/passwd is outside the directory of workflows.yml"]),
        ("glues.ipynb", "link.ipynb", ["link.ipynb is outside the directory of workflows.yml"]),
        ("glues.ipynb", "of_another_kernel.ipynb",
         ["asks for the kernel 'no_such_kernel', which is not installed; install it"]),
        ("glues.ipynb", "workflows.yml", ["workflows.yml is no notebook: its JSON breaks at line 1"]),
        ("glues.ipynb", ".", [". is not a file"]),
        ("filename: reads.ipynb", "output: {format: pdf, template: no.tpl}\n        filename: reads.ipynb",
         ["notebooks.report.output.template: no.tpl not found"]),
        ("filename: reads.ipynb", "output: {format: docx}\n        filename: reads.ipynb",
         ["output.format: found 'docx'; expected one of pdf"]),
        ("      run:", "      flowapi_url:", ["'flowapi_url' is a name that AutoFlow gives a value to"]),
        ("{reference_date: reference_date}", "{reference_date: report}",
         ["notebooks wait for each other in a circle: run -> report -> run (each reads the next)"]),
        ("{reference_date: reference_date}", "{reference_date: run}", ["in a circle: run -> run"]),
        ("{reference_date: reference_date}", "{reference_date: unit}",
         ["parameter 'unit' is missing; notebook run of 'flows' wants it"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: {unit: admin2}",
         ["no notebook of 'flows' uses this parameter"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: {run: admin2}",
         ["'run' is the label of a notebook of 'flows'; rename one of them"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      parameters: {reference_date: x}",
         ["AutoFlow gives this parameter its value; remove it"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      earliest_date: 2016-13-04",
         ["workflows.yml:14:22: available_dates_sensor.workflows[0].earliest_date: found 2016-13-04, which is no"
          " possible date (month must be in 1..12)"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      earliest_date: 2016-01-04 10:00:00",
         ["expected a date such as 2016-01-01"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      date_stencil: [true]",
         ["date_stencil: element 1: found True, expected a date (YYYY-MM-DD) or a whole number of days"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      date_stencil: [[0, -3]]",
         ["element 1: [0, -3] holds no day; the start must come first"]),
        ("- workflow_name: flows", "- workflow_name: flows\n      date_stencil: []", ["expected a list of dates"]),
        ("- workflow_name: flows", "- workflow_nam: flows", ["unknown key; did you mean 'workflow_name'?"]),
        ("available_dates_sensor:", "available_date_sensor:",
         ["available_date_sensor: unknown key; did you mean 'available_dates_sensor'?"]),
        ("available_dates_sensor:\n", "available_dates_sensor:\n  cdr_types: [call]\n",
         ["cdr_types[0]: found 'call'; did you mean 'calls'?"]),
        ("  workflows:\n    - workflow_name: flows\n", "  workflows: []\n",
         ["available_dates_sensor.workflows: found an empty list, expected at least one entry"]),
        ("  - name: flows\n", "  - name: flows\n    timeout: 30\n", ["did you mean '30s'?"]),
        ("  - name: flows\n", "  - name: flows\n    concurrency: true\n", ["found true, expected a whole number"]),
        ("  - name: flows\n", "  - name: flows\n    name: flows\n",
         ["workflows.yml:3:5: workflows[0].name: this key is there twice, first in line 2; keep one of them"]),
        ("  - name: flows\n", "  - name: flows\n    a: [1\n", ["is not valid YAML"]),
        ("  - name: flows\n", "  - name: flows\n\ttab: 1\n", ["is not valid YAML"]),
        ("available_dates_sensor:", "---\navailable_dates_sensor:", ["a second document begins here"]),
        ("workflows:\n  - name", "workflows: !!python/object:os.system\n  - name",
         ["could not determine a constructor"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place_and_what_to_do(inputs: Path, old: str, new: str, expected: list[str]) -> None:
    (inputs / "link.ipynb").symlink_to("/etc/passwd")
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
     (b"a: &a [*a]\n", "is there an alias") , (b"? [1, 2]\n: 3\n", "a key must be a plain name")],
)  # fmt: skip
def test_a_file_of_another_kind_is_told(inputs: Path, content: bytes | None, words: str) -> None:
    path = inputs / "workflows.yml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DefinitionError) as raised:
        load_definitions(path)
    if words == "is there an alias":
        words = "an alias holds itself"
    assert words in str(raised.value)


def test_a_file_that_is_a_directory_is_told(inputs: Path) -> None:
    (inputs / "workflows.yml").mkdir()
    with pytest.raises(DefinitionError, match="can not be read"):
        load_definitions(inputs / "workflows.yml")


def test_a_file_that_blows_up_is_bounded(inputs: Path) -> None:
    bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
    )
    assert "stands for more than" in errors_of(inputs, bomb)[0]


def test_doubtful_things_are_warned_about(inputs: Path) -> None:
    text = GOOD.replace("{reference_date: reference_date}", "{referenc_date: reference_date}")
    text = text.replace(
        "available_dates_sensor:", "  - {name: idle, notebooks: {a: {filename: glues.ipynb}}}\navailable_dates_sensor:"
    )
    warnings = "\n".join(load(inputs, text + "    - workflow_name: flows\n"))
    assert "does not define 'referenc_date'; did you mean 'reference_date'?" in warnings
    assert "no trigger under available_dates_sensor.workflows runs 'idle'" in warnings
    assert "asks for the same runs as the trigger in line" in warnings


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
    assert "can not be read" in errors_of(inputs, GOOD)[0]


def test_mutilated_files_give_definitions_or_errors_and_nothing_else(inputs: Path) -> None:
    chance = random.Random(7)
    text = (EXAMPLE / "workflows.yml").read_text()
    outcomes = set()
    for _ in range(400):
        mutilated = list(text)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(mutilated))
            mutilated[at : at + chance.randint(0, 3)] = chance.choice(
                ["", ":", "- ", "[", "}", "null", "\n", "1", "&a ", "*a", "!", "'"]
            )
        try:
            load(inputs, "".join(mutilated))
            outcomes.add("valid")
        except DefinitionError:
            outcomes.add("told")
    assert "told" in outcomes


def test_the_json_schema_knows_every_key() -> None:
    schema = json.dumps(json_schema())
    for key in ("workflows", "available_dates_sensor", "date_stencil", "retries", "timezone", "cdr_types", "template"):
        assert f'"{key}"' in schema
