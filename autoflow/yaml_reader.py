# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""YAML to plain values, with the line and column of every key and value."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from autoflow.errors import DefinitionError, Problem

KeyPath = tuple[str | int, ...]
"""Keys and positions that lead to a value, such as ``("workflows", 0, "name")``."""

MOST_NODES = 200_000
"""Values that a file may stand for when its aliases are written out."""


@dataclass(frozen=True)
class Document:
    """A YAML file as it was read. Places are (line, column), both counted from 1."""

    file: str
    content: Any
    values: Mapping[KeyPath, tuple[int, int]]
    keys: Mapping[KeyPath, tuple[int, int]]

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False, severity: str = "error") -> Problem:
        """Describe something wrong with the value at a path, or with its key."""
        places = {**self.values, **self.keys} if at_key else self.values
        known = path
        while known and known not in places:
            known = known[:-1]
        line, column = places.get(known, (1, 1))
        return Problem(self.file, line, column, dotted(path), message, "warning" if severity == "warning" else "error")


def dotted(path: KeyPath) -> str:
    """Write a path as people do: ``workflows[0].notebooks.run_flows``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_yaml(path: Path) -> tuple[Document, list[Problem]]:
    """Read one YAML file.

    Returns
    -------
    Document
        With what could be read.
    list of Problem
        Duplicate keys, impossible dates and the like.

    Raises
    ------
    DefinitionError
        When nothing could be read: no such file, not text, no YAML.
    """
    file = str(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _fatal(file, f"is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except FileNotFoundError:
        raise _fatal(file, "not found; AUTOFLOW_INPUTS_DIR must hold a file of this name") from None
    except OSError as error:
        raise _fatal(file, f"can not be read ({error.strerror})") from None
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        what = " ".join(part for part in (error.context, error.problem) if part)
        raise DefinitionError((Problem(file, line, column, "", f"is not valid YAML: {what}"),)) from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise _fatal(file, f"is not valid YAML: {' '.join(str(error).split())}") from None
    if not nodes or nodes[0] is None:
        raise _fatal(file, "is empty; expected the keys 'workflows' and 'available_dates_sensor'")
    if len(nodes) > 1:
        mark = nodes[1].start_mark
        message = "a second document begins here; expected one document in the file"
        raise DefinitionError((Problem(file, mark.line + 1, mark.column + 1, "", message),))
    reader = _Reader(file)
    try:
        content = reader.value(nodes[0], ())
    except RecursionError:
        raise _fatal(file, "an alias holds itself, or the file is nested too deeply") from None
    return Document(file, content, reader.values, reader.keys), reader.problems


def _fatal(file: str, message: str) -> DefinitionError:
    return DefinitionError((Problem(file, 0, 0, "", message),))


class _Reader:
    """Walks over the nodes of one document."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._constructor = yaml.constructor.SafeConstructor()
        self._nodes = 0
        self.values: dict[KeyPath, tuple[int, int]] = {}
        self.keys: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _fatal(self._file, f"stands for more than {MOST_NODES} values when its aliases are written out")
        self.values[path] = _place(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
            return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> Any:
        if node.tag != "tag:yaml.org,2002:map":
            return self._scalar(node, path)
        mapping: dict[Any, Any] = {}
        first: dict[Any, tuple[int, int]] = {}
        own = [pair for pair in node.value if pair[0].tag != "tag:yaml.org,2002:merge"]
        for key_node, value_node in own:
            key = self._scalar(key_node, path)
            if not isinstance(key, Hashable):
                self._problem(key_node, path, "a key must be a plain name")
                continue
            here = (*path, key if isinstance(key, (str, int)) and not isinstance(key, bool) else str(key))
            if key in mapping:
                line = first[key][0]
                self._problem(key_node, here, f"this key is there twice, first in line {line}; keep one of them")
                continue
            first[key] = self.keys[here] = _place(key_node)
            mapping[key] = self.value(value_node, here)
        merged = [pair[1] for pair in node.value if pair not in own]
        for source in merged:
            for mapped in source.value if isinstance(source, yaml.SequenceNode) else [source]:
                inherited = self.value(mapped, (*path, "<<"))
                if isinstance(inherited, dict):
                    mapping = {**inherited, **mapping}
        return mapping

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        try:
            return self._constructor.construct_object(node, deep=True)
        except yaml.constructor.ConstructorError as error:
            self._problem(node, path, f"{error.problem}; expected plain YAML values")
        except (ValueError, OverflowError) as error:
            kind = "date" if node.tag == "tag:yaml.org,2002:timestamp" else "value"
            self._problem(node, path, f"found {node.value}, which is no possible {kind} ({error})")
        return None

    def _problem(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        self.problems.append(Problem(self._file, *_place(node), dotted(path), message))


def _place(node: yaml.Node) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
