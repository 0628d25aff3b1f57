# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""`autoflow import-dag`: what a DAG's file says becomes a valid workflows.yml, and what cannot is said in comments."""

from __future__ import annotations

import datetime as dt
import shutil
from collections.abc import Callable
from pathlib import Path
from textwrap import indent

import pytest
import yaml

from autoflow import cli
from autoflow.airflow import read_dags, workflows_yml
from autoflow.dates import DateStencil
from autoflow.definitions import Definitions, Retries
from autoflow.errors import AutoflowError
from autoflow.parser import load_definitions
from tests.answers import answer_of
from tests.conftest import NOTEBOOKS

DAGS = Path(__file__).parents[2] / "dags"

Imported = tuple[Definitions, str]


@pytest.fixture
def imported(tmp_path: Path) -> Callable[[str], Imported]:
    """Import the text of a DAG, lay the notebooks that it names beside workflows.yml, and check that."""

    def import_(text: str) -> Imported:
        (tmp_path / "dag.py").write_text(text)
        (dag,) = read_dags(tmp_path / "dag.py")
        written = workflows_yml(dag, "dag.py")
        for workflow in yaml.safe_load(written)["workflows"]:
            for notebook in workflow["notebooks"].values():
                place = tmp_path / notebook["filename"]
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(NOTEBOOKS / "glues.ipynb", place)
        (tmp_path / "workflows.yml").write_text(written)
        return load_definitions(tmp_path / "workflows.yml")[0], written

    return import_


def in_dag(arguments: str = "", tasks: str = 'nb("a")') -> str:
    """Write a DAG of flowpyter-task's notebooks."""
    helper = (
        "def nb(name, **more):\n    return FlowpyterOperator(task_id=name, notebook_name=name + '.ipynb', **more)\n"
    )
    return f'{helper}with DAG("d", {arguments}):\n{indent(tasks, "    ")}\n'


def comments(text: str) -> str:
    return "\n".join(line.partition("# ")[2] for line in text.splitlines())


def test_a_pipeline_of_flowpyter_task_becomes_one_valid_workflow(imported: Callable[[str], Imported]) -> None:
    definitions, text = imported((DAGS / "monthly_indicators.py").read_text())
    workflow = definitions.workflows["velia_indicators"]
    assert workflow.retries == Retries(3, 3600.0)
    assert workflow.concurrency == 1
    notebooks = {notebook.label: notebook for notebook in workflow.notebooks}
    assert [notebook.filename for notebook in notebooks.values()] == [
        "aggregates/home_locations.ipynb",
        "aggregates/presence.ipynb",
        "indicators/indicators.ipynb",
        "upload/upload.ipynb",
    ]
    assert notebooks["presence"].timeout == 9000.0
    assert notebooks["home"].parameters["start_date"] == "reference_date"
    directories = {"dagrun_data_dir": "run_dir", "shared_data_dir": "shared_dir", "inputs_dir": "inputs_dir"}
    assert workflow.directories(definitions.triggers[0].parameters) == directories
    # the task between them is no notebook: what comes before it still comes before what comes after it
    assert workflow.dependencies() == {
        "home": set(),
        "presence": set(),
        "indicators": {"home", "presence"},
        "upload": {"indicators"},
    }
    (trigger,) = definitions.triggers
    assert (trigger.earliest_date, trigger.latest_date, trigger.dates) == (dt.date(2022, 8, 1), None, "1 * *")
    assert trigger.lag == dt.timedelta(hours=30)
    assert definitions.notify.email == ("analyst@example.org",)
    assert trigger.parameters == {
        "author": "robot",
        # the two have different values, so each has a parameter of its own
        "home_redact": True,
        "presence_redact": False,
        "window": [7, 28],
        "benchmark": "2020-01-01",
        "areas_dir": "/srv/velia/areas",
        "url": "https://receiver.example.org",
        "kinds": ["home", "presence"],
    }
    for said in (
        "task cells (SQLExecuteQueryOperator, before home, presence) is not carried over",
        "cells was the result of task cells, which is no notebook",
        "first_day was the reference date - 7 days",
        "folder was 'html/{{ ds }}'",
        "image='velia/analysis:3'",
        "depends_on_past",
        "requires_flowdb",
        "environment: set ADMIN_SECRET",
        "was {{ var.value.PROJECTS_DIR }}/velia/static, read-only",
    ):
        assert said in comments(text), said
    assert "var.value.ADMIN_SECRET" not in text


