# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""With ``--json``, a script reads one object on standard output, whatever happens; its schema says what is in it."""

from __future__ import annotations

import datetime as dt
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from autoflow.commands import runs as runs_command
from autoflow.commands.answer import as_text
from autoflow.commands.answer_schema import CONTENTS, answer_schema
from autoflow.definitions import Notebook, Trigger, Workflow
from autoflow.model.store import RunStore
from autoflow.runs.runs import AttemptState, Failure, build_run
from autoflow.settings.places import Places
from tests.answers import OUTSIDE, answer_of, validator
from tests.clock import PATIENCE
from tests.conftest import NOTEBOOKS, ROOT, Deployment, Outcome

NOW = dt.datetime(2026, 11, 23, 12, 0, tzinfo=dt.UTC)
Typed = Callable[..., Outcome]

ELSEWHERE = {"once", "try", "notify", "doctor", "demo-flowapi", "quality"}
"""Commands that take a kernel, a server or a child: tests of their own read their answers."""


@pytest.fixture
def recorded(deployment: Deployment) -> Deployment:
    """A deployment whose first run failed, and whose second succeeded."""
    deployment.write_simple("glues")
    (deployment.outputs / "notebooks").mkdir(parents=True)
    workflow = Workflow("w", (Notebook("glues", filename="glues.ipynb"),))
    with closing(RunStore(deployment.outputs / "autoflow.db", Places.below(deployment.outputs))) as store:
        for day, failure in ((1, Failure("no such place", "glues", 2, "ValueError", "Traceback ...")), (2, None)):
            state = AttemptState.FAILED if failure else AttemptState.SUCCEEDED
            attempt = store.begin(build_run(workflow, Trigger("w"), dt.date(2016, 1, day)), NOW)
            notebook = deployment.outputs / "notebooks" / f"glues_{day}.ipynb"
            cells = [cell_with(f"day = {day}", tags=["injected-parameters"]), cell_with(f"show({day})", *outputs(day))]
            given = {"papermill": {"parameters": {"day": day}}}
            notebook.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": given, "cells": cells}))
            store.begin_notebook(attempt, "glues", NOW)
            store.finish_notebook(attempt, "glues", state, NOW, notebook=notebook, failure=failure)
            store.finish(attempt, state, NOW + dt.timedelta(seconds=4), failure)
    return deployment


def cell_with(source: str, *outputs: dict[str, Any], tags: Sequence[str] = ()) -> dict[str, Any]:
    cell = {"cell_type": "code", "id": source[:4], "source": source, "execution_count": 1}
    return {**cell, "outputs": list(outputs), "metadata": {"tags": list(tags)}}


def outputs(day: int) -> Iterator[dict[str, Any]]:
    """Yield one of each kind that `autoflow diff` compares, different each day."""
    scrap = {"name": "subscribers", "data": float("nan") if day == 1 else day, "encoder": "json", "version": 1}
    shown = {"name": "subscribers", "data": True, "display": False}
    data = {"application/scrapbook.scrap.json+json": scrap}
    yield {"output_type": "display_data", "data": data, "metadata": {"scrapbook": shown}}
    yield {"output_type": "stream", "name": "stdout", "text": f"line {day}\n"}
    yield {"output_type": "display_data", "data": {"text/markdown": f"day {day}"}, "metadata": {}}
    row = f"<tr><th>a</th><td>{day}</td></tr>"
    rows = [row, *([] if day == 1 else ["<tr><th>b</th><td>1</td></tr>"])]
    table = f"<table><thead><tr><th></th><th>n</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    yield {"output_type": "display_data", "data": {"text/html": table}, "metadata": {}}
    yield {"output_type": "display_data", "data": {"image/png": "AAAA" if day == 1 else "BBBB"}, "metadata": {}}


