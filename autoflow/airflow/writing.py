# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A DAG written as workflows.yml, with a comment for each thing that could not be carried over."""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

import yaml

from autoflow.airflow.dag_file import Dag, Task
from autoflow.airflow.parameters import Given, Literal, Lost, given
from autoflow.airflow.timing import Timing, timing_of
from autoflow.airflow.values import Length, Unknown
from autoflow.dates import duration_text
from autoflow.definitions import AUTOMATIC_PARAMETERS, is_reserved
from autoflow.errors import AutoflowError
from autoflow.wording import counted, printable, shortened

NOTEBOOKS = ("notebook_name", "input_nb")
PARAMETERS = ("nb_params", "parameters")
WITHOUT_MEANING = re.compile(
    r"task_id|dag|owner|start_date|end_date|email\w*|catchup|description|doc_md|tags|network_mode|notebook_[ug]id"
    r"|host_notebook_(out_)?dir|output_nb|op_args|op_kwargs|weight_rule|priority_weight|requires_flowapi|auto_remove|user"
)
"""Arguments that AutoFlow has no use for, or that are carried over for the workflow as a whole."""

DEFAULT_POOL = "default_pool"
"""The pool of tasks that name none."""

NOTHING = re.compile(r"(Empty|Dummy)Operator")
OTHERWISE = (
    (r"Branch|ShortCircuit|branch|short_circuit", "AutoFlow has no branches: all notebooks are run; decide in them"),
    (r"ExternalTaskSensor", "it waited for another DAG: put that one's workflow into this file and name it in `needs`"),
    (r"Sensor|sensor", "AutoFlow waits for data by date_stencil, cdr_types and lag"),
    (r"EmailOperator|Notif", "`notify` sends messages"),
    (r"Flow|Papermill|Template", "its notebook is not known"),
    (r"", "do this in a notebook"),
)
"""What to do instead of a task, by its operator."""


@dataclass
class _Workflow:
    """What is written, as far as it has been found."""

    dag: Dag
    timing: Timing
    labels: dict[str, str]
    """Labels of notebooks by the names of their tasks."""
    values: dict[str, Any] = field(default_factory=dict)
    """The trigger's parameters."""
    offsets: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    notes: list[tuple[int, str]] = field(default_factory=list)


def workflows_yml(dag: Dag, file: str) -> str:
    """Write a DAG as workflows.yml.

    Parameters
    ----------
    file
        What the DAG was read from, for the comment at the top.

    Raises
    ------
    AutoflowError
        When it has no task that runs a notebook.
    """
    tasks = [task for task in dag.tasks if _notebook_of(task)]
    if not tasks:
        there = f"its tasks are {shortened(', '.join(each.name for each in dag.tasks))}" if dag.tasks else "it has none"
        raise AutoflowError(f"{file}:{dag.line}: DAG {dag.name!r} has no task that runs a notebook; {there}")
    workflow = _Workflow(dag, timing_of(dag.arguments), _labels(tasks), notes=list(dag.notes))
    root, files = _files(tasks)
    values = _values(workflow, tasks)
    notebooks = [
        line for task in tasks for line in _notebook_lines(workflow, task, files[task.name], values[task.name])
    ]
    tail = [*_sensor_lines(workflow), *_notify_lines(workflow)]
    head = [
        f"Written by `autoflow import-dag {PurePosixPath(file).name}` from the DAG {dag.name!r} (line {dag.line}).",
        "Comments say what could not be carried over; `autoflow check` says what is still missing.",
        f"Put {counted(len(tasks), 'notebook')} beside this file, as they lie in {root or 'their directory'}.",
    ]
    own = _workflow_lines(workflow, tasks)
    head += [f"line {line}: {text}" for line, text in sorted(set(_other_tasks(workflow)) | set(workflow.notes))]
    return "\n".join([*_comment(head), "", "workflows:", *own, "    notebooks:", *notebooks, "", *tail]) + "\n"


def _notebook_of(task: Task) -> str | None:
    """Find the notebook that a task runs."""
    found = next((task.arguments[name] for name in NOTEBOOKS if task.arguments.get(name) is not None), None)
    return None if found is None else str(found)


