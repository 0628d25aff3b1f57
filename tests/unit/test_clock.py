# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Time comes through two doors: the context's wall clock and the event loop. Tests hold both still."""

from __future__ import annotations

import ast
import asyncio
import datetime as dt
from functools import cache
from pathlib import Path

import pytest

import autoflow
from tests.clock import Clock, run_held

PACKAGE = Path(autoflow.__file__).parent

CLOCKS = {
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
    "time": {
        "clock_gettime", "ctime", "gmtime", "localtime", "monotonic", "monotonic_ns", "perf_counter",
        "perf_counter_ns", "process_time", "sleep", "time", "time_ns",
    },
}  # fmt: skip

ELSEWHERE = {
    "clock.py": {"clock_gettime", "now"},
    # what waits for a daemon's answer, or for a run to end, is a command, which has no loop
    "system/control.py": {"monotonic"},
    "commands/steering.py": {"monotonic", "sleep"},
    # only the function is named, with which logging reads the time of a record
    "cli.py": {"gmtime"},
    # in a thread of their own, which nothing waits for
    "log_writer.py": {"sleep"},
    "progress.py": {"monotonic"},
    # a server for the tutorial and the tests, beside AutoFlow rather than in it
    "demo_flowapi/flowmachine.py": {"monotonic"},
}
"""Where something else is asked, and why it may be."""

EDGES = {"app.py", "cluster/worker.py", "context/context.py", "model/record_lock.py"}
"""Where the wall clock is read that AutoFlow starts with, beside the commands."""


@cache
def in_this_process() -> list[tuple[str, ast.Module]]:
    named = ((path.relative_to(PACKAGE).as_posix(), path) for path in sorted(PACKAGE.rglob("*.py")))
    return [(name, ast.parse(path.read_text())) for name, path in named if not name.startswith("child/")]


def clocks_asked(tree: ast.Module) -> set[str]:
    """Find what was requested the time, by whatever name its module was imported."""
    modules = {"datetime": "datetime", "date": "date", "time": "time"}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules |= {alias.asname or alias.name: alias.name for alias in node.names if alias.name in CLOCKS}
        elif isinstance(node, ast.ImportFrom) and node.module in CLOCKS:
            modules |= {alias.asname or alias.name: alias.name for alias in node.names}
            found |= {alias.name for alias in node.names} & CLOCKS[node.module]
        elif isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            found |= {node.attr} & CLOCKS.get(modules.get(owner, owner), set())
    return found


def test_nothing_but_the_door_asks_a_clock() -> None:
    asked = {name: clocks for name, tree in in_this_process() if (clocks := clocks_asked(tree))}
    assert asked == ELSEWHERE


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.time()",
        "import time as t\nt.monotonic()",
        "from time import monotonic",
        "import datetime as dt\ndt.datetime.now(dt.UTC)",
        "from datetime import datetime as moment\nmoment.utcnow()",
        "import datetime\ndatetime.date.today()",
    ],
)
def test_a_clock_is_found_by_whatever_name(code: str) -> None:
    assert clocks_asked(ast.parse(code))


def test_the_door_is_opened_at_the_edges_only() -> None:
    opened = {
        name
        for name, tree in in_this_process()
        if any(isinstance(node, ast.ImportFrom) and node.module == "autoflow.clock" for node in ast.walk(tree))
    }
    assert {name for name in opened if not name.startswith("commands/")} == EDGES


def test_a_command_reads_the_clock_once() -> None:
    for name, tree in in_this_process():
        for function in (node for node in tree.body if isinstance(node, ast.FunctionDef)):
            names = [node.id for node in ast.walk(function) if isinstance(node, ast.Name)]
            assert names.count("utc_now") <= 1, f"{name}: {function.name}"


def test_held_time_jumps_from_timer_to_timer_and_a_wait_sees_each_of_them() -> None:
    async def wait() -> list[float]:
        loop, seen = asyncio.get_running_loop(), []
        clock = Clock(dt.datetime(2027, 1, 1, tzinfo=dt.UTC), loop)
        sleeping = asyncio.create_task(asyncio.sleep(86400.0))
        for hour in (1, 2, 30):
            loop.call_later(hour * 3600.0, seen.append, hour)
            await loop.until(lambda expected=hour: expected in seen)  # type: ignore[attr-defined]
        await sleeping
        assert clock() >= dt.datetime(2027, 1, 2, 9, tzinfo=dt.UTC)
        return seen

    assert run_held(wait()) == [1, 2, 30]


def test_held_time_passes_as_real_time_while_a_thread_is_under_way() -> None:
    async def wait() -> float:
        loop = asyncio.get_running_loop()
        far = loop.call_later(3600.0, pytest.fail, "a timer overtook the thread")
        end = loop.time()
        assert await asyncio.to_thread(sum, [1, 2]) == 3
        far.cancel()
        return loop.time() - end

    assert run_held(wait()) < 60
