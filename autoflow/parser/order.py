# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is wrong with the runs of other dates and workflows that a trigger's runs wait for and read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

from autoflow.definitions import FIRST, PREVIOUS, Workflow
from autoflow.errors import Problem
from autoflow.parser.yaml_reader import Document, KeyPath
from autoflow.wording import did_you_mean, shortened, shown

TRIGGERS: KeyPath = ("available_dates_sensor", "workflows")


def order_problems(document: Document, triggers: Sequence[Any], workflows: Mapping[str, Workflow]) -> Iterator[Problem]:
    """Find what cannot be meant under ``needs``, ``after`` and in the names of other runs' notebooks.

    Parameters
    ----------
    triggers
        As the file has them, whatever is wrong with them.
    workflows
        What can be told of each, by name.
    """
    whole = [trigger if isinstance(trigger, dict) else {} for trigger in triggers]
    for index, trigger in enumerate(whole):
        path: KeyPath = (*TRIGGERS, index)
        for number, need in enumerate(_needs(trigger)):
            yield from _need_problems(document, (*path, "needs", number), trigger, need, whole)
        workflow = workflows.get(str(trigger.get("workflow_name")))
        if workflow is not None:
            yield from _name_problems(document, path, trigger, workflow, workflows)
            yield from _first_problems(document, path, trigger, workflow)
    yield from _cycle_problems(document, whole)


def _need_problems(
    document: Document, path: KeyPath, trigger: Mapping[str, Any], need: Mapping[str, Any], triggers: Sequence[Any]
) -> Iterator[Problem]:
    name = need.get("workflow")
    if not isinstance(name, str):
        return
    if name == trigger.get("workflow_name"):
        message = "a workflow cannot need itself; `after: previous` in its trigger lets its runs go in order"
        yield document.problem((*path, "workflow"), message)
        return
    theirs = [each for each in triggers if each.get("workflow_name") == name]
    if not theirs:
        run = [each["workflow_name"] for each in triggers if isinstance(each.get("workflow_name"), str)]
        message = f"no trigger runs the workflow {shown(name)}; {did_you_mean(name, run)}"
        yield document.problem((*path, "workflow"), message)
    elif need.get("parameters") is None and len({str(each.get("parameters") or {}) for each in theirs}) > 1:
        message = f"{shown(name)} has triggers with different parameters; say which under parameters"
        yield document.problem(path, message)
    elif need.get("parameters") is not None and all(
        (each.get("parameters") or {}) != need["parameters"] for each in theirs
    ):
        message = f"no trigger of {shown(name)} has these parameters"
        yield document.problem((*path, "parameters"), message, at_key=True)


def _name_problems(
    document: Document,
    path: KeyPath,
    trigger: Mapping[str, Any],
    workflow: Workflow,
    workflows: Mapping[str, Workflow],
) -> Iterator[Problem]:
    """Compare names such as ``previous.report`` with what the trigger waits for."""
    given = trigger.get("parameters")
    for name, (whose, label) in workflow.other_runs(given if isinstance(given, dict) else ()).items():
        needed = [need.get("workflow") for need in _needs(trigger)]
        if whose == PREVIOUS:
            owner: Workflow | None = workflow
            if trigger.get("after") != PREVIOUS:
                message = f"{shown(workflow.name)} reads {shown(name)}; add `after: previous` to this trigger"
                yield document.problem(path, message)
        elif whose in needed:
            owner = workflows.get(whose)
        else:
            message = f"{shown(workflow.name)} reads {shown(name)}, and this trigger gives no value to it"
            hint = f"; add it under parameters, or the workflow {shown(whose)} under needs"
            yield document.problem(path, f"{message}{hint if whose in workflows else '; add it under parameters'}")
            continue
        labels = [notebook.label for notebook in owner.notebooks] if owner else []
        if owner and label not in labels:
            message = f"{shown(workflow.name)} reads {shown(name)}, and {shown(owner.name)} has no such notebook"
            yield document.problem(path, f"{message}; {did_you_mean(label, labels)}")


def _first_problems(
    document: Document, path: KeyPath, trigger: Mapping[str, Any], workflow: Workflow
) -> Iterator[Problem]:
    """Find triggers that may have several runs in progress that are all the first."""
    first = next((notebook.label for notebook in workflow.notebooks if notebook.when == FIRST), None)
    if first is not None and trigger.get("after") != PREVIOUS:
        message = f"notebook {shown(first)} of {shown(workflow.name)} is for the first run; add `after: previous`"
        yield document.problem(path, f"{message} to this trigger, so that there is one first run")


def _cycle_problems(document: Document, triggers: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    graph: dict[str, set[str]] = {}
    for trigger in triggers:
        needed = {need["workflow"] for need in _needs(trigger) if isinstance(need.get("workflow"), str)}
        graph.setdefault(str(trigger.get("workflow_name")), set()).update(needed - {str(trigger.get("workflow_name"))})
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        cycle = list(reversed(error.args[1]))
        for index, trigger in enumerate(triggers):
            if trigger.get("workflow_name") == cycle[0]:
                message = (
                    f"workflows need each other in a cycle: {' -> '.join(map(shortened, cycle))} (each needs the next)"
                )
                yield document.problem((*TRIGGERS, index, "needs"), message, at_key=True)
                return


def _needs(trigger: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    needs = trigger.get("needs")
    return [need for need in needs if isinstance(need, dict)] if isinstance(needs, list) else []