def lines_of(recorded: Deployment, tmp_path: Path) -> list[tuple[int, list[str]]]:
    """Command lines, with the exit code of each."""
    dates, csv = tmp_path / "dates.txt", tmp_path / "old.csv"
    dates.write_text("2016-01-01\n2016-01-02\n2016-01-03\n")
    csv.write_text("workflow_name,parameters_hash,state,timestamp\nw,1,success,2021-05-01 00:00:00\n")
    backup = tmp_path / "backup.tar.gz"
    texts = (
        (0, f"plan --dates {dates}"),
        (1, "health"),
        (1, "health --alive"),
        (0, "why w 2016-01-01"),
        (0, "calendar --from 2016-01-01 --to 2016-01-03"),
        (0, "runs"),
        (0, "show 1 --log"),
        (1, "diff 1 2"),
        (0, "diff 1 1"),
        (2, "rerun 1"),
        (0, "rerun --workflow w --from 2020-01-01 --to 2020-01-01"),
        (0, "backfill w 2016-01-02 2016-01-02"),
        (2, "repair 1"),
        (2, "cancel 1"),
        (2, "skip w 2016-01-05 --reason holiday"),
        (0, "skip w 2016-01-05 --reason holiday --yes"),
        (0, "unskip w 2016-01-05 --yes"),
        (0, "hold w 2016-01-05 --reason odd --yes"),
        (0, "accept w 2016-01-05 --reason checked --yes"),
        (0, "unhold w 2016-01-05 --yes"),
        (0, "stale"),
        (0, "stale --code"),
        (0, "rerun --stale"),
        (0, "keep 2 --reason so --yes"),
        (2, f"import-record {csv}"),
        (0, f"import-record {csv} --yes"),
        (2, "notify"),
        (0, "check"),
        (0, f"backup {backup}"),
        (2, f"restore {backup}"),
        (0, f"restore {backup} --yes"),
        (0, "completion bash"),
        (0, "schema"),
        (0, "schema json"),
        (2, f"import-dag {ROOT / 'no_such.py'}"),
        (0, f"import-dag {ROOT / 'tests/dags/monthly_indicators.py'}"),
        (0, f"init {tmp_path / 'new'}"),
        (2, f"init {recorded.inputs}"),
    )
    return [(code, text.split(" ")) for code, text in texts]


def test_every_command_answers_as_the_schema_says(recorded: Deployment, typed: Typed, tmp_path: Path) -> None:
    """FlowAPI has never been asked; what asks for a confirmation gets none, and says what would be done."""
    answered = set()
    for code, line in lines_of(recorded, tmp_path):
        outcome = typed(*line, "--json")
        answer = answer_of(outcome.answer, code=outcome.code)
        assert (answer["command"], outcome.code) == (line[0], code), outcome.log
        assert bool(answer["errors"]) == (code != 0 and line[0] != "diff")
        answered.add(line[0])
    assert answered | ELSEWHERE == CONTENTS.keys()


def test_all_kinds_of_differences_are_as_the_schema_says(recorded: Deployment, typed: Typed) -> None:
    (notebook,) = answer_of(typed("diff", "1", "2", "--json").answer, code=1)["notebooks"]
    assert all(notebook[kind] for kind in ("parameters", "values", "tables", "texts", "pictures", "printed", "code"))
    assert recorded.outputs.exists()


def test_the_stand_in_says_where_it_is_and_serves_on(deployment: Deployment) -> None:
    process = deployment.start("demo-flowapi", "--port", "0", "--json")
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line == "}\n":
            break
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=PATIENCE)
    assert answer_of("".join(lines))["url"].startswith("http://127.0.0.1:")


def test_what_is_not_confirmed_is_shown_with_the_reason(recorded: Deployment, typed: Typed) -> None:
    answer = answer_of(typed("repair", "1", "--json").answer, code=2)
    assert answer["would"].startswith("execute 1 of 1 notebooks")
    assert [(row["label"], row["plan"]) for row in answer["rows"]] == [("glues", "executed")]
    assert [each["message"] for each in answer["errors"]] == ["not confirmed: --json needs --yes"]
    assert recorded.outputs.exists()


