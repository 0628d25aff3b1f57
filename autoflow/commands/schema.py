# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""``autoflow schema``: the JSON Schema of workflows.yml, or of what ``--json`` prints."""

from __future__ import annotations

import argparse
import sys

from autoflow.commands.answer import as_text
from autoflow.commands.answer_schema import answer_schema
from autoflow.commands.terminal import print_json
from autoflow.errors import ExitCode
from autoflow.parser import json_schema


def run(options: argparse.Namespace, settings: None) -> ExitCode:  # noqa: ARG001
    """Print it."""
    schema = answer_schema() if options.document == "json" else json_schema()
    if options.json:
        print_json(options, {"schema": schema})
    else:
        print(as_text(schema, sys.stdout.encoding))  # noqa: T201
    return ExitCode.OK
