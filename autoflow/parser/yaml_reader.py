# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""YAML to plain values, with the line and column of every key and value."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeGuard

import yaml

from autoflow.bounded_file import LARGEST_DEFINITIONS, read_bounded
from autoflow.errors import DefinitionError, Problem, is_not_mounted, may_pass
from autoflow.wording import shortened, shown

KeyPath = tuple[str | int, ...]
"""Keys and positions that lead to a value, such as ``("workflows", 0, "name")``."""

Place = tuple[int, int]
"""Line and column, both counted from 1."""

MOST_NODES = 200_000
"""Values that a file may stand for when its aliases are written out."""

MOST_BITS = 1024
"""Bits of a whole number; Python refuses to write out one of many thousand digits."""

TAG = "tag:yaml.org,2002:"
PLAIN = frozenset(TAG + kind for kind in ("str", "int", "float", "bool", "null", "timestamp"))
"""Tags of the scalars that a workflow's file may hold: what JSON knows, and dates."""

LIBYAML = getattr(yaml, "CSafeLoader", None)
"""None where PyYAML was built without libyaml."""

DISPUTED = frozenset("\t\x85\u2028\u2029\ufeff")

PLAIN_WORDS = {
    "found character '\\t' that cannot start any token": "found a tab; indent with spaces",
    "while scanning an alias": 'text that begins with * must be in quotes, such as "* * * * *"',
    "while scanning an anchor": "text that begins with & must be in quotes",
    "mapping values are not allowed here": "found a ':' where no key can be; check the indentation, and put text"
    " with a ': ' in it in quotes",
    "could not find expected ':'": "the line before has a key without its ':', or the indentation is wrong",
    "expected <block end>, but found": "the indentation does not match that of the lines before",
}
"""What PyYAML says about common slips, and what people understand."""


@dataclass(frozen=True)
class Document:
    """A YAML file as it was read: mappings with text as keys, lists, text, numbers, truth values, dates, None."""

    file: str
    content: Any
    values: Mapping[KeyPath, Place]
    keys: Mapping[KeyPath, Place]

    def problem(
        self,
        path: KeyPath,
        message: str,
        *,
        at_key: bool = False,
        severity: Literal["error", "warning"] = "error",
    ) -> Problem:
        """Describe something wrong with the value at a path, or with its key."""
        known, place = path, self.keys.get(path) if at_key else None
        while place is None:
            place = self.values.get(known) if known else self.values.get((), (1, 1))
            known = known[:-1]
        return Problem(self.file, *place, dotted(path), message, severity)


