# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What commands answer with ``--json``: read as a script does, and held against the schema that scripts may rely on."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator

from autoflow.commands.answer_schema import answer_schema

OUTSIDE = ("version", "command", "exit_code", "errors")


def answer_of(text: str, *, code: int | None = None) -> dict[str, Any]:
    """Read an answer, which has to be as the schema says, with nothing that it does not describe."""
    answer: dict[str, Any] = json.loads(text, parse_constant=_refuse)
    validator().validate(answer)
    if code is not None:
        assert answer["exit_code"] == code
    if not answer["errors"]:
        strict(answer["command"]).validate(answer)
    return answer


def content_of(text: str) -> dict[str, Any]:
    """Read what a command adds to its answer."""
    return {key: value for key, value in answer_of(text).items() if key not in OUTSIDE}


@cache
def validator() -> Draft202012Validator:
    return Draft202012Validator(answer_schema(), format_checker=Draft202012Validator.FORMAT_CHECKER)


@cache
def strict(command: str) -> Draft202012Validator:
    definitions = {name: _closed(each) for name, each in answer_schema()["$defs"].items()}
    definitions[command]["properties"] |= {key: {} for key in OUTSIDE}
    return Draft202012Validator({"$ref": f"#/$defs/{command}", "$defs": definitions})


def _closed(schema: Any) -> Any:
    """Allow no other keys than those described."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(each) for key, each in schema.items()}
    return {**closed, "additionalProperties": False} if isinstance(closed.get("properties"), dict) else closed


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")
