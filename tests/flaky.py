# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Repeat the tests of what has changed, each time in another order, every second time beside busy loops."""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
PYTEST = (sys.executable, "-m", "pytest", "--numprocesses", "3", "--dist", "worksteal")


def changed(base: str) -> set[str]:
    """Give the files that differ from where a branch left another one, those that git does not know yet among them."""
    fork = _git("merge-base", base, "HEAD")
    return {*_git("diff", "--name-only", *fork), *_git("ls-files", "--others", "--exclude-standard")}


def tests_of(files: set[str]) -> list[str]:
    """Find the files of tests that have changed, or import what has."""
    modules = {file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in files}
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        name = path.relative_to(ROOT).as_posix()
        if name in files or modules & set(_imported(ast.parse(path.read_text()))):
            found.append(name)
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@contextmanager
def busy_loops(number: int) -> Iterator[None]:
    """Keep the machine busy."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def _git(*arguments: str) -> Sequence[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.flaky", description=__doc__)
    parser.add_argument("--times", type=int, default=10, help="how often (10)")
    parser.add_argument("--against", default="main", help="the branch against which files have changed (main)")
    parser.add_argument("--loops", type=int, default=4, help="busy loops beside every second run (4)")
    parser.add_argument("tests", nargs="*", help="these, and not those of what has changed")
    options = parser.parse_args()
    tests = options.tests or tests_of(changed(options.against))
    if not tests:
        print("no test is of anything that has changed")
        return 0
    print(f"{options.times} times: {' '.join(tests)}", flush=True)
    failed = 0
    for number in range(options.times):
        loops = options.loops if number % 2 else 0
        print(f"run {number + 1}, {loops} busy loops beside it", flush=True)
        with busy_loops(loops):
            # the seed of the order is in its first lines, and --randomly-seed takes it
            failed += subprocess.run([*PYTEST, *tests], cwd=ROOT, check=False).returncode != 0
    print(f"{failed} of {options.times} runs failed")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
