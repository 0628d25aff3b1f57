# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is said of mistakes in how runs wait for each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from autoflow.errors import DefinitionError
from autoflow.parser import load_definitions
from tests.conftest import NOTEBOOKS

GOOD = """
workflows:
  - name: aggregates
    notebooks:
      run: {filename: reads.ipynb, parameters: {previous: reference_date}}
  - name: report
    notebooks:
      make: {filename: reads.ipynb, parameters: {previous: aggregates.run}}
      trend: {filename: reads.ipynb, parameters: {previous: previous.make}}
available_dates_sensor:
  schedule: null
  workflows:
    - workflow_name: aggregates
    - workflow_name: report
      after: previous
      needs:
        - workflow: aggregates
          dates: [[-6, 1]]
"""


def errors_of(directory: Path, text: str) -> list[str]:
    shutil.copy(NOTEBOOKS / "reads.ipynb", directory)
    (directory / "workflows.yml").write_text(text)
    try:
        load_definitions(directory / "workflows.yml")
    except DefinitionError as error:
        return [str(problem).removeprefix(f"{directory}/workflows.yml:") for problem in error.problems]
    return []


def test_names_of_other_runs_need_no_values(tmp_path: Path) -> None:
    assert errors_of(tmp_path, GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("      after: previous\n", "", "'report' reads 'previous.make'; add `after: previous` to this trigger"),
        (
            "after: previous",
            "after: [aggregates]",
            "found a list; expected previous; other workflows go into `needs`",
        ),
        ("after: previous", "after: aggregates", "expected 'previous'; other workflows go into `needs`"),
        ("previous.make", "previous.mak", "'report' has no such notebook; did you mean 'make'?"),
        ("aggregates.run", "aggregates.rum", "'aggregates' has no such notebook; did you mean 'run'?"),
        ("aggregates.run", "agregates.run", "this trigger gives no value to it; add it under parameters"),
        ("workflow: aggregates\n", "workflow: agregates\n", "no trigger runs the workflow 'agregates'; did you mean"),
        ("previous.make}", "previous.make}, newest: true", "without `when`, the notebook is executed in every run"),
        ("previous.make}", "previous.make}, when: fist", "found 'fist' with 1 field, expected three"),
        ("previous.make}", "previous.make}, when: 30 2 *", "'30 2 *' never matches: there is no such date"),
        (
            "aggregates\n    notebooks:\n      run: {",
            "aggregates\n    notebooks:\n      run: {when: first, ",
            "notebook 'run' of 'aggregates' is for the first run; add `after: previous` to this trigger",
        ),
        ("workflow: aggregates\n", "workflow: report\n", "a workflow cannot need itself; `after: previous` in its"),
        ("dates: [[-6, 1]]", "parameters: {unit: admin2}", "no trigger of 'aggregates' has these parameters"),
        ("dates: [[-6, 1]]", "dates: [[1, -6]]", "[1, -6] holds no day; the start must come first"),
        (
            "    - workflow_name: aggregates\n",
            "    - {workflow_name: aggregates, needs: [{workflow: report}]}\n",
            "workflows need each other in a cycle: ",
        ),
    ],
)
def test_a_mistake_in_the_order_of_runs_is_told(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    errors = errors_of(tmp_path, GOOD.replace(old, new))
    assert any(expected in error for error in errors), errors


def test_which_of_several_triggers_is_needed_has_to_be_said(tmp_path: Path) -> None:
    several = GOOD.replace("previous: reference_date}", "previous: unit}").replace(
        "    - workflow_name: aggregates\n",
        "    - {workflow_name: aggregates, parameters: {unit: a}}\n"
        "    - {workflow_name: aggregates, parameters: {unit: b}}\n",
    )
    (error,) = errors_of(tmp_path, several)
    assert "'aggregates' has triggers with different parameters; say which under parameters" in error
    assert errors_of(tmp_path, several.replace("dates: [[-6, 1]]", "parameters: {unit: b}")) == []


def test_a_notebook_for_dates_that_no_trigger_has_is_doubtful(tmp_path: Path) -> None:
    monthly = GOOD.replace("reference_date}}", "reference_date}, when: 1 * *}", 1)
    assert errors_of(tmp_path, monthly) == []
    _, warnings = load_definitions(tmp_path / "workflows.yml")
    assert not any("matches no reference date" in str(warning) for warning in warnings)
    never = monthly.replace("workflow_name: aggregates\n", 'workflow_name: aggregates\n      dates: "L * *"\n')
    assert errors_of(tmp_path, never) == []
    _, warnings = load_definitions(tmp_path / "workflows.yml")
    assert any("'1 * *' matches no reference date of a trigger of 'aggregates'" in str(each) for each in warnings)
