# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow init``: a workflows.yml and a first notebook to begin with."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from autoflow.commands.terminal import print_json, print_line
from autoflow.errors import AutoflowError, ExitCode
from autoflow.parser import json_schema

WORKFLOWS = """\
# yaml-language-server: $schema=workflows.schema.json
# The line above lets editors complete and check this file. `autoflow check` tells every mistake.

workflows:
  - name: first_look
    notebooks:
      # a label: other notebooks of this workflow can name it among their parameters, and then run after it
      look:
        filename: first_look.ipynb  # beside this file
        parameters:
          # the notebook's own parameter: what it is given
          reference_date: reference_date  # AutoFlow's: the date that a run is for
          flowapi_url: flowapi_url        # AutoFlow's: where FlowAPI is
          greeting: greeting              # the workflow's: its value is below, with the trigger
        # makes a report; needs asciidoctor-pdf (apt-get install ruby-asciidoctor-pdf)
        # output: {format: pdf}
    # a failed run is tried again after 10 minutes, 20, 40, ... at most a day; uncomment to give up after 5
    # retries: {attempts: 5}

available_dates_sensor:
  # when to look for new dates: minute, hour, day of month, month, day of week; here every hour
  schedule: "0 * * * *"
  # timezone: Africa/Accra  # that the schedule is read in; UTC if not said
  # cdr_types: [calls, sms]  # a date counts when any of these has data; all types if not said
  # Recommended, with the types that your queries read: a date counts when all of them have it. Else SMS alone make a
  # report of half a day, and FlowMachine keeps that result when the calls arrive.
  # require: all
  workflows:
    - workflow_name: first_look
      parameters:
        greeting: Hello
      # earliest_date: 2016-01-08  # the first date that is run
      # dates that must have data too: here the reference date (0) and the day before it
      date_stencil: [[-1, 1]]
      # latest_date: 2016-12-31  # the last date that is run
      # dates: "* * sun"  # only these: day of month, month, day of week; "L * *" is the last day of each month
      # exclude: [2016-03-06, [2016-12-24, 2017-01-01]]  # dates, and pairs [start, end), that are not run
      # cdr_types: [calls, sms]  # instead of the sensor's
      # require: all  # a date counts when all of these types have it, not just any
      # lag: 2d  # a date counts so long after it appeared, so that late data can still arrive
"""


def run(options: argparse.Namespace, settings: None) -> ExitCode:  # noqa: ARG001
    """Make the files, unless one of them is there."""
    directory: Path = options.directory.absolute()
    contents = {
        "workflows.yml": WORKFLOWS,
        "first_look.ipynb": json.dumps(_notebook(), indent=1) + "\n",
        "workflows.schema.json": json.dumps(json_schema(), indent=2) + "\n",
    }
    present = [name for name in contents if (directory / name).exists() or (directory / name).is_symlink()]
    if present:
        raise AutoflowError(
            f"{directory}: has {', '.join(present)} already; nothing was written; choose another directory"
        )
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            # another one that was quicker is not overwritten either
            with (directory / name).open("x", encoding="utf-8") as file:
                file.write(content)
    except OSError as error:
        raise AutoflowError(f"{directory}: cannot be written ({error.strerror})") from error
    if options.json:
        print_json(options, {"directory": str(directory), "files": list(contents)})
        return ExitCode.OK
    print_line(f"{directory}: {', '.join(contents)} written. Next:")
    outputs = directory.parent / "outputs"
    print_line(f"  export AUTOFLOW_INPUTS_DIR={_quoted(directory)} AUTOFLOW_OUTPUTS_DIR={_quoted(outputs)}")
    print_line("  export FLOWAPI_URL=...     # and FLOWAPI_TOKEN; `autoflow demo-flowapi` is a stand-in")
    print_line("  autoflow check             # validate settings and workflows.yml")
    print_line("  autoflow once              # run what is due")
    return ExitCode.OK


def _notebook() -> dict[str, Any]:
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
        },
        "cells": [
            _cell(
                "title",
                "# A first look at the data\n\nThe cell below has the tag `parameters`: AutoFlow puts the values of a"
                " run after it.",
            ),
            _cell(
                "parameters",
                'reference_date = "2016-01-02"\nflowapi_url = "http://127.0.0.1:9090"\ngreeting = "Hello"',
                tags=["parameters"],
            ),
            _cell(
                "connect",
                "import flowclient\nimport pandas as pd\nfrom get_secret_or_env_var import environ\n\n"
                'connection = flowclient.connect(url=flowapi_url, token=environ["FLOWAPI_TOKEN"])\n'
                "dates = flowclient.get_available_dates(connection=connection)",
            ),
            _cell(
                "look",
                'print(f"{greeting}: this run is for {reference_date}.")\n'
                "pd.DataFrame(\n"
                '    {"days": {name: len(listed) for name, listed in dates.items()},\n'
                '     "has the reference date": {name: reference_date in listed for name, listed in dates.items()}}\n'
                ")",
            ),
        ],
    }


def _cell(name: str, source: str, tags: list[str] | None = None) -> dict[str, Any]:
    if name == "title":
        return {"cell_type": "markdown", "id": name, "metadata": {}, "source": source}
    metadata = {"tags": tags} if tags else {}
    return {
        "cell_type": "code",
        "id": name,
        "metadata": metadata,
        "source": source,
        "execution_count": None,
        "outputs": [],
    }


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
