# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The DAGs in a file, their tasks and what comes before what: told from its syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from autoflow.airflow.values import (
    Unknown,
    combined,
    joined,
    length_of,
    moment_of,
    parsed_moment,
    path_of,
    unknown,
)
from autoflow.bounded_file import LARGEST_CONFIG, read_bounded
from autoflow.errors import AutoflowError

OPERATOR = re.compile(r"(Operator|Sensor)(Async)?$")
DEEPEST_CALL = 10
"""Functions of the file's own that call each other, before one is given up."""

MOST_STATEMENTS = 100_000
"""Statements that are read, those in loops and functions each time."""


@dataclass(frozen=True)
class Task:
    """One task of a DAG."""

    name: str
    """Its ``task_id``."""
    operator: str
    """Class of its operator, or the decorator of its function."""
    arguments: Mapping[str, Any]
    """Those of the DAG's ``default_args`` among them."""
    line: int


@dataclass(eq=False)
class Dag:
    """A DAG as far as it has been read."""

    name: str
    line: int
    arguments: Mapping[str, Any]
    tasks: list[Task] = field(default_factory=list)
    before: set[tuple[str, str]] = field(default_factory=set)
    """Pairs of names of tasks, the first of which comes first."""
    notes: list[tuple[int, str]] = field(default_factory=list)
    """What could not be read, each with its line."""

    def upstream(self, task: Task, kept: Callable[[Task], bool]) -> list[Task]:
        """List the tasks that directly precede one, seen through those that are not kept, in the order of the file."""
        by_name = {each.name: each for each in self.tasks}
        found: set[str] = set()
        left, seen = [task.name], {task.name}
        while left:
            name = left.pop()
            for first, second in self.before:
                if second == name and first not in seen and first in by_name:
                    seen.add(first)
                    (found.add if kept(by_name[first]) else left.append)(first)
        return [each for each in self.tasks if each.name in found]


@dataclass(eq=False)
class Group:
    """Tasks that are put in order together."""

    tasks: list[Task] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """What a task hands to others, as ``task.output``."""

    task: Task


