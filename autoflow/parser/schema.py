# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What `autoflow.definitions` says of workflows.yml: to validate a file, for editors, and for the docs."""

from __future__ import annotations

import ast
import datetime as dt
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from itertools import pairwise
from typing import Any, get_args, get_type_hints

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from autoflow.dates import REFERENCE_DATE_ONLY, duration_text
from autoflow.definitions import File


@cache
def validator() -> TypeAdapter[File]:
    """Return what validates the content of a file."""
    return TypeAdapter(File)


def entry_in(annotation: Any) -> type[Any]:
    """Return the class that describes the mapping in a field: alone, in a list or mapping, or where None may be too."""
    return next(_entries_in(annotation))


def json_schema() -> dict[str, Any]:
    """Describe workflows.yml for editors."""
    schema = validator().json_schema(schema_generator=_AsWritten)
    entries = {entry.__name__: entry for entry in _entries(File)}
    for name, described in [("File", schema), *schema["$defs"].items()]:
        # before pydantic 2.14, only what is not nested says so itself
        described["additionalProperties"] = False
        described["description"] = _unwrapped(inspect.getdoc(entries[name]) or "")
        for key, text in _docstrings(entries[name]).items():
            described["properties"][key]["description"] = text
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


class _AsWritten(GenerateJsonSchema):
    """Tells of defaults as they would be written in the file."""

    def encode_default(self, dft: Any) -> Any:
        if dft is REFERENCE_DATE_ONLY:
            return [0]
        if is_dataclass(dft):
            return {}
        if isinstance(dft, dt.timedelta):
            return dft.days
        return duration_text(dft) if isinstance(dft, float) else super().encode_default(dft)


def _entries(entry: type[Any]) -> Iterator[type[Any]]:
    """Yield a class and all that its fields hold."""
    yield entry
    for annotation in get_type_hints(entry).values():
        for each in _entries_in(annotation):
            yield from _entries(each)


def _entries_in(annotation: Any) -> Iterator[type[Any]]:
    if isinstance(annotation, type) and is_dataclass(annotation):
        yield annotation
    # a list that may be left out is nested in another annotation
    for each in get_args(annotation):
        yield from _entries_in(each)


def _docstrings(entry: type[Any]) -> Mapping[str, str]:
    """Return what stands below each field of a class and of those that it inherits from."""
    found = {}
    for each in reversed(entry.__mro__[:-1]):
        tree = ast.parse(inspect.getsource(each))
        for field, text in pairwise(next(node.body for node in tree.body if isinstance(node, ast.ClassDef))):
            match field, text:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    found[name] = _unwrapped(words)
    return found


def _unwrapped(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