def _labels(tasks: Sequence[Task]) -> dict[str, str]:
    """Give each notebook a label: the name of its task, as far as that is known and not one of AutoFlow's own."""
    labels: dict[str, str] = {}
    for task in tasks:
        label = wanted = _known(task.name) or "notebook"
        number = 1
        while label in labels.values() or label in AUTOMATIC_PARAMETERS:
            number += 1
            label = f"{wanted}_{number}"
        labels[task.name] = label
    return labels


def _known(name: str) -> str:
    """Leave out of a name what is not known of it."""
    return re.sub(r"\{.*?\}", "", name).strip("_- ") if "{" in name else name


def _files(tasks: Sequence[Task]) -> tuple[str, dict[str, str]]:
    """Say where the notebooks of tasks are, from the directory that they have in common."""
    paths = {
        task.name: PurePosixPath(str(task.arguments.get("host_notebook_dir") or ""), _notebook_of(task) or "")
        for task in tasks
    }
    try:
        root = os.path.commonpath({path.parent for path in paths.values()})
    except ValueError:
        # absolute and relative ones
        root = ""
    parts = {name: path.relative_to(root).parts if root else path.parts for name, path in paths.items()}
    # a notebook lies in the directory of workflows.yml or below it
    files = {
        name: str(PurePosixPath(*(each for each in several if each not in ("/", ".."))))
        for name, several in parts.items()
    }
    return "" if root == "." else root, files


def _values(workflow: _Workflow, tasks: Sequence[Task]) -> dict[str, dict[str, Given | Literal | Lost]]:
    """Translate the parameters of all notebooks; those whose values differ have the label before their name."""
    params = workflow.dag.arguments.get("params")
    known = params if isinstance(params, dict) else {}
    found = {task.name: dict(_parameters(workflow, task, known)) for task in tasks}
    several = {name for name, seen in _seen(found.values()).items() if len(seen) > 1}
    taken = AUTOMATIC_PARAMETERS | set(workflow.labels.values())
    for task in tasks:
        for name, value in found[task.name].items():
            if isinstance(value, Literal):
                own = f"{workflow.labels[task.name]}_{name}" if name in several else name
                while own in taken or repr(workflow.values.get(own, value.value)) != repr(value.value):
                    own += "_value"
                workflow.values[own] = value.value
                found[task.name][name] = Given(own)
            elif isinstance(value, Lost) and value.offset is not None:
                workflow.offsets.append(value.offset)
    return found


def _seen(found: Iterable[Mapping[str, Given | Literal | Lost]]) -> dict[str, set[str]]:
    """Collect the values that parameters of a name have; 1 and true are two."""
    seen: dict[str, set[str]] = {}
    for each in found:
        for name, value in each.items():
            if isinstance(value, Literal):
                seen.setdefault(name, set()).add(repr(value.value))
    return seen


def _parameters(
    workflow: _Workflow, task: Task, params: Mapping[str, Any]
) -> Iterator[tuple[str, Given | Literal | Lost]]:
    """Yield the parameters of a notebook, those that the operator adds among them."""
    held: Any = next((task.arguments[name] for name in PARAMETERS if task.arguments.get(name) is not None), {})
    if not isinstance(held, dict):
        text = held.source if isinstance(held, Unknown) else repr(held)
        workflow.notes.append((task.line, f"parameters of {task.name} are {text}: write them here"))
        held = {}
    for name, value in held.items():
        yield str(name), given(value, params, workflow.labels)
    for name in ("dagrun_data_dir", "shared_data_dir"):
        if task.arguments.get(f"host_{name}"):
            yield name, Given(name)
    mounts = task.arguments.get("read_only_mounts")
    for name, value in (mounts if isinstance(mounts, dict) else {}).items():
        path = str(value)
        remark = f"this directory; was {path}, read-only: put its files here"
        yield str(name), Given("inputs_dir", remark) if "{" in path else Literal(path)


