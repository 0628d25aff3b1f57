# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Jobs: however a child ends, its parent knows why, and nothing of it is left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoflow import code_version
from autoflow.child.printed import last_state
from autoflow.jobs.jobs import Jobs, Reply
from autoflow.notebooks.executed_notebook import record_cause
from autoflow.warm_process import MARKER
from tests.clock import PATIENCE, until
from tests.overtime import Overtime

LONG_TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbmFseXN0In0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1hYmM"
NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.fixture
def grace() -> float:
    """Seconds between an interrupt and the end by force: no notebook that ends by itself takes as long."""
    return PATIENCE


@pytest.fixture
def jobs(tmp_path: Path, grace: float) -> Iterator[Jobs]:
    jobs = Jobs(tmp_path / "work {x}", f"test{os.getpid()}", os.environ, interrupt_grace=grace)
    yield jobs
    jobs.close()
    left = [process.info["name"] for process in psutil.process_iter(["name", "environ"]) if is_ours(process)]
    assert left == []


def is_ours(process: psutil.Process) -> bool:
    environment = process.info["environ"] or {}
    return str(environment.get(MARKER, "")).startswith(f"test{os.getpid()}/")


@pytest.fixture(params=[True, False], ids=["warm", "cold"])
def warm(request: pytest.FixtureRequest) -> bool:
    """Whether jobs and kernels are forked; what a test promises holds either way."""
    return bool(request.param)


def execute(
    jobs: Jobs, name: str, timeout: float | None = 60.0, *, warm: bool = True, **options: Any
) -> tuple[Reply, dict[str, Any]]:
    """Execute a notebook of tests/notebooks, and give the reply and the executed notebook."""

    async def call() -> tuple[Reply, dict[str, Any]]:
        async with jobs.warmth(()) if warm else nullcontext():
            return await call_one()

    async def call_one() -> tuple[Reply, dict[str, Any]]:
        with jobs.workspace() as workspace:
            request = {
                "notebook": str(NOTEBOOKS / f"{name}.ipynb"),
                "parameters": {"reference_date": "2016-01-01"},
                "final": "/final.ipynb",
            }
            reply = await jobs.call("notebook", request, workspace, timeout=timeout, **options)
            executed = json.loads((workspace / "notebook.ipynb").read_text())
            return reply, executed

    return asyncio.run(call())


def outputs_of(executed: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in executed["cells"] for output in cell.get("outputs", ())]


def test_an_error_in_a_cell_is_described_as_the_analyst_counts(jobs: Jobs) -> None:
    reply, executed = execute(jobs, "raises")
    assert reply.cause == "failed"
    assert (reply.error["exception"], reply.error["message"], reply.error["cell"]) == ("ValueError", "no such place", 3)
    assert "\x1b" not in reply.error["traceback"]
    assert any(output.get("ename") == "ValueError" for output in outputs_of(executed))
    assert not any("after" in str(output.get("text")) for output in outputs_of(executed))


def test_a_kernel_that_is_killed_is_told_from_one_that_exits(jobs: Jobs) -> None:
    reply, _ = execute(jobs, "kills_kernel")
    assert reply.cause == "failed"
    assert "killed by signal 9, most likely because memory ran out" in reply.error["message"]
    reply, _ = execute(jobs, "exits")
    assert "the kernel exited in the middle of a cell, with exit code 7" in reply.error["message"]


def execute_over_time(jobs: Jobs, name: str, directory: Path, *, warm: bool) -> tuple[Reply, dict[str, Any]]:
    """Execute a notebook of tests/notebooks whose timed out when it is at its last cell."""
    overtime = Overtime(jobs, directory)
    request = {"notebook": str(_saying(overtime.here(name), name, directory)), "parameters": {}, "final": "/f"}

    async def call() -> tuple[Reply, dict[str, Any]]:
        async with jobs.warmth(()) if warm else nullcontext():
            with jobs.workspace() as workspace:
                reply = await overtime.call(name, request, workspace)
                return reply, json.loads((workspace / "notebook.ipynb").read_text())

    return overtime.run(call())


def _saying(code: str, name: str, directory: Path) -> Path:
    """Copy a notebook of tests/notebooks, with some code before that of its last cell."""
    content = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())
    last = content["cells"][-1]
    last["source"] = f"{code}\n{''.join(last['source'])}"
    path = directory / f"{name}.ipynb"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("name", ["sleeps", "computes"])
def test_a_notebook_that_takes_too_long_is_interrupted_and_kept(jobs: Jobs, name: str, tmp_path: Path) -> None:
    reply, executed = execute_over_time(jobs, name, tmp_path, warm=True)
    assert reply.cause == "timeout"
    assert reply.error["exception"] == "KeyboardInterrupt"
    assert any(output.get("ename") == "KeyboardInterrupt" for output in outputs_of(executed))


@pytest.mark.parametrize("grace", [1.0])
def test_a_kernel_that_hears_nothing_is_killed(jobs: Jobs, tmp_path: Path, warm: bool) -> None:
    reply, _ = execute_over_time(jobs, "holds_gil", tmp_path, warm=warm)
    assert (reply.cause, reply.error) == ("timeout", {})


