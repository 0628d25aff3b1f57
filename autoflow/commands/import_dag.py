# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow import-dag``: a first workflows.yml from an Airflow DAG."""

from __future__ import annotations

import argparse
from pathlib import Path

from autoflow.airflow import Dag, read_dags, workflows_yml
from autoflow.commands.terminal import print_json, print_line
from autoflow.errors import AutoflowError, ExitCode
from autoflow.wording import did_you_mean, shown


def run(options: argparse.Namespace, settings: None) -> ExitCode:  # noqa: ARG001
    """Write it to a file, or print it."""
    dag = _chosen(options.file, options.dag, read_dags(options.file))
    text = workflows_yml(dag, str(options.file))
    output: Path | None = options.output
    if output is not None:
        try:
            # an existing file is not overwritten
            with output.open("x", encoding="utf-8") as file:
                file.write(text)
        except FileExistsError:
            raise AutoflowError(f"{output}: exists already; nothing was written; choose another file") from None
        except OSError as error:
            raise AutoflowError(f"{output}: cannot be written ({error.strerror})") from error
    comments = sum(line.lstrip().startswith("#") for line in text.splitlines())
    if options.json:
        print_json(options, {"dag": dag.name, "line": dag.line, "file": output and str(output), "text": text})
    elif output is None:
        print(text, end="")  # noqa: T201
    else:
        print_line(f"{output}: written, with {comments} lines of comments; read them, then run `autoflow check`")
    return ExitCode.OK


def _chosen(file: Path, name: str | None, dags: list[Dag]) -> Dag:
    """Choose the DAG: the one that there is, or the one that is named."""
    if not dags:
        raise AutoflowError(f"{file}: no DAG found; expected DAG(...) or a function decorated with @dag")
    names = [dag.name for dag in dags]
    if name is None and len(dags) > 1:
        there = ", ".join(f"{dag.name} (line {dag.line})" for dag in dags)
        raise AutoflowError(f"{file}: has {len(dags)} DAGs: {there}; choose one with --dag")
    if name is not None and name not in names:
        raise AutoflowError(f"{file}: has no DAG {shown(name)}; {did_you_mean(name, names)}")
    return dags[0] if name is None else dags[names.index(name)]