@pytest.mark.parametrize(
    ("line", "command", "words"),
    [
        ("runs --json --last 0", "runs", "expected a whole number"),
        ("runs --js --state success", "runs", "'success' is 'succeeded' now"),
        ("why --json", "why", "WORKFLOW"),
        ("calander --json", None, "did you mean 'calendar'?"),
        ("serve --now=3 --json", "serve", "ignored explicit argument"),
        ("--json runs", None, "unrecognized arguments"),
        ("show 1 --run-once --json", None, "unrecognized arguments: --run-once"),
        ("--run-once runs --json", None, "cannot be combined"),
        ("show 99 --json", "show", "there is no run 99"),
        ("calendar --csv --json", "calendar", "--csv and --json"),
    ],
)
def test_mistakes_are_answers_too(
    recorded: Deployment, typed: Typed, line: str, command: str | None, words: str
) -> None:
    outcome = typed(*line.split())
    answer = answer_of(outcome.answer, code=2)
    assert (answer["command"], outcome.code) == (command, 2)
    assert words in answer["errors"][0]["message"]
    # and people read the same
    assert words in outcome.log.replace(outcome.answer, "")
    assert recorded.outputs.exists()


def test_each_mistake_is_an_error_of_its_own_with_its_place(deployment: Deployment, typed: Typed) -> None:
    deployment.write("workflows:\n  - nam: w\n    notebooks: []\n")
    answer = answer_of(typed("plan", "--json").answer, code=2)
    assert len(answer["errors"]) > 1
    assert {each["file"] for each in answer["errors"]} == {str(deployment.inputs / "workflows.yml")}
    assert answer["errors"][0]["line"] > 0
    deployment.environment |= {"AUTOFLOW_INPUTS_DIR": "", "AUTOFLOW_LOG_LEVEL": "loud"}
    answer = answer_of(typed("plan", "--json").answer, code=2)
    assert len(answer["errors"]) == 2


def test_a_defect_is_an_answer_that_holds_nothing_of_what_was_read(
    recorded: Deployment, typed: Typed, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError(f"secret {recorded.environment['FLOWAPI_TOKEN']}")

    monkeypatch.setattr(runs_command, "as_json", broken)
    outcome = typed("runs", "--json")
    assert answer_of(outcome.answer, code=1)["errors"][0]["message"].startswith("a defect of AutoFlow")
    assert "TypeError" in outcome.log

    def stopped(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(runs_command, "as_json", stopped)
    assert answer_of(typed("runs", "--json").answer, code=130)["errors"][0]["message"] == "interrupted"


def test_the_schema_is_one_and_is_printed_with_and_without_an_answer_around_it(typed: Typed) -> None:
    Draft202012Validator.check_schema(answer_schema())
    assert json.loads(typed("schema", "json").answer) == answer_schema()
    assert answer_of(typed("schema", "json", "--json").answer)["schema"] == answer_schema()
    assert not any(set(content) & set(OUTSIDE) for content in CONTENTS.values())
    # a script that checks an answer is told of one that is wrong
    wrong = {"version": 1, "command": "runs", "exit_code": 0, "errors": [], "attempts": [{"run": "one"}]}
    assert not validator().is_valid(wrong)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", None])
def test_any_value_is_written_as_json_that_any_terminal_takes(encoding: str | None) -> None:
    value = {"é…": [float("nan"), float("inf"), {dt.date(2016, 1, 1): NOW}], "surrogate": "\udcff", "日": NOTEBOOKS}
    text = as_text(value, encoding)
    text.encode(encoding or "utf-8")
    assert json.loads(text, parse_constant=pytest.fail) == {
        "é…": ["nan", "inf", {"2016-01-01": NOW.isoformat()}],
        "surrogate": "\udcff",
        "日": str(NOTEBOOKS),
    }