def test_a_question_is_an_error_and_no_wait(jobs: Jobs) -> None:
    reply, _ = execute(jobs, "asks_input")
    assert reply.cause == "failed"
    assert "does not support input requests" in reply.error["message"]


def test_a_flood_of_output_is_cut_and_the_notebook_goes_on(jobs: Jobs) -> None:
    reply, executed = execute(jobs, "floods_output", timeout=100.0)
    assert reply.cause == "done"
    assert len(json.dumps(executed)) < 15_000_000
    text = "".join(str(output.get("text", "")) for output in outputs_of(executed))
    assert "more than 10 MB of output in this cell; the rest is omitted" in text
    assert "still here" in text


def test_what_was_cleared_or_written_over_does_not_count(jobs: Jobs) -> None:
    reply, executed = execute(jobs, "writes_over", timeout=100.0)
    assert reply.cause == "done"
    cleared, progress, shown = (cell["outputs"] for cell in executed["cells"] if cell.get("outputs"))
    assert "".join(cleared[-1]["text"]) == "last state\n"
    assert len(json.dumps(cleared)) < 100
    assert last_state("".join("".join(output["text"]) for output in progress)).strip() == "done"
    assert [output["data"]["text/plain"] for output in shown] in (["'update 4'"], [["'update 4'"]])
    assert "omitted" not in json.dumps(executed)


def test_daemons_that_a_notebook_starts_end_with_it(jobs: Jobs, warm: bool) -> None:
    reply, _ = execute(jobs, "forks_daemons", warm=warm)
    assert reply.cause == "done"
    assert [p.pid for p in psutil.process_iter(["cmdline"]) if p.info["cmdline"] == ["sleep", "3141"]] == []


def test_progress_is_passed_on(jobs: Jobs) -> None:
    seen: list[Any] = []
    execute(jobs, "glues", on_progress=seen.append)
    assert seen
    assert seen[-1]["of"] == 3


def test_secrets_are_for_their_own_child_and_leave_it_redacted(jobs: Jobs, warm: bool) -> None:
    seen: list[Any] = []
    secrets = {"FLOWAPI_TOKEN": "very-secret-token"}
    reply, executed = execute(jobs, "prints_token", secrets=secrets, on_progress=seen.append, warm=warm)
    assert (reply.cause, reply.error["exception"], reply.error["cell"]) == ("failed", "ValueError", 3)
    assert reply.error["message"] == "[redacted]"
    assert "very-secret-token" not in json.dumps(executed)
    assert "[redacted]" in json.dumps(executed)
    # whichever way it was started
    assert seen[-1]["of"] == 4


@pytest.mark.parametrize("said", ["it is {token}", "it is {token_reversed}"])
def test_the_log_of_a_child_that_died_is_redacted(jobs: Jobs, said: str) -> None:
    async def call() -> Reply:
        with jobs.workspace() as workspace:
            text = said.format(token=LONG_TOKEN, token_reversed=LONG_TOKEN[::-1])
            (workspace / "log.txt").write_text(f"{text}\n")
            return await jobs.call("notebook", {}, workspace, timeout=30, secrets={"FLOWAPI_TOKEN": LONG_TOKEN})

    reply = asyncio.run(call())
    assert "[redacted]" in reply.log
    assert not {LONG_TOKEN, LONG_TOKEN[::-1]} & set(reply.log.split())


@pytest.mark.parametrize(
    ("name", "warm", "grace"), [("sleeps", True, PATIENCE), ("holds_gil", True, 1.0), ("holds_gil", False, 1.0)]
)
def test_cancelling_leaves_no_process(jobs: Jobs, name: str, tmp_path: Path, warm: bool) -> None:
    overtime = Overtime(jobs, tmp_path)
    request = {"notebook": str(_saying(overtime.here(name), name, tmp_path)), "parameters": {}, "final": "/f"}

    async def call() -> None:
        async with jobs.warmth(()) if warm else nullcontext():
            with jobs.workspace() as workspace:
                task = asyncio.create_task(jobs.call("notebook", request, workspace, timeout=None))
                await overtime.hangs(name)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    # its own time would not be over for two minutes
                    await asyncio.wait_for(task, PATIENCE)

    overtime.run(call())


def test_a_child_that_can_not_start_its_work_says_so(jobs: Jobs) -> None:
    async def call() -> Reply:
        with jobs.workspace() as workspace:
            return await jobs.call("no_such_kind", {}, workspace, timeout=30)

    reply = asyncio.run(call())
    assert reply.cause == "failed"
    assert "unknown job 'no_such_kind'" in reply.error["message"]