@pytest.mark.parametrize(
    "text",
    [
        'dag = DAG(dag_id="d")\nx = PapermillOperator(task_id="a", dag=dag, input_nb="/nb/a.ipynb", parameters={})',
        '@dag(schedule="@daily")\ndef d():\n    PapermillOperator(task_id="a", input_nb="/nb/a.ipynb")\nd()',
        'with airflow.DAG(**dict(dag_id="d")):\n    TemplateOperator(task_id="a", notebook_name="a.ipynb")',
        'class Mine(FlowpyterOperator):\n    pass\nwith DAG("d"):\n    Mine(task_id="a", notebook_name="a.ipynb")',
        'Mine = partial(FlowpyterOperator, image="x")\nwith DAG("d"):\n    Mine(task_id="a", notebook_name="a.ipynb")',
        in_dag(),
    ],
    ids=["assigned", "decorated", "qualified", "derived", "partial", "helper"],
)
def test_dags_are_found_however_they_are_made(text: str, imported: Callable[[str], Imported]) -> None:
    definitions, _ = imported(text)
    (notebook,) = definitions.workflows["d"].notebooks
    assert (notebook.label, notebook.filename) == ("a", "a.ipynb")


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        ('nb("a") >> nb("b") >> nb("c")', {"b": "a", "c": "b"}),
        ('nb("c") << [nb("a"), nb("b")]', {"c": "ab"}),
        ('chain(nb("a"), [nb("b"), nb("c")], [nb("d"), nb("e")])', {"b": "a", "c": "a", "d": "b", "e": "c"}),
        ('cross_downstream([nb("a"), nb("b")], [nb("c")])', {"c": "ab"}),
        ('a, b = nb("a"), nb("b")\na.set_downstream(b)\nnb("c").set_upstream(b)', {"b": "a", "c": "b"}),
        ('nb("a") >> EmptyOperator(task_id="x") >> Label("then") >> nb("b")', {"b": "a"}),
        ('made = [nb(n) for n in ("a", "b")]\nmade >> nb("c")', {"c": "ab"}),
        (
            'last = nb("a")\nfor n in ["b", "c"]:\n    task = nb(n)\n    last >> task\n    last = task',
            {"b": "a", "c": "b"},
        ),
        ('with TaskGroup("g") as g:\n    nb("a"); nb("b")\ng >> nb("c")', {"c": "ab"}),
        ('a = nb("a")\nnb("b", nb_params={"x": a.output})', {"b": "a"}),
        ('@task\ndef f(): ...\nnb("a") >> f() >> nb("b")', {"b": "a"}),
    ],
)
def test_what_comes_after_what_is_kept(
    tasks: str, expected: dict[str, str], imported: Callable[[str], Imported]
) -> None:
    definitions, _ = imported(in_dag(tasks=tasks))
    found = {label: set(read) for label, read in definitions.workflows["d"].dependencies().items() if read}
    assert found == {label: set(read) for label, read in expected.items()}


@pytest.mark.parametrize(
    ("arguments", "schedule", "dates", "days"),
    [
        ('schedule="@daily"', "0 0 * * *", None, 1),
        ('schedule_interval="30 6 * * *"', "30 6 * * *", None, 1),
        ('schedule="0 6 * * 1"', "0 6 * * *", "* * 1", 7),
        ('schedule="0 0 15 * *"', "0 0 * * *", "15 * *", 31),
        ("schedule=timedelta(days=1)", "0 * * * *", None, 1),
        ("schedule=timedelta(weeks=1), start_date=pendulum.datetime(2023, 3, 1)", "0 * * * *", "* * wed", 7),
        ("schedule=relativedelta(months=3), start_date=datetime(2023, 2, 1)", "0 * * * *", "1 2,5,8,11 *", 92),
        ("", "0 * * * *", None, 1),
    ],
)
def test_intervals_become_reference_dates_and_the_days_that_they_need(
    arguments: str, schedule: str, dates: str | None, days: int, imported: Callable[[str], Imported]
) -> None:
    definitions, _ = imported(in_dag(arguments))
    (trigger,) = definitions.triggers
    assert (definitions.schedule, trigger.dates, trigger.date_stencil.pairs) == (schedule, dates, ((0, days),))


@pytest.mark.parametrize(
    ("schedule", "dates", "unit"),
    [
        ('"@monthly"', "1 * *", "month"),
        ('"@quarterly"', "1 1,4,7,10 *", "quarter"),
        ('"0 5 1 */3 *"', "1 */3 *", "quarter"),
        ('"@yearly"', "1 1 *", "year"),
    ],
)
def test_months_quarters_and_years_keep_their_lengths(
    schedule: str, dates: str, unit: str, imported: Callable[[str], Imported]
) -> None:
    definitions, text = imported(in_dag(f"schedule={schedule}"))
    (trigger,) = definitions.triggers
    assert (trigger.dates, trigger.date_stencil) == (dates, DateStencil.parse([[unit, f"{unit}+1"]]))
    assert "the stencil has the longest" not in text


