# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""A run as data: a workflow with one set of parameters, its key, and the states that runs and attempts may have."""

from autoflow.runs.in_order import Runs, Series, Stage
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
    "AttemptState",
    "Failure",
    "Run",
    "RunKey",
    "RunState",
    "Runs",
    "Series",
    "Stage",
    "build_run",
    "key_maker",
    "keys_of_days",
    "parameters_hash",
    "recorded_run",
]
