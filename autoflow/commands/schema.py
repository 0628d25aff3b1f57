# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow schema``: the JSON Schema of workflows.yml."""

from __future__ import annotations

import argparse

from autoflow.commands.terminal import print_json
from autoflow.errors import ExitCode
from autoflow.parser import json_schema


def run(options: argparse.Namespace, settings: None) -> ExitCode:  # noqa: ARG001
    """Print it."""
    print_json(json_schema())
    return ExitCode.OK
