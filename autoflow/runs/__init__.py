# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A run as data: a workflow with one set of parameters, its key, and the names of its files."""

from autoflow.runs.naming import (
    BY_DATE,
    MANIFEST,
    OUTPUT_SUFFIXES,
    dated_names,
    latest_stems,
    output_stem,
    run_place,
    run_places,
    shared_name,
    shared_name_of,
    source_stem,
)
from autoflow.runs.runs import (
    AttemptState,
    Failure,
    Run,
    RunKey,
    RunState,
    build_run,
    key_maker,
    keys_of_days,
    parameters_hash,
    recorded_run,
)

__all__ = [
    "BY_DATE",
    "MANIFEST",
    "OUTPUT_SUFFIXES",
    "AttemptState",
    "Failure",
    "Run",
    "RunKey",
    "RunState",
    "build_run",
    "dated_names",
    "key_maker",
    "keys_of_days",
    "latest_stems",
    "output_stem",
    "parameters_hash",
    "recorded_run",
    "run_place",
    "run_places",
    "shared_name",
    "shared_name_of",
    "source_stem",
]