def test_bounds_and_the_time_zone_are_those_of_the_dag(imported: Callable[[str], Imported]) -> None:
    definitions, _ = imported(
        in_dag(
            'start_date=pendulum.datetime(2023, 1, 15, tz="Africa/Accra") - relativedelta(months=1),'
            ' end_date=pendulum.parse("2023-06-30")'
        )
    )
    (trigger,) = definitions.triggers
    assert (trigger.earliest_date, trigger.latest_date) == (dt.date(2022, 12, 15), dt.date(2023, 6, 30))
    assert definitions.timezone == "Africa/Accra"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("start_date=config.start", "start_date is `config.start`"),
        ("start_date=days_ago(2)", "start_date is `days_ago(2)`"),
        ('start_date=datetime(2023, 1, 1), schedule="@daily", catchup=False', "catchup=False"),
        ('schedule="0 */2 * * *"', "several times a day"),
        ("schedule=timedelta(days=3)", "every 3 days"),
        ("schedule=[Dataset('x')]", "schedule is"),
        ("schedule='often'", "no cron expression"),
        ("schedule='0 0 31 2 *'", "dates:"),
    ],
)
def test_dates_that_cannot_be_said_are_told(arguments: str, said: str, imported: Callable[[str], Imported]) -> None:
    _, text = imported(in_dag(arguments))
    assert said in comments(text)


def test_a_dag_that_nobody_schedules_runs_no_date_by_itself(imported: Callable[[str], Imported]) -> None:
    definitions, text = imported(in_dag("schedule=None, start_date=datetime(2020, 1, 1)"))
    assert definitions.triggers[0].earliest_date == dt.date.max
    assert "autoflow backfill" in comments(text)


def test_one_run_alone_is_of_the_start_date(imported: Callable[[str], Imported]) -> None:
    definitions, _ = imported(in_dag('schedule="@once", start_date=datetime(2020, 1, 1)'))
    (trigger,) = definitions.triggers
    assert trigger.earliest_date == trigger.latest_date == dt.date(2020, 1, 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"{{ ds }}"', "reference_date"),
        ('"{{ data_interval_start | ds }}"', "reference_date"),
        ("\"{{ logical_date.strftime('%Y-%m-%d') }}\"", "reference_date"),
        ('"{{ var.value.URL }}"', "the Airflow variable URL"),
        ('Variable.get("URL")', "the Airflow variable URL"),
        ('"{{ params.nothing }}"', "no such parameter"),
        ('"{{ macros.ds_add(ds, 3) }}"', "the reference date + 3 days"),
        ('"out/{{ ds }}.csv"', "put it together in the notebook"),
        ('"{{ next_ds }}"', "compute it in the notebook"),
        ("os.environ['X']", "os.environ['X']"),
        ('{"a": ["{{ ds }}"]}', "depends on the run"),
    ],
)
def test_templates_become_names_or_are_told(value: str, expected: str, imported: Callable[[str], Imported]) -> None:
    definitions, text = imported(in_dag(tasks=f'nb("a", nb_params={{"p": {value}}})'))
    (notebook,) = definitions.workflows["d"].notebooks
    assert notebook.parameters.get("p") == (expected if expected == "reference_date" else None)
    assert expected in text


@pytest.mark.parametrize(
    ("directories", "files"),
    [
        (("/nb", "/nb"), ["a.ipynb", "b.ipynb"]),
        (("/nb/x", "/nb/y"), ["x/a.ipynb", "y/b.ipynb"]),
        (("/nb", "y"), ["nb/a.ipynb", "y/b.ipynb"]),
        (("../x", "y"), ["x/a.ipynb", "y/b.ipynb"]),
        (("{config.root}/x", "{config.root}/y"), ["x/a.ipynb", "y/b.ipynb"]),
    ],
)
def test_notebooks_lie_below_the_directory_that_they_share(
    directories: tuple[str, str], files: list[str], imported: Callable[[str], Imported]
) -> None:
    tasks = [f"nb({name!r}, host_notebook_dir=f{place!r})" for name, place in zip("ab", directories, strict=True)]
    definitions, _ = imported(in_dag(tasks="\n".join(tasks)))
    assert [notebook.filename for notebook in definitions.workflows["d"].notebooks] == files


def test_names_that_are_known_in_part_are_used_as_far_as_they_are(imported: Callable[[str], Imported]) -> None:
    tasks = "nb(f'plot_{config.name}')\nnb(f'{config.kind}_plot')\nnb('reference_date')"
    definitions, _ = imported(in_dag(tasks=tasks).replace('"d"', "f'{config.name}_report'"))
    assert [notebook.label for notebook in definitions.workflows["report"].notebooks] == [
        "plot",
        "plot_2",
        "reference_date_2",
    ]