def test_the_end_of_a_job_spares_one_whose_name_only_begins_alike(jobs: Jobs) -> None:
    marker = f"test{os.getpid()}/job-10/"
    bystander = subprocess.Popen(["sleep", "2718"], env={MARKER: marker})
    try:
        execute(jobs, "glues")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_what_a_dead_autoflow_left_is_swept_at_the_next_start(tmp_path: Path) -> None:
    stray = subprocess.Popen(["sleep", "2718"], env={MARKER: "instance/job-1"}, start_new_session=True)
    other = subprocess.Popen(["sleep", "2718"], env={MARKER: "instance2/job-1"}, start_new_session=True)
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "half.ipynb").write_text("{")
    jobs = Jobs(tmp_path / "work", "instance", os.environ)
    try:
        assert stray.wait(timeout=PATIENCE) == -9
        assert other.poll() is None
        assert list((tmp_path / "work").iterdir()) == []
    finally:
        jobs.close()
        other.kill()
        other.wait()


def test_children_die_with_their_parent(tmp_path: Path, warm: bool) -> None:
    """kill -9 of AutoFlow takes the child and its kernel along, at once."""
    hangs = tmp_path / "hangs"
    notebook = _saying(f"open({str(hangs)!r}, 'w').close()", "holds_gil", tmp_path)
    code = f"""
import asyncio, contextlib, os, pathlib
from autoflow.jobs import Jobs
async def main():
    jobs = Jobs(pathlib.Path({str(tmp_path / "work")!r}), "orphans", os.environ)
    async with jobs.warmth(()) if {warm} else contextlib.nullcontext():
        with jobs.workspace() as workspace:
            request = {{"notebook": {str(notebook)!r}, "parameters": {{}}, "final": "/f"}}
            await jobs.call("notebook", request, workspace, timeout=None)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", code])

    def family() -> list[psutil.Process]:
        found = psutil.process_iter(["environ"])
        return [p for p in found if str((p.info["environ"] or {}).get(MARKER, "")).startswith("orphans/")]

    until(hangs.exists)
    assert len(family()) == (3 if warm else 2)
    parent.kill()
    parent.wait()
    # the notebook itself would go on for two minutes
    until(lambda: family() == [])


def test_the_cause_is_written_into_a_notebook_that_was_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "n.ipynb"
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": ""},
        {"cell_type": "code", "metadata": {"tags": ["injected-parameters"]}, "outputs": []},
        {"cell_type": "code", "metadata": {"papermill": {"status": "running"}}, "outputs": []},
    ]
    path.write_text(json.dumps({"cells": cells}))
    assert record_cause(path, "Timeout", "took too long") == 2
    (error,) = outputs_of(json.loads(path.read_text()))
    assert (error["ename"], error["evalue"]) == ("Timeout", "took too long")
    path.write_text('{"cells": [')
    with pytest.raises(ValueError, match="Expecting value"):
        record_cause(path, "Timeout", "took too long")


def leftovers() -> set[Path]:
    # digits of others' names may be those of this process
    ours = re.compile(rf"autoflow-(?:\w+-)?(?:test|long){os.getpid()}\b")
    return {
        path
        for place in ("/tmp", "/var/tmp", "/dev/shm")
        for path in Path(place).glob("autoflow-*")
        if ours.match(path.name)
    }


def test_a_long_place_for_temporary_files_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warm: bool
) -> None:
    place = tmp_path / ("long" * 20)
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    before = set(Path("/tmp").glob("autoflow-*"))
    jobs = Jobs(tmp_path / "work", f"long{os.getpid()}", {**os.environ, "TMPDIR": str(place)})
    reply, _ = execute(jobs, "glues", warm=warm)
    jobs.close()
    assert reply.cause == "done"
    assert leftovers() == set()
    # those of others come and go
    assert [path for path in set(Path("/tmp").glob("autoflow-*")) - before if len(path.name) == 17] == []


def test_directories_that_are_cleaned_away_are_made_again(jobs: Jobs, tmp_path: Path) -> None:
    assert execute(jobs, "glues")[0].cause == "done"
    shutil.rmtree(tmp_path / "work {x}")
    for runtime in leftovers():
        shutil.rmtree(runtime)
    assert execute(jobs, "glues")[0].cause == "done"


def test_a_child_of_other_code_than_its_parent_refuses(jobs: Jobs, warm: bool) -> None:
    # as if another AutoFlow had been installed since the parent was started
    jobs._code = "other"

    async def call() -> Reply:
        async with jobs.warmth(()) if warm else nullcontext():
            with jobs.workspace() as workspace:
                request = {"notebook": str(NOTEBOOKS / "glues.ipynb"), "parameters": {}, "final": "/f"}
                return await jobs.call("notebook", request, workspace, timeout=60)

    reply = asyncio.run(call())
    assert reply.cause == "failed"
    assert "restart AutoFlow" in reply.error["message"]


def test_the_code_on_disk_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "module.py"
    module.write_text("x = 1")
    monkeypatch.setattr(code_version, "__file__", str(tmp_path / "code_version.py"))
    first = code_version.code_on_disk()
    assert code_version.code_on_disk() == first
    (tmp_path / "notes.txt").write_text("no code")
    assert code_version.code_on_disk() == first
    module.write_text("x = 12")
    assert code_version.code_on_disk() != first
