# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whether a recorded run can still be executed as it was, now that workflows.yml may have changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from autoflow.definitions import AUTOMATIC_PARAMETERS, Definitions, Workflow
from autoflow.naming import source_stem
from autoflow.wording import shown

WHAT_TO_DO = "`autoflow backfill` runs the date as workflows.yml has it now, `autoflow skip` leaves it out"


def misfit(definitions: Definitions, workflow_name: str, parameters: Mapping[str, Any]) -> str | None:
    """Say what keeps a recorded run from being made with the workflow as it is now; None when nothing does.

    Parameters
    ----------
    parameters
        Those of the run, as they were recorded.
    """
    workflow = definitions.workflows.get(workflow_name)
    if workflow is None:
        return f"workflows.yml no longer has a workflow {shown(workflow_name)}"
    given = parameters.keys() - AUTOMATIC_PARAMETERS
    read = workflow.wanted_parameters()
    triggers = [trigger for trigger in definitions.triggers if trigger.workflow_name == workflow_name]
    if gained := sorted(read - given):
        wanting = next(each for each in workflow.notebooks if gained[0] in each.parameters.values())
        return (
            f"notebook {shown(wanting.label)} takes the workflow's parameter {shown(gained[0])} now,"
            f" which this run did not have (it has {_listed(given)})"
        )
    if lost := sorted(given - read - {name for trigger in triggers for name in trigger.parameters}):
        return (
            f"this run was made with the parameter {shown(lost[0])},"
            f" which no trigger of workflow {shown(workflow_name)} gives and none of its notebooks takes any longer"
        )
    return None


def changed_notebooks(workflow: Workflow, recorded: Iterable[str]) -> str | None:
    """Say what of an attempt's notebooks the workflow has no more; None when it has them all.

    Parameters
    ----------
    recorded
        Labels of the notebooks that the attempt began.
    """
    labels = [notebook.label for notebook in workflow.notebooks]
    gone = [label for label in recorded if label not in labels]
    if not gone:
        return None
    return f"workflow {shown(workflow.name)} no longer has a notebook {shown(gone[0])} (it has {_listed(labels)})"


def changed_inputs(
    workflow: Workflow, label: str, executed: Mapping[str, Any], run: Mapping[str, Any], others: Mapping[str, Any]
) -> str | None:
    """Say how what a notebook is given differs from what it was executed with; None when it does not.

    Parameters
    ----------
    executed
        The parameters that the executed notebook was given, as papermill keeps them in it.
    run
        The run's own parameters.
    others
        What stands for executed notebooks of other runs, by the names that parameters have for them.
    """
    (notebook,) = (each for each in workflow.notebooks if each.label == label)
    if gained := sorted(notebook.parameters.keys() - executed.keys()):
        return f"notebook {shown(label)} takes {shown(gained[0])} now, which it did not have"
    if lost := sorted(executed.keys() - notebook.parameters.keys()):
        return f"notebook {shown(label)} was executed with {shown(lost[0])}, which it no longer takes"
    files = {each.label: each.filename for each in workflow.notebooks}
    may_be_null = {each.label for each in workflow.notebooks if each.when}
    for name, source in notebook.parameters.items():
        value = executed[name]
        if source in run and value != run[source]:
            return f"notebook {shown(label)} takes {shown(name)} from {shown(source)} now, and was given {shown(value)}"
        if source in others and value != others[source]:
            return f"what notebook {shown(label)} reads by {shown(source)} has been made again since, or removed"
        if source in may_be_null and value is None:
            continue
        if source in files and not _is_made_of(files[source], value):
            return f"notebook {shown(label)} reads notebook {shown(source)} now, and read {shown(value)}"
    return None


def _is_made_of(filename: str, executed: Any) -> bool:
    """Whether a path can be that of an executed notebook, by its name."""
    return isinstance(executed, str) and PurePath(executed).name.startswith(f"{source_stem(filename)}__")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(shown, sorted(names))) or "none"