def dotted(path: KeyPath) -> str:
    """Write a path as people do: ``workflows[0].notebooks.run_flows``."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = shortened(part) or repr(part)
            text += f".{name}" if text else name
    return text


def read_yaml(path: Path, is_free: Callable[[KeyPath], bool] = lambda _: False) -> tuple[Document, list[Problem]]:
    """Read one YAML file.

    Parameters
    ----------
    path
        The file.
    is_free
        Whether what is at a path is a value of the user's, which may have all that Python's JSON can write:
        infinite numbers, and keys that are no text.

    Returns
    -------
    Document
        With what could be read; None stands where a value could not.
    list of Problem
        Duplicate keys, impossible dates, values that no workflow can use and the like.

    Raises
    ------
    DefinitionError
        When nothing could be read: no such file, not text, no YAML.
    """
    file = str(path)
    root = _root(file, _text(file, path))
    reader = _Reader(file, is_free)
    try:
        content = reader.value(root, ())
    except RecursionError:
        raise _fatal(file, "is nested too deeply") from None
    return Document(file, content, reader.values, reader.keys), reader.problems


def _text(file: str, path: Path) -> str:
    try:
        return read_bounded(path, LARGEST_DEFINITIONS).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before: bytes = error.object[: error.start]
        place = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        raise _fatal(file, "is not UTF-8 text; save it as UTF-8", place) from None
    except FileNotFoundError:
        if is_not_mounted(path.parent):
            message = f"not found; {path.parent} is empty or missing: is it mounted? AUTOFLOW_INPUTS_DIR names it"
            raise _fatal(file, message, passing=True) from None
        raise _fatal(file, "not found; AUTOFLOW_INPUTS_DIR must hold a file of this name") from None
    except OSError as error:
        raise _fatal(file, f"cannot be read ({error.strerror})", passing=may_pass(error)) from None
    except ValueError as error:
        raise _fatal(file, f"cannot be read ({error})") from None


def _root(file: str, text: str) -> yaml.Node:
    """Parse the file's one document into nodes."""
    try:
        nodes = _nodes(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _fatal(file, f"is not valid YAML: {_plain_words(error)}", _place(mark) if mark else (0, 0)) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        message = f"is not valid YAML: found the control character {text[error.position]!r}"
        raise _fatal(file, message, place) from None
    except RecursionError:
        raise _fatal(file, "is nested too deeply") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise _fatal(file, f"is not valid YAML: {shortened(' '.join(str(error).split()))}") from None
    if not nodes or nodes[0] is None:
        raise _fatal(file, "is empty; expected the keys 'workflows' and 'available_dates_sensor'")
    if len(nodes) > 1:
        message = "a second document starts here; expected one document in the file"
        raise _fatal(file, message, _place(nodes[1].start_mark))
    return nodes[0]


def _nodes(text: str) -> list[yaml.Node]:
    """Parse a text with libyaml, ten times as fast; PyYAML's own parser says what is wrong with it.

    The two differ in what they make of tabs, and in the columns behind some characters that are not seen.
    """
    if LIBYAML is not None and DISPUTED.isdisjoint(text):
        with suppress(yaml.YAMLError, ValueError):
            return list(yaml.compose_all(text, Loader=LIBYAML))
    return list(yaml.compose_all(text, Loader=yaml.SafeLoader))


def _plain_words(error: yaml.MarkedYAMLError) -> str:
    said = [part for part in (error.context, error.problem) if part]
    for theirs, ours in PLAIN_WORDS.items():
        if any(theirs in part for part in said):
            return ours
    return ": ".join(said)


def _fatal(file: str, message: str, place: Place = (0, 0), *, passing: bool = False) -> DefinitionError:
    return DefinitionError((Problem(file, *place, "", message),), passing=passing)


class _Reader:
    """Walks over the nodes of one document."""

    def __init__(self, file: str, is_free: Callable[[KeyPath], bool]) -> None:
        self._file = file
        self._is_free = is_free
        self._nodes = 0
        self._open: set[yaml.Node] = set()
        self._said: set[tuple[Place, str]] = set()
        self.values: dict[KeyPath, Place] = {}
        self.keys: dict[KeyPath, Place] = {}
        self.problems: list[Problem] = []

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count()
        self.values[path] = _place(node.start_mark)
        if node in self._open:
            self._problem(node, path, "this value holds itself through an alias; write it out")
            return None
        self._open.add(node)
        try:
            if _is_map(node):
                return self._mapping(node, path)
            if isinstance(node, yaml.SequenceNode) and node.tag == TAG + "seq":
                return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
            return self._scalar(node, path)
        finally:
            self._open.discard(node)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        mapping: dict[Any, Any] = {}
        paths: dict[Any, KeyPath] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == TAG + "merge":
                merged.append(value_node)
                continue
            found = self._key(key_node, path)
            if found is None:
                continue
            key, here = found
            if key in mapping:
                line = self.keys[paths[key]][0]
                self._problem(key_node, here, f"this key appears twice, first in line {line}; keep one of them")
                continue
            self.keys[here] = _place(key_node.start_mark)
            mapping[key], paths[key] = self.value(value_node, here), here
        for key_node, value_node in self._inherited(merged, path):
            found = self._key(key_node, path)
            if found is not None and found[0] not in mapping:
                key, here = found
                self.keys[here] = _place(key_node.start_mark)
                mapping[key] = self.value(value_node, here)
        try:
            sorted(mapping)
        except TypeError:
            self._problem(node, path, "found keys of different kinds, which have no order; put all of them in quotes")
            return {str(key): value for key, value in mapping.items()}
        return mapping

    def _inherited(self, merged: list[yaml.Node], path: KeyPath) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        """Yield the entries that ``<<`` brings, the nearest first."""
        for source in merged:
            for node in source.value if isinstance(source, yaml.SequenceNode) else [source]:
                self._count()
                if not _is_map(node):
                    self._problem(
                        node, (*path, "<<"), "found something else after <<, expected a mapping or a list of mappings"
                    )
                    continue
                for key_node, value_node in node.value:
                    self._count()
                    if key_node.tag == TAG + "merge":
                        yield from self._inherited([value_node], path)
                    else:
                        yield key_node, value_node

    def _key(self, node: yaml.Node, path: KeyPath) -> tuple[Any, KeyPath] | None:
        """Read a key, with the path of its value; one that is no possible key is a problem, and taken as written."""
        if not isinstance(node, yaml.ScalarNode):
            self._problem(node, path, "found a list or mapping as a key, expected text")
            return None
        here = (*path, node.value)
        if node.tag == TAG + "str":
            return str(self._scalar(node, path) or ""), here
        if self._is_free(path) and node.tag in PLAIN - {TAG + "timestamp"}:
            key = self._scalar(node, here)
            if _unfit(key) is None:
                return key, here
        message = f"found the key {shortened(node.value) or 'null'}, which YAML does not read as text; put it in quotes"
        self._problem(node, here, message)
        return str(node.value), here

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        if node.tag not in PLAIN or not isinstance(node, yaml.ScalarNode):
            kind = node.tag.removeprefix(TAG)
            written = f"a value of the kind !!{kind}" if kind != node.tag else f"a value tagged {shortened(kind)}"
            if kind == "value":
                written = repr(node.value)
            self._problem(
                node, path, f"found {written}, expected text (in quotes), a number, a date, a list or a mapping"
            )
            return None
        try:
            # one that failed takes the same node for recursive the next time: a fresh one forgets
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError, LookupError, TypeError, AttributeError) as error:
            kind = "date" if node.tag == TAG + "timestamp" else "number" if node.tag != TAG + "str" else "text"
            hint = f" ({error})" if kind == "date" else ""
            self._problem(node, path, f"found {shortened(node.value)}, which is not a valid {kind}{hint}")
            return None
        if (complaint := _unfit(value)) and not (isinstance(value, float) and self._is_free(path)):
            self._problem(node, path, f"found {shown(node.value)}, {complaint}")
            return None
        return value

    def _count(self) -> None:
        self._nodes += 1
        if self._nodes > MOST_NODES:
            raise _fatal(self._file, f"stands for more than {MOST_NODES} values when its aliases are written out")

    def _problem(self, node: yaml.Node, path: KeyPath, message: str) -> None:
        """Note a problem, once however many aliases lead to it."""
        place = _place(node.start_mark)
        if (place, message) not in self._said:
            self._said.add((place, message))
            self.problems.append(Problem(self._file, *place, dotted(path), message))


def _is_map(node: yaml.Node) -> TypeGuard[yaml.MappingNode]:
    return isinstance(node, yaml.MappingNode) and node.tag == TAG + "map"


def _unfit(value: Any) -> str | None:
    """Say why a value cannot be written down again, as JSON or text; None when it can."""
    if isinstance(value, float) and not math.isfinite(value):
        return "expected a finite number"
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return f"expected a number of at most {MOST_BITS} bits"
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return "expected text; it has half of a surrogate pair in it"
    return None


def _place(mark: yaml.Mark) -> Place:
    return mark.line + 1, mark.column + 1