def _notebook_lines(
    workflow: _Workflow, task: Task, file: str, values: Mapping[str, Given | Literal | Lost]
) -> Iterator[str]:
    yield f"      {_scalar(workflow.labels[task.name])}:"
    yield f"        filename: {_scalar(file)}"
    limit = task.arguments.get("execution_timeout")
    if isinstance(limit, Length) and limit.seconds > 0:
        yield f"        timeout: {duration_text(limit.seconds)}"
    if pool := _pool_of(task):
        yield f"        pool: {_scalar(pool)}"
    variables = task.arguments.get("environment")
    if isinstance(variables, dict) and (carried := {k: v for k, v in variables.items() if _is_variable(k, v)}):
        yield f"        environment: {_scalar(carried)}"
    for line in _left_out(task):
        yield from _comment([f"line {task.line}: {line}"], 8)
    read = {value.name for value in values.values() if isinstance(value, Given)}
    earlier = [
        workflow.labels[each.name]
        for each in workflow.dag.upstream(task, lambda each: each.name in workflow.labels)
        if workflow.labels[each.name] not in read
    ]
    given_ones = {name: value for name, value in values.items() if isinstance(value, Given)}
    for name, value in values.items():
        if isinstance(value, Lost):
            yield from _comment([f"{name} was {value.why}"], 8)
    if given_ones or earlier:
        yield "        parameters:"
    for name, value in given_ones.items():
        remark = f"  {_comment([value.remark])[0]}" if value.remark else ""
        yield f"          {_scalar(name)}: {_scalar(value.name)}{remark}"
    for label in earlier:
        yield f"          {_scalar(_after(label, values))}: {_scalar(label)}  # to run after it"


def _pool_of(task: Task) -> str | None:
    pool = task.arguments.get("pool")
    return pool if isinstance(pool, str) and pool and pool != DEFAULT_POOL else None


def _is_variable(name: Any, value: Any) -> bool:
    """Whether an environment variable can be written down: one that is known, and not for what may be secret."""
    secret = re.search(r"secret|token|passw|key|credential", str(name), re.IGNORECASE)
    return (
        isinstance(name, str) and isinstance(value, str) and not secret and not is_reserved(name) and "{" not in value
    )


def _after(label: str, taken: Mapping[str, Any]) -> str:
    """Name the parameter by which a notebook comes after another."""
    name = re.sub(r"\W", "_", f"{label}_notebook")
    return f"after_{name}" if name in taken or not name.isidentifier() else name


def _left_out(task: Task) -> Iterator[str]:
    """Say which arguments of a task are not carried over."""
    known = {*NOTEBOOKS, *PARAMETERS, "execution_timeout", "read_only_mounts", "retries", "retry_delay", "kernel_name"}
    known |= {"depends_on_past", "pool", "pool_slots"}
    plain = []
    for name, value in task.arguments.items():
        if name in known or WITHOUT_MEANING.fullmatch(name) or value in (None, False, {}, []):
            continue
        if name in ("host_dagrun_data_dir", "host_shared_data_dir"):
            continue
        if name == "requires_flowdb":
            yield "requires_flowdb: AutoFlow gives notebooks FlowAPI's token, and nothing of FlowDB"
        elif name == "environment" and isinstance(value, dict):
            if unknown := [str(key) for key, text in value.items() if not _is_variable(key, text)]:
                names = ", ".join(unknown)
                yield f"environment: set {names} where AutoFlow is started, or name what is secret in secrets"
        else:
            plain.append(f"{name}={_source(value)}")
    if plain:
        yield f"not carried over: {', '.join(plain)}"


def _other_tasks(workflow: _Workflow) -> Iterator[tuple[int, str]]:
    """Say what becomes of tasks that run no notebook."""
    for task in workflow.dag.tasks:
        if task.name in workflow.labels or NOTHING.search(task.operator):
            continue
        delta = task.arguments.get("delta")
        if "TimeDelta" in task.operator and isinstance(delta, Length) and delta.seconds > 0:
            continue
        why = next(why for pattern, why in OTHERWISE if re.search(pattern, task.operator))
        later = [name for name in workflow.labels if (task.name, name) in workflow.dag.before]
        before = f", before {', '.join(later)}" if later else ""
        yield task.line, f"task {task.name} ({task.operator}{before}) is not carried over: {why}"