@dataclass(frozen=True)
class Function:
    """A function that the file defines; its decorator where that makes it a DAG or a task."""

    node: ast.FunctionDef
    decorator: str | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Operator:
    """A class of operators that the file derives from another, or one with some of its arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def read_dags(path: Path) -> list[Dag]:
    """Read the DAGs of a file, without running any of it.

    Raises
    ------
    AutoflowError
        When the file cannot be read, or is not Python.
    """
    try:
        text = read_bounded(path, LARGEST_CONFIG).decode("utf-8")
        tree = ast.parse(text)
    except OSError as error:
        raise AutoflowError(f"{path}: cannot be read ({error.strerror})") from error
    except SyntaxError as error:
        raise AutoflowError(f"{path}:{error.lineno or 0}:{error.offset or 0}: is not Python 3: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise AutoflowError(f"{path}: is not the text of a DAG ({error})") from error
    reader = _Reader()
    try:
        reader.read(tree.body)
    except RecursionError:
        raise AutoflowError(f"{path}: is not the text of a DAG (its expressions are nested too deeply)") from None
    except AutoflowError as error:
        raise AutoflowError(f"{path}: {error}") from None
    return reader.dags


class _Return(Exception):  # noqa: N818  # no error: it ends the reading of a function
    """What a function returns."""

    def __init__(self, value: Any) -> None:
        self.value = value


class _Reader:
    """Goes through statements in the order of the file, and knows what names stand for by then."""

    def __init__(self) -> None:
        self.dags: list[Dag] = []
        self._names: dict[str, Any] = {}
        self._dag: list[Dag] = []
        self._groups: list[tuple[str, Group]] = []
        self._depth = 0
        self._left = MOST_STATEMENTS

    def read(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self._left -= 1
            if self._left < 0:
                raise AutoflowError(
                    f"more than {MOST_STATEMENTS:,} statements, loops written out, are too many to read"
                )
            handler = getattr(self, f"_do_{type(statement).__name__.lower()}", None)
            if handler is not None:
                handler(statement)

    # statements

    def _do_assign(self, node: ast.Assign) -> None:
        value = self._value(node.value)
        for target in node.targets:
            self._bind(target, value)

    def _do_annassign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._bind(node.target, self._value(node.value))

    def _do_augassign(self, node: ast.AugAssign) -> None:
        target = ast.copy_location(ast.BinOp(_loaded(node.target), node.op, node.value), node)
        self._bind(node.target, self._value(ast.fix_missing_locations(target)))

    def _bind(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._names[target.id] = value
        elif isinstance(target, (ast.Tuple, ast.List)):
            known = isinstance(value, list) and len(value) == len(target.elts)
            for index, each in enumerate(target.elts):
                self._bind(each, value[index] if known else unknown(_loaded(each)))
        elif isinstance(target, ast.Subscript) and isinstance(held := self._value(target.value), (dict, list)):
            key = self._value(target.slice)
            if isinstance(held, dict) and isinstance(key, (str, int)):
                held[key] = value

    def _do_expr(self, node: ast.Expr) -> None:
        self._value(node.value)

    def _do_return(self, node: ast.Return) -> None:
        raise _Return(None if node.value is None else self._value(node.value))

    def _do_with(self, node: ast.With) -> None:
        dags, groups = len(self._dag), len(self._groups)
        for item in node.items:
            value = self._value(item.context_expr)
            if isinstance(value, Dag):
                self._dag.append(value)
            elif isinstance(value, Group):
                self._groups.append((_group_id(item.context_expr, self._value), value))
            if item.optional_vars is not None:
                self._bind(item.optional_vars, value)
        self.read(node.body)
        del self._dag[dags:], self._groups[groups:]

    def _do_for(self, node: ast.For) -> None:
        values = self._value(node.iter)
        if not isinstance(values, list):
            values = [unknown(node.target)]
            self._note(node, f"the loop over {ast.unparse(node.iter)} was read once: its values are not known")
        for value in values:
            self._bind(node.target, value)
            self.read(node.body)

    def _do_if(self, node: ast.If) -> None:
        if "__name__" in ast.unparse(node.test):
            return
        before = sum(len(dag.tasks) for dag in self.dags)
        self.read(node.body)
        self.read(node.orelse)
        if sum(len(dag.tasks) for dag in self.dags) > before:
            self._note(node, f"tasks that depend on `{ast.unparse(node.test)}` are all here")

    def _do_try(self, node: ast.Try) -> None:
        self.read([*node.body, *node.orelse, *node.finalbody])

    def _do_classdef(self, node: ast.ClassDef) -> None:
        for base in node.bases:
            if OPERATOR.search(name := _last_name(base)) or isinstance(self._names.get(name), Operator):
                known = self._names.get(name)
                self._names[node.name] = known if isinstance(known, Operator) else Operator(name)

    def _do_functiondef(self, node: ast.FunctionDef) -> None:
        function = Function(node)
        for decorator in node.decorator_list:
            call = decorator if isinstance(decorator, ast.Call) else None
            named = call.func if call else decorator
            name = _last_name(named)
            keywords = self._keywords(call) if call else {}
            if name == "dag":
                args = [self._value(arg) for arg in call.args] if call else []
                self._read_body_of_dag(node, {**dict(zip(["dag_id"], args, strict=False)), **keywords})
                return
            if ast.unparse(named).split(".")[0] == "task" or name == "task":
                function = Function(node, f"@{ast.unparse(named)}", keywords)
            elif name == "task_group":
                function = Function(node, "task_group")
        self._names[node.name] = function

    def _read_body_of_dag(self, node: ast.FunctionDef, arguments: Mapping[str, Any]) -> None:
        self._dag.append(self._new_dag(node, {"dag_id": node.name, **arguments}))
        self._inside(node, {})
        self._dag.pop()

    # expressions

    def _value(self, node: ast.expr) -> Any:
        handler = getattr(self, f"_of_{type(node).__name__.lower()}", None)
        return unknown(node) if handler is None else handler(node)

    def _of_constant(self, node: ast.Constant) -> Any:
        return node.value if isinstance(node.value, (str, int, float, type(None))) else unknown(node)

    def _of_name(self, node: ast.Name) -> Any:
        return self._names.get(node.id, unknown(node))

    def _of_list(self, node: ast.List | ast.Tuple | ast.Set) -> Any:
        return [self._value(each) for each in node.elts]

    _of_tuple = _of_set = _of_list

    def _of_dict(self, node: ast.Dict) -> Any:
        held: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            worth = self._value(value)
            if key is None:
                held |= worth if isinstance(worth, dict) else {}
            else:
                name = self._value(key)
                held[name if isinstance(name, (str, int, float, Unknown)) else unknown(key)] = worth
        return held

    def _of_joinedstr(self, node: ast.JoinedStr) -> Any:
        return joined(node, [self._value(part) for part in node.values])

    def _of_formattedvalue(self, node: ast.FormattedValue) -> Any:
        return unknown(node.value) if node.format_spec else self._value(node.value)

    def _of_unaryop(self, node: ast.UnaryOp) -> Any:
        value = self._value(node.operand)
        return -value if isinstance(node.op, ast.USub) and isinstance(value, (int, float)) else unknown(node)

    def _of_subscript(self, node: ast.Subscript) -> Any:
        held, key = self._value(node.value), self._value(node.slice)
        try:
            return held[key] if isinstance(held, (dict, list)) else unknown(node)
        except (LookupError, TypeError):
            return unknown(node)

    def _of_attribute(self, node: ast.Attribute) -> Any:
        held = self._value(node.value)
        if isinstance(held, Task):
            return Result(held) if node.attr == "output" else held.name if node.attr == "task_id" else unknown(node)
        return unknown(node)

    def _of_listcomp(self, node: ast.ListComp | ast.GeneratorExp) -> Any:
        values = self._value(node.generators[0].iter)
        if len(node.generators) > 1 or node.generators[0].ifs or not isinstance(values, list):
            return unknown(node)
        made = []
        for value in values:
            self._bind(node.generators[0].target, value)
            made.append(self._value(node.elt))
        return made

    _of_generatorexp = _of_listcomp

    def _of_binop(self, node: ast.BinOp) -> Any:
        left, right = self._value(node.left), self._value(node.right)
        if isinstance(node.op, ast.RShift):
            self._in_order(left, right)
        elif isinstance(node.op, ast.LShift):
            self._in_order(right, left)
        else:
            return combined(node, left, right)
        # an edge's label between two tasks is none itself
        return right if any(_tasks_in(right)) else left

    def _of_call(self, node: ast.Call) -> Any:
        name = _last_name(node.func)
        known = self._value(node.func) if isinstance(node.func, ast.Name) else None
        if isinstance(known, Function):
            return self._of_own_function(node, known)
        if isinstance(known, Operator) or OPERATOR.search(name):
            return self._new_task(node, known if isinstance(known, Operator) else Operator(name))
        if name == "DAG":
            args = [self._value(arg) for arg in node.args]
            return self._new_dag(
                node, {**dict(zip(("dag_id", "description"), args, strict=False)), **self._keywords(node)}
            )
        if name == "TaskGroup":
            return Group()
        if isinstance(node.func, ast.Attribute) and (made := self._of_method(node, node.func)) is not None:
            return made
        return self._of_plain_call(node, name)

    def _of_method(self, node: ast.Call, func: ast.Attribute) -> Any:
        """Read a method of a task, a dictionary or the like; None for any other."""
        held = self._value(func.value)
        args = [self._value(arg) for arg in node.args]
        if func.attr in ("set_downstream", "set_upstream") and args:
            pair = (held, args[0]) if func.attr == "set_downstream" else (args[0], held)
            self._in_order(*pair)
            return held
        if isinstance(held, list) and func.attr == "append" and args:
            held.append(args[0])
        elif isinstance(held, dict) and func.attr == "update":
            held |= args[0] if args and isinstance(args[0], dict) else self._keywords(node)
        elif ast.unparse(func) in ("Variable.get", "models.Variable.get") and args and isinstance(args[0], str):
            return f"{{{{ var.value.{args[0]} }}}}"
        elif isinstance(func.value, ast.Call) and func.attr in ("expand", "expand_kwargs"):
            self._note(node, f"the tasks that `{ast.unparse(func.value.func)}` is expanded to")
        return None

    def _of_plain_call(self, node: ast.Call, name: str) -> Any:
        args = [self._value(arg) for arg in node.args if not isinstance(arg, ast.Starred)]
        keywords = self._keywords(node)
        made: Any = None
        match name:
            case "dict":
                made = {**(args[0] if args and isinstance(args[0], dict) else {}), **keywords}
            case "list" | "tuple" | "sorted" if args and isinstance(args[0], list):
                made = list(args[0])
            case "range" if all(isinstance(arg, int) and abs(arg) < MOST_STATEMENTS for arg in args):
                with suppress(ValueError, TypeError):
                    made = list(range(*args))
            case "str" | "safe_dump" | "dump" | "timezone" | "Timezone" | "ZoneInfo" if args:
                made = joined(node, args[:1]) if name == "str" else args[0]
            case "Path" | "PurePath" | "PosixPath":
                made = path_of(node, args)
            case "timedelta" | "duration" | "relativedelta":
                made = length_of(name, args, keywords)
            case "datetime" | "date":
                made = moment_of(args, keywords)
            case "parse" | "fromisoformat":
                made = parsed_moment(args[0]) if args else None
            case "chain":
                for first, second in pairwise(args):
                    self._in_order(first, second, pairwise=True)
            case "cross_downstream" if len(args) == 2:
                self._in_order(*args)
            case "partial" if args and isinstance(node.args[0], ast.Name):
                made = Operator(node.args[0].id, keywords)
        return unknown(node) if made is None else made

    def _keywords(self, node: ast.Call) -> dict[str, Any]:
        held: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self._value(keyword.value)
            held |= {keyword.arg: value} if keyword.arg else _named(value) if isinstance(value, dict) else {}
        return held

    # what they make

    def _new_dag(self, node: ast.AST, arguments: Mapping[str, Any]) -> Dag:
        dag = Dag(str(arguments.get("dag_id", "dag")), getattr(node, "lineno", 0), arguments)
        self.dags.append(dag)
        return dag

    def _new_task(self, node: ast.Call, operator: Operator) -> Any:
        keywords = {**operator.arguments, **self._keywords(node)}
        named = keywords.get("dag")
        dag = named if isinstance(named, Dag) else self._dag[-1] if self._dag else None
        if dag is None and len(self.dags) == 1:
            dag = self.dags[0]
        if dag is None:
            return unknown(node)
        defaults = dag.arguments.get("default_args")
        arguments = {**(_named(defaults) if isinstance(defaults, dict) else {}), **keywords}
        return self._add(dag, str(arguments.get("task_id") or operator.name), operator.name, arguments, node.lineno)

    def _add(self, dag: Dag, name: str, operator: str, arguments: Mapping[str, Any], line: int) -> Task:
        if any(each.name == name for each in dag.tasks) and self._groups:
            name = ".".join([*(group for group, _ in self._groups), name])
        number, wanted = 1, name
        while any(each.name == name for each in dag.tasks):
            number += 1
            name = f"{wanted}__{number}"
        task = Task(name, operator, arguments, line)
        dag.tasks.append(task)
        for _, group in self._groups:
            group.tasks.append(task)
        for value in arguments.values():
            self._in_order(list(_results_in(value)), task)
        return task

    def _of_own_function(self, node: ast.Call, function: Function) -> Any:
        args = [self._value(arg) for arg in node.args]
        keywords = self._keywords(node)
        if function.decorator == "task_group":
            group = Group()
            self._groups.append((function.node.name, group))
            self._inside(function.node, _bound(function.node, args, keywords))
            self._groups.pop()
            return group
        if function.decorator:
            if not self._dag:
                return unknown(node)
            arguments = {**function.arguments, "op_args": args, "op_kwargs": keywords}
            name = str(arguments.get("task_id") or function.node.name)
            return self._add(self._dag[-1], name, function.decorator, arguments, node.lineno)
        return self._inside(function.node, _bound(function.node, args, keywords))

    def _inside(self, node: ast.FunctionDef, names: Mapping[str, Any]) -> Any:
        """Read the body of a function, and give what it returns."""
        if self._depth == DEEPEST_CALL:
            return unknown(ast.Name(node.name))
        outside, self._names = self._names, {**self._names, **names}
        self._depth += 1
        try:
            self.read(node.body)
        except _Return as end:
            return end.value
        finally:
            self._names = outside
            self._depth -= 1
        return None

    def _in_order(self, first: Any, second: Any, *, pairwise: bool = False) -> None:
        """Note that some tasks come before others; two lists of the same length in a chain go pair by pair."""
        if pairwise and isinstance(first, list) and isinstance(second, list) and len(first) == len(second):
            for pair in zip(first, second, strict=True):
                self._in_order(*pair)
            return
        for dag in self.dags:
            names = {task.name for task in dag.tasks}
            dag.before |= {
                (one.name, other.name)
                for one in _tasks_in(first)
                for other in _tasks_in(second)
                if one is not other and {one.name, other.name} <= names
            }

    def _note(self, node: ast.stmt | ast.expr, text: str) -> None:
        if self.dags:
            (self._dag or self.dags)[-1].notes.append((node.lineno, text))


def _named(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if isinstance(name, str)}


def _loaded(node: ast.expr) -> ast.expr:
    """Turn the target of an assignment into a value."""
    loaded = ast.parse(ast.unparse(node), mode="eval").body
    return ast.copy_location(loaded, node)


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _group_id(node: ast.expr, value: Callable[[ast.expr], Any]) -> str:
    if isinstance(node, ast.Call):
        given = [*node.args[:1], *(keyword.value for keyword in node.keywords if keyword.arg == "group_id")]
        if given:
            return str(value(given[0]))
    return "group"


def _bound(node: ast.FunctionDef, args: Sequence[Any], keywords: Mapping[str, Any]) -> dict[str, Any]:
    """Give a function's parameters their arguments; a default that is no plain value stays unknown."""
    parameters = [each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    defaults = dict(zip(reversed([each.arg for each in node.args.args]), reversed(node.args.defaults), strict=False))
    held: dict[str, Any] = {
        name: default.value if isinstance(default, ast.Constant) else unknown(default)
        for name, default in defaults.items()
    }
    held |= dict(zip(parameters, args, strict=False))
    held |= {name: value for name, value in keywords.items() if name in parameters}
    if node.args.kwarg:
        held[node.args.kwarg.arg] = {name: value for name, value in keywords.items() if name not in parameters}
    return held


def _tasks_in(value: Any) -> Iterator[Task]:
    if isinstance(value, Task):
        yield value
    elif isinstance(value, Result):
        yield value.task
    elif isinstance(value, Group):
        yield from value.tasks
    elif isinstance(value, list):
        for each in value:
            yield from _tasks_in(each)


def _results_in(value: Any) -> Iterator[Task]:
    """Find the tasks whose results stand among the arguments of another."""
    if isinstance(value, (Task, Result)):
        yield from _tasks_in(value)
    elif isinstance(value, (dict, list)):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _results_in(each)
