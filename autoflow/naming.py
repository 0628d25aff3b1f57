# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Names of output files: the predecessor's pattern, safe on every file system."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from autoflow.runs import Run
from autoflow.wording import own_parameters

LONGEST_PART = 80
"""Characters of a stem or workflow name that are kept; a file name holds 255 bytes in all."""


MANIFEST = ".json"
"""Suffix of what is kept beside a report about how it was made."""

BY_DATE = "by-date"
"""Directory among the reports, of links that have names for people."""

OUTPUT_SUFFIXES = (".pdf", ".html", MANIFEST)
"""Suffixes of what is made of an executed notebook; all that is made at a time has one stem."""

LONGEST_PARAMETERS = 40
"""Characters of parameters that are kept in the name of the newest report."""


def output_stem(filename: str, run: Run, now: dt.datetime) -> str:
    """Name, without extension, of what is made of a notebook in a run.

    Parameters
    ----------
    filename
        The notebook's file name in the inputs directory.
    run
        The run that it is executed in.
    now
        Aware time of the execution.

    Returns
    -------
    str
        ``<stem>__<workflow>_<reference date>_<parameters hash>__<UTC time>``
    """
    time = now.astimezone(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    tag = f"{_safe(run.workflow.name)}_{run.reference_date}_{run.parameters_hash}"
    return f"{source_stem(filename)}__{tag}__{time}"


def source_stem(filename: str) -> str:
    """Write a notebook's file name as it stands at the beginning of `output_stem`."""
    return _safe(PurePath(filename).stem)


def latest_stems(run: Run, label: str) -> tuple[str, str]:
    """Name, without extension, what always points at the newest report of a notebook.

    There is one for each set of parameters, the dates left out.

    Returns
    -------
    plain : str
        What people expect; two workflows, labels or sets of parameters may come to the same.
    own : str
        What no other has.
    """
    own = own_parameters(run.parameters)
    values = [value for _, value in sorted(own.items())]
    parts = [_safe(run.workflow.name), _safe(label)]
    if values:
        words = "_".join(str(value) for value in values)
        plain = len(values) == 1 and isinstance(values[0], str) and _safe(words)[:LONGEST_PARAMETERS] == words
        parts.append(words if plain else f"{_safe(words)[:LONGEST_PARAMETERS]}-{_digest(values)}")
    stem = "__".join(parts)
    return stem, f"{stem}-{_digest([run.workflow.name, label, own], 12)}"


def dated_names(run: Run, label: str) -> tuple[str, tuple[str, str]]:
    """Name the place below ``by-date`` of what a run made, ``<workflow>/<date>``, and the stems as `latest_stems`."""
    workflow = _safe(run.workflow.name)
    plain, own = (stem.removeprefix(f"{workflow}__").replace("__", "-") for stem in latest_stems(run, label))
    return f"{workflow}/{run.reference_date}", (plain, own)


def run_place(run: Run) -> str:
    """Name the directory of a run's intermediate data, ``runs/<workflow>/<reference date>_<parameters hash>``."""
    return f"{run_places(run.workflow.name)}/{run.reference_date}_{run.parameters_hash[:12]}"


def run_places(workflow: str) -> str:
    """Name the directory that the directories of a workflow's runs are in."""
    return f"runs/{_safe(workflow)}"


def report_files(report: Path) -> list[Path]:
    """List the files of a report that are there: itself, its other formats and its manifest."""
    return [path for suffix in OUTPUT_SUFFIXES if (path := report.with_suffix(suffix)).is_file()]


def shared_name(run: Run) -> str:
    """Name the data that a run shares with those of other dates."""
    return shared_name_of(run.workflow.name, run.parameters)


def shared_name_of(workflow: str, parameters: Mapping[str, Any]) -> str:
    """Name the data that runs of a workflow with the same parameters share, the dates left out."""
    own, plain = own_parameters(parameters), _safe(workflow)
    if not own and plain == workflow:
        return plain
    return f"{plain}-{_digest([workflow, own], 12)}"


def _digest(values: list[Any], length: int = 6) -> str:
    return sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:length]


def _safe(part: str) -> str:
    """Keep letters and digits of every script, replace what paths and shells give a meaning to."""
    cleaned = re.sub(r"[^\w.+-]", "_", part).lstrip(".") or "_"
    shortened = cleaned[:LONGEST_PART]
    while len(shortened.encode()) > LONGEST_PART:
        shortened = shortened[:-1]
    return shortened
