# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""workflows.yml, read as a whole: definitions, or all that is wrong with it, each mistake with its line."""

from autoflow.parser.checks import check_tools
from autoflow.parser.parser import load_definitions, read_definitions
from autoflow.parser.schema import json_schema
from autoflow.parser.sheet import PLACE, filled, human, value_text

__all__ = [
    "PLACE",
    "check_tools",
    "filled",
    "human",
    "json_schema",
    "load_definitions",
    "read_definitions",
    "value_text",
]
