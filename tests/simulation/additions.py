# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What some deployments have beside: pools, secrets, calendar windows, notebooks of other runs or of few dates."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.late import draw_late

Config = Mapping[str, Any]

SECRET, VALUE = "UPLOAD_KEY", "a secret of notebook c"
MONDAYS = "* * mon"

CALENDAR_STENCILS = [["month", 1]], [["week-1", "week"], 0], [["month-1", "month"]], ["month"], [["month", 0]]
"""Some hold no day for some dates."""


class UnfitError(AssertionError):
    """A notebook was given something else than its definition says."""


def draw_additions(draw: Random, config: Config) -> None:
    """Add to a workflows.yml; what else a seed draws stays as it is."""
    sensor = config["available_dates_sensor"]
    pooled = draw.random() < 0.5
    if pooled:
        sensor["pools"] = {"queries": draw.randint(1, 2)}
    for workflow in config["workflows"]:
        notebooks = workflow["notebooks"]
        triggers = triggers_of(config, workflow["name"])
        parameters = notebooks["a"]["parameters"]
        if pooled and draw.random() < 0.7:
            notebooks["a"]["pool"] = "queries"
        if draw.random() < 0.4:
            parameters["work"] = "run_dir"
            if "b" in notebooks:
                notebooks["b"]["parameters"]["work"] = "run_dir"
        in_order = all("after" in trigger for trigger in triggers)
        if in_order and draw.random() < 0.7:
            parameters["before"] = "previous.a"
        needed = set.intersection(*({need["workflow"] for need in each.get("needs", ())} for each in triggers))
        for name in sorted(needed):
            parameters["needed"] = f"{name}.a"
        if "c" in notebooks:
            _draw_of_c(draw, notebooks, in_order=in_order)
    for trigger in sensor["workflows"]:
        if draw.random() < 0.2:
            trigger["date_stencil"] = draw.choice(CALENDAR_STENCILS)
    draw_late(draw, config)


def _draw_of_c(draw: Random, notebooks: dict[str, Any], *, in_order: bool) -> None:
    c = notebooks["c"]
    c["parameters"] |= {"date": "reference_date", "p": "p"}
    if draw.random() < 0.5:
        c["secrets"] = [SECRET]
    when = draw.choice((None, MONDAYS, "first" if in_order else MONDAYS))
    if when:
        c["when"] = when
        if draw.random() < 0.5:
            c["newest"] = True
        if "b" in notebooks:
            notebooks["b"]["parameters"]["extra"] = "c"


def triggers_of(config: Config, workflow: str) -> list[dict[str, Any]]:
    return [each for each in config["available_dates_sensor"]["workflows"] if each["workflow_name"] == workflow]


def definition_of(config: Config, file: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Find a notebook in workflows.yml, by its file and its trigger's parameter; None where that is not given to it."""
    for trigger in config["available_dates_sensor"]["workflows"]:
        if trigger["parameters"]["p"] == parameters.get("p"):
            for workflow in config["workflows"]:
                if workflow["name"] == trigger["workflow_name"]:
                    found: dict[str, Any] | None = workflow["notebooks"].get(file.removesuffix(".ipynb"))
                    return found
    return None


def check_given(definition: Config, parameters: Mapping[str, Any], secrets: Mapping[str, str] | None) -> None:
    """See that a notebook that starts was given what its definition says.

    Raises
    ------
    UnfitError
    """
    expected = {SECRET: VALUE} if SECRET in definition.get("secrets", ()) else {}
    if {name: value for name, value in (secrets or {}).items() if name != "FLOWAPI_TOKEN"} != expected:
        raise UnfitError(f"it was given the secrets {sorted(secrets or ())}, and is to have {sorted(expected)}")
    date = dt.date.fromisoformat(parameters["date"])
    if definition.get("when") == MONDAYS and date.weekday():
        raise UnfitError(f"it is for Mondays, and was run for {date}")
    if "before" in parameters and parameters["before"] is not None:
        _check_earlier(parameters["before"], parameters)
    dates = [_read(path)["date"] for path in parameters.get("needed", ())]
    if dates != sorted(dates):
        raise UnfitError(f"the notebooks that it needs are not in order of dates: {dates}")


def _check_earlier(path: str, parameters: Mapping[str, Any]) -> None:
    theirs = _read(path)
    if theirs["p"] != parameters["p"] or theirs["date"] >= parameters["date"]:
        raise UnfitError(f"{parameters['date']} of {parameters['p']} was given {theirs} as the one before")


def _read(path: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(Path(path).read_text())["metadata"]["papermill"]["parameters"]
    except FileNotFoundError:
        raise UnfitError(f"it was given {path}, which is not there") from None
    return found


def use_run_dir(directory: Path, parameters: Mapping[str, Any]) -> None:
    """Write an intermediate file, as notebook a does, or read it, as b does.

    Raises
    ------
    UnfitError
        When it has been written by another run, or not at all.
    """
    file = directory / "intermediate.txt"
    if "reads" not in parameters:
        text = f"{parameters['p']} {parameters['date']}"
        if file.exists() and file.read_text() != text:
            raise UnfitError(f"{directory} is of {file.read_text()}, and was given to {text}")
        file.write_text(text)
        return
    theirs = _read(parameters["reads"])
    expected = f"{theirs['p']} {theirs['date']}"
    found = file.read_text() if file.exists() else "nothing"
    if found != expected:
        raise UnfitError(f"{directory} holds {found}, expected {expected}")