def _workflow_lines(workflow: _Workflow, tasks: Sequence[Task]) -> Iterator[str]:
    """Write what is said for all notebooks."""
    arguments = workflow.dag.arguments
    yield f"  - name: {_scalar(_known(workflow.dag.name) or 'dag')}"
    if limit := arguments.get("dagrun_timeout"):
        yield f"    timeout: {_duration(limit) or '24h'}"
    if isinstance(most := arguments.get("max_active_runs"), int) and most > 0:
        yield f"    concurrency: {most}"
    retries = [each.arguments["retries"] for each in tasks if isinstance(each.arguments.get("retries"), int)]
    pauses = [text for each in tasks if (text := _duration(each.arguments.get("retry_delay")))]
    if retries:
        pause = f", pause: {pauses[0]}" if pauses else ""
        yield "    # a run is tried again as a whole; `autoflow repair` goes on where it failed"
        yield f"    retries: {{attempts: {max(retries) + 1}{pause}}}"


def _sensor_lines(workflow: _Workflow) -> Iterator[str]:
    timing = workflow.timing
    yield "available_dates_sensor:"
    yield f'  schedule: "{timing.schedule}"  # when to look for new data'
    if timing.timezone:
        yield f"  timezone: {_scalar(timing.timezone)}"
    pools = dict.fromkeys(filter(None, map(_pool_of, workflow.dag.tasks)))
    if pools:
        yield f"  pools: {_scalar(dict.fromkeys(pools, 1))}  # the slots of each: Airflow's database knows them"
    yield "  workflows:"
    name = next(_workflow_lines(workflow, [])).removeprefix("  - name: ")
    yield f"    - workflow_name: {name}"
    if workflow.values:
        yield "      parameters:"
        for key, value in workflow.values.items():
            yield f"        {_scalar(key)}: {_scalar(value)}"
    yield from _comment(timing.notes, 6)
    for key, date in (("earliest_date", timing.earliest), ("latest_date", timing.latest)):
        if date is not None:
            yield f"      {key}: {date}"
    if timing.dates:
        yield f'      dates: "{timing.dates}"'
    if any(each.arguments.get("depends_on_past") is True for each in workflow.dag.tasks):
        yield "      after: previous  # depends_on_past: here the whole run waits for the one before"
    lags = [each.arguments.get("delta") for each in workflow.dag.tasks if "TimeDelta" in each.operator]
    if lags and (lag := _duration(lags[0])):
        yield f"      lag: {lag}"
    yield from _stencil_lines(min([0, *workflow.offsets]), timing)


def _stencil_lines(first: int, timing: Timing) -> Iterator[str]:
    """Say which days a run needs, from the first that its templates name on."""
    if timing.unit:
        # its reference date is the first day
        yield from _comment([f"a run waits for data of the {timing.unit} that begins with its reference date"], 6)
        yield f"      date_stencil: [[{first if first else timing.unit}, {timing.unit}+1]]"
    elif (first, timing.days) != (0, 1):
        yield from _comment(["a run waits for data of these days, counted from its reference date"], 6)
        yield f"      date_stencil: [[{first}, {timing.days}]]"


def _notify_lines(workflow: _Workflow) -> Iterator[str]:
    """Carry over whom Airflow writes to."""
    defaults = workflow.dag.arguments.get("default_args")
    emails = defaults.get("email") if isinstance(defaults, dict) else None
    emails = [emails] if isinstance(emails, str) else emails
    if isinstance(emails, list) and isinstance(defaults, dict) and defaults.get("email_on_failure", True):
        written = [each for each in emails if isinstance(each, str) and re.fullmatch(r"[^@\s,;{}]+@[^@\s,;{}]+", each)]
        if written:
            yield ""
            yield "notify:"
            yield f"  email: {_scalar(written)}  # AUTOFLOW_SMTP_URL names the mail server"


def _duration(value: Any) -> str | None:
    if isinstance(value, Length) and not value.months and 0 < value.seconds <= 3650 * 86400:
        return duration_text(value.seconds)
    return None


def _source(value: Any) -> str:
    return shortened(value.source if isinstance(value, Unknown) else repr(value))


def _scalar(value: Any) -> str:
    """Write a value on one line, as YAML."""
    text = yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
    text = text.removesuffix("\n").removesuffix("\n...")
    # what safe_dump breaks into lines would have to be indented
    return json.dumps(value, default=str) if "\n" in text else text


def _comment(texts: Sequence[str], indent: int = 0) -> list[str]:
    """Write comments, each on a line of its own."""
    return [f"{' ' * indent}# {' '.join(printable(text).split())}" for text in texts]