def test_values_come_over_as_they_are(imported: Callable[[str], Imported]) -> None:
    values = {
        "text": "a: b # c\n\n  d",
        "numbers": [1, -2.5],
        "deep": {"x": [None, True]},
        "reference_date": "2020-01-01",
    }
    definitions, _ = imported(in_dag(tasks=f'nb("a", nb_params={values!r})\nnb("b", nb_params={{"numbers": 1}})'))
    first, second = definitions.workflows["d"].notebooks
    given = definitions.triggers[0].parameters
    assert {name: given[read] for name, read in first.parameters.items()} == values
    assert [given[read] for read in second.parameters.values()] == [1]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            "BranchPythonOperator(task_id='x')",
            "task x (BranchPythonOperator) is not carried over: AutoFlow has no branches",
        ),
        ("ShortCircuitOperator(task_id='x')", "no branches"),
        ("PythonOperator(task_id='x')", "do this in a notebook"),
        ("ExternalTaskSensor(task_id='x')", "put that one's workflow into this file and name it in `needs`"),
        ("SqlSensor(task_id='x')", "waits for data by date_stencil"),
        ("FlowpyterOperator(task_id='x')", "its notebook is not known"),
        ("nb('x', trigger_rule='all_done', image=config.image)", "trigger_rule='all_done', image=config.image"),
        ("for n in config.units:\n    nb('x')", "the loop over config.units was read once"),
        ("if config.wanted:\n    nb('x')", "`config.wanted`"),
    ],
)
def test_tasks_that_are_no_notebooks_are_told(task: str, said: str, imported: Callable[[str], Imported]) -> None:
    _, text = imported(in_dag(tasks=f'nb("a")\n{task}'))
    assert said in comments(text)


def test_a_file_without_one_dag_is_refused_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "dag.py"
    for text, said in (
        ("x = 1", "no DAG found"),
        (
            "with DAG('a'):\n    pass\nwith DAG('b'):\n    pass",
            "has 2 DAGs: a (line 1), b (line 3); choose one with --dag",
        ),
        ("with DAG('a')\n", f"{file}:1:14: is not Python 3: expected ':'"),
        (
            "for n in range(9999):\n    for m in range(9999):\n        pass",
            "statements, loops written out, are too many",
        ),
        (f"x = {'(' * 150}1{')' * 150}", "DAG"),
        (f"x = {'1+' * 3000}1", "DAG"),
        ("with DAG('a'):\n    for n in range(10**12):\n        nb(n)", "has no task that runs a notebook"),
        ("with DAG('a'):\n    BashOperator(task_id='x')", "has no task that runs a notebook; its tasks are x"),
    ):
        file.write_text(text)
        assert cli.main(["import-dag", str(file)]) == 2
        assert said in (error := capsys.readouterr().err)
        assert "Traceback" not in error
    assert cli.main(["import-dag", str(tmp_path / "none.py")]) == 2
    file.write_bytes(b"\0\xff")
    with pytest.raises(AutoflowError):
        read_dags(file)


def test_the_file_is_written_once_and_nothing_of_the_dag_is_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, output, trace = tmp_path / "dag.py", tmp_path / "workflows.yml", tmp_path / "was run"
    file.write_text(f"import os\nos.mkdir({str(trace)!r})\n{in_dag()}{in_dag().replace(chr(34) + 'd', chr(34) + 'e')}")
    assert cli.main(["import-dag", str(file), "--dag", "e", "-o", str(output)]) == 0
    assert yaml.safe_load(output.read_text())["workflows"][0]["name"] == "e"
    assert not trace.exists()
    before = output.read_text()
    assert cli.main(["import-dag", str(file), "--dag", "d", "-o", str(output)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert output.read_text() == before
    assert cli.main(["import-dag", str(file), "--dag", "d", "--json"]) == 0
    assert answer_of(capsys.readouterr().out)["dag"] == "d"


def test_pools_environments_and_the_order_of_runs_are_carried_over(imported: Callable[[str], Imported]) -> None:
    variables = {"MAPBOX_URL": "https://maps.example.org", "ADMIN_SECRET": "x", "PYTHONPATH": "/x"}
    task = f'nb("a", pool="flowdb", depends_on_past=True, environment={variables!r})'
    definitions, text = imported(in_dag(tasks=f'{task}\nnb("b", pool="default_pool")'))
    first, second = definitions.workflows["d"].notebooks
    assert (first.pool, second.pool) == ("flowdb", None)
    assert definitions.pools == {"flowdb": 1}
    assert first.environment == {"MAPBOX_URL": "https://maps.example.org"}
    assert definitions.triggers[0].after == "previous"
    assert "set ADMIN_SECRET, PYTHONPATH where AutoFlow is started, or name what is secret in secrets" in comments(text)
