# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What `keep` removes, over a real record and real files: no attempt that is kept loses one, and none is left."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoflow.context.outputs import Outputs
from autoflow.definitions import Keep, Notebook, Trigger, Workflow
from autoflow.model.migrations import MIGRATIONS
from autoflow.model.retention import Sweeper, Swept
from autoflow.model.store import Attempt, RunStore
from autoflow.model.tables import APPLICATION_ID
from autoflow.naming import OUTPUT_SUFFIXES
from autoflow.runs.runs import AttemptState, Failure, Run, build_run
from autoflow.settings.places import Places
from autoflow.values import Amount

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass
class House:
    """A record and its outputs, with time that passes as it is told to."""

    root: Path
    now: dt.datetime = NOW - 400 * DAY
    count: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.places = Places.below(self.root)
        for directory in (self.places.notebooks, self.places.reports):
            directory.mkdir(exist_ok=True)
        self.store = RunStore(self.root / "autoflow.db", self.places)

    def write(self, path: Path) -> Path:
        path.write_text("x")
        os.utime(path, (self.now.timestamp(), self.now.timestamp()))
        return path

    def attempt(self, day: int, how: str, *, repair: bool = False) -> Attempt | None:
        """Make an attempt at the run of a day, which reads what an earlier one has made where it repairs that."""
        run = a_run(day)
        last = self.store.read.attempts(key=run.key, limit=1)
        if last and last[0].state is AttemptState.SUCCEEDED:
            self.store.ask_for([run], self.now)
        attempt = self.store.begin(run, self.now)
        before = {each.label: each for each in self.store.read.notebooks(last[0].id)} if last and repair else {}
        for label in ("a", "b"):
            known = before.get(label)
            if known and known.executed and known.notebook and Path(known.notebook).is_file():
                self.store.reuse_notebook(attempt, known, last[0].attempt)
                continue
            self.store.begin_notebook(attempt, label, self.now)
            stem = f"{label}{next(self.count)}"
            failed = how == "failed" and label == "b"
            notebook = self.places.notebooks / f"{stem}.ipynb"
            self.store.record_notebook(attempt, label, notebook)
            self.write(notebook)
            state = AttemptState.FAILED if failed else AttemptState.SUCCEEDED
            failure = Failure("no", label, notebook=str(notebook)) if failed else None
            self.store.finish_notebook(attempt, label, state, self.now, notebook=notebook, failure=failure)
            if not failed:
                self.store.record_report(attempt, label, self.places.reports / f"{stem}.pdf")
                for suffix in OUTPUT_SUFFIXES:
                    self.write(self.places.reports / f"{stem}{suffix}")
        if how == "crashed":
            self.store.recover(self.now)
        elif how != "running":
            state = AttemptState.FAILED if how == "failed" else AttemptState.SUCCEEDED
            self.store.finish(attempt, state, self.now, Failure("no") if how == "failed" else None)
        self.now += dt.timedelta(hours=7)
        return attempt

    def sweep(self, keep: Keep) -> Swept:
        sweeper = Sweeper(self.store.read, (self.places.notebooks, self.places.reports))
        swept = sweeper.sweep({"w": Workflow("w", (), keep=keep)}, self.now)
        self.store.forget(swept.forgotten)
        return swept

    def named(self) -> set[Path]:
        return {
            path
            for made in self.store.made_by("w")
            for path in (*((made.notebook,) if made.notebook else ()), *made.reports)
        }

    def there(self) -> set[Path]:
        return {path for path in self.root.glob("*/*") if not path.is_dir()}


@contextmanager
def house() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="kept-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as root:  # noqa: PTH112
        made = House(Path(root))
        try:
            yield made
        finally:
            made.store.close()


def a_run(day: int) -> Run:
    workflow = Workflow("w", (Notebook("a", filename="a.ipynb"), Notebook("b", filename="b.ipynb")))
    return build_run(workflow, Trigger("w", {}), dt.date(2016, 1, day))


AMOUNTS: st.SearchStrategy[Amount] = st.one_of(
    st.none(), st.integers(1, 3), st.integers(0, 20).map(lambda days: days * DAY / 4)
)
STEPS = st.one_of(
    st.tuples(
        st.just("attempt"), st.integers(1, 3), st.sampled_from(["failed", "succeeded", "crashed"]), st.booleans()
    ),
    st.tuples(st.just("sweep"), AMOUNTS, AMOUNTS, AMOUNTS),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, min_size=2, max_size=14))
def test_no_attempt_that_is_kept_loses_a_file_and_each_file_is_named(steps: list[tuple[object, ...]]) -> None:
    with house() as made:
        for what, *values in steps:
            if what == "attempt":
                day, how, repair = values
                made.attempt(day, how, repair=repair)  # type: ignore[arg-type]
            else:
                notebooks, reports, attempts = values
                made.sweep(Keep(notebooks=notebooks, reports=reports, attempts=attempts))  # type: ignore[arg-type]
            assert made.there() == made.named()
            newest = made.store.read.attempts(states=[AttemptState.SUCCEEDED])
            if newest:
                best = max(newest, key=lambda run: (run.reference_date or dt.date.min, run.id))
                for notebook in made.store.read.notebooks(best.id):
                    assert Path(notebook.notebook or "").is_file()
                    assert Path(notebook.report or "").is_file()


def test_what_a_repair_uses_again_outlives_the_attempt_that_made_it() -> None:
    with house() as made:
        made.attempt(1, "failed")
        made.attempt(1, "succeeded", repair=True)
        before = made.there()
        made.now += 100 * DAY
        swept = made.sweep(Keep(attempts=DAY, notebooks=1, reports=1))
        assert before - made.there() == {made.places.notebooks / "b2.ipynb"}
        assert (swept.removed, swept.left) == (1, {})
        assert [run.attempt for run in made.store.read.attempts_of(1)] == [2]
        assert made.there() == made.named()


def test_an_attempt_under_way_or_to_be_repaired_keeps_what_it_reads() -> None:
    with house() as made:
        first = made.attempt(1, "failed")
        made.now += 100 * DAY
        assert first is not None
        made.store.ask_for([a_run(1)], made.now, repairs=first.attempt)
        assert made.sweep(Keep(attempts=DAY)).removed == 0
        made.attempt(1, "running", repair=True)
        assert made.sweep(Keep(attempts=DAY)).removed == 1
        assert (made.places.notebooks / "a1.ipynb").is_file()


@pytest.mark.parametrize("keep", [Keep(reports=1, notebooks=1), Keep(reports=DAY, notebooks=DAY)])
def test_a_held_attempt_takes_nothing_from_the_one_that_latest_leads_to(keep: Keep) -> None:
    with house() as made:
        for _ in range(3):
            before = made.store.read.attempts(key=a_run(1).key, limit=1)
            attempt = made.attempt(1, "succeeded")
            assert attempt is not None
            if before:
                made.store.note_same_results(attempt, before[0].id, made.now, hold=True)
        made.now += 100 * DAY
        made.sweep(keep)
        # the second one, which is held and counts no more, is as old as any other
        kept = {path.stem for path in made.there() if path.parent == made.places.reports}
        assert kept == {"a1", "b2", "a5", "b6"}
        assert made.there() == made.named()
        # what a person keeps takes the place of the first one
        (newest,) = made.store.read.attempts(key=a_run(1).key, limit=1)
        made.store.keep([newest.run], "right", made.now)
        made.store.noted_kept(newest.id)
        made.sweep(keep)
        assert {path.stem for path in made.there() if path.parent == made.places.reports} == {"a5", "b6"}


def test_what_could_not_be_removed_stays_in_the_record_and_goes_later() -> None:
    with house() as made:
        made.attempt(1, "succeeded")
        made.attempt(2, "succeeded")
        stubborn = made.places.reports / "a1.html"
        stubborn.unlink()
        stubborn.mkdir()
        swept = made.sweep(Keep(notebooks=1, reports=1))
        assert swept.left == {stubborn: "is not a file that AutoFlow created"}
        assert stubborn in made.named()
        stubborn.rmdir()
        made.now = NOW - 400 * DAY
        made.write(stubborn)
        assert made.sweep(Keep(notebooks=1, reports=1)).removed == 1
        assert made.there() == made.named()


def test_removal_of_many_takes_no_longer_than_they_are() -> None:
    with house() as made:
        connection = sqlite3.connect(made.root / "autoflow.db")
        ended = (NOW - 300 * DAY).isoformat(timespec="microseconds")
        with connection:
            connection.executemany(
                "INSERT INTO runs (number, workflow, parameters_hash, reference_date, parameters)"
                " VALUES (?, 'w', ?, '2016-01-01', '{}')",
                [(number, f"{number:032}") for number in range(1, 20_001)],
            )
            connection.executemany(
                "INSERT INTO attempts (id, run, attempt, state, started, ended) VALUES (?, ?, 1, 'succeeded', ?, ?)",
                [(number, number, ended, ended) for number in range(1, 20_001)],
            )
            connection.executemany(
                "INSERT INTO notebooks (attempt_id, label, state, started, ended, notebook, report)"
                " VALUES (?, 'a', 'succeeded', ?, ?, ?, ?)",
                [
                    (number, ended, ended, f"notebooks/{number}.ipynb", f"reports/{number}.pdf")
                    for number in range(1, 20_001)
                ],
            )
        connection.close()
        made.now = NOW
        # of the processor: others who use the machine do not count
        began = time.process_time()
        made.sweep(Keep(notebooks=DAY, reports=10))
        # generous: a sweep that compares each with each is far beyond it
        assert time.process_time() - began < 60.0
        assert len(made.named()) == 1 + 10 * 3


CRASH = """
import asyncio, os, sys
from pathlib import Path
from autoflow.model import RunStore
from autoflow.context import Outputs
from autoflow.settings import Places
from autoflow.runs import AttemptState
from tests.integration.test_kept_files import NOW, a_run

async def make(home, left):
    def step():
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), 9)

    places = Places.below(home)
    store, outputs = RunStore(home / "autoflow.db", places), Outputs(places.notebooks, places.reports)
    step()
    attempt = store.begin(a_run(1), NOW); step()
    store.begin_notebook(attempt, "a", NOW); step()
    store.record_notebook(attempt, "a", places.notebooks / "a.ipynb"); step()
    (home / "made").write_text("x"); step()
    await outputs.publish(home / "made", places.notebooks / "a.ipynb"); step()
    store.finish_notebook(attempt, "a", AttemptState.SUCCEEDED, NOW, notebook=places.notebooks / "a.ipynb"); step()
    store.record_report(attempt, "a", places.reports / "a.pdf"); step()
    for suffix in (".json", ".html", ".pdf"):
        (home / "made").write_text("x"); step()
        await outputs.publish(home / "made", places.reports / ("a" + suffix)); step()
    store.finish(attempt, AttemptState.SUCCEEDED, NOW)

for number, home in enumerate(sys.argv[1:]):
    pid = os.fork()
    if pid == 0:
        asyncio.run(make(Path(home), number))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


def test_a_kill_between_any_two_steps_leaves_no_file_unknown_and_no_name_without_a_file(tmp_path: Path) -> None:
    homes = [tmp_path / str(steps) for steps in range(15)]
    for home in homes:
        home.mkdir()
        House(home).store.close()
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CRASH, *map(str, homes)]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["-9"] * 14 + ["0"], ended.stderr
    for home in homes:
        made = House(home)
        made.store.recover(NOW)
        paths = [
            path
            for run in made.store.read.attempts()
            for notebook in made.store.read.notebooks(run.id)
            for path in (notebook.notebook, notebook.report)
            if path
        ]
        assert all(Path(path).is_file() for path in paths), home
        assert made.there() <= made.named(), home
        made.store.close()


def test_a_crash_of_a_repair_takes_nothing_from_the_attempt_before_it() -> None:
    with house() as made:
        made.attempt(1, "failed")
        (made.places.reports / "a1.pdf").unlink()
        made.attempt(1, "crashed", repair=True)
        # the first attempt knows of it still
        assert (made.places.reports / "a1.json").is_file()


def test_outputs_on_another_file_system_are_copied_beside_their_names_and_get_them_whole(tmp_path: Path) -> None:
    with other_file_system(tmp_path) as other:
        (tmp_path / "reports").symlink_to(other)
        outputs = Outputs(tmp_path / "notebooks", tmp_path / "reports", "me")
        source = tmp_path / "made.pdf"
        source.write_bytes(os.urandom(3_000_000))
        content = source.read_bytes()
        final = outputs.reserve(outputs.reports, "é" * 100, ".pdf")
        asyncio.run(outputs.publish(source, final))
        assert final.read_bytes() == content
        assert not source.exists()
        assert [path.name for path in other.iterdir()] == [final.name]
        # what a crash of this AutoFlow left goes, that of another stays
        for name in (".autoflow-me-1-x", ".autoflow-other-1-x"):
            (other / name).touch()
        outputs.sweep()
        assert {path.name for path in other.iterdir()} == {final.name, ".autoflow-other-1-x"}


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    with other_file_system(tmp_path) as other:
        outputs = Outputs(tmp_path / "notebooks", other, "me")
        source = tmp_path / "made.pdf"
        source.write_text("x")
        (other / "final.pdf").mkdir()
        with pytest.raises(OSError, match="directory"):
            asyncio.run(outputs.publish(source, other / "final.pdf"))
        assert [path.name for path in other.iterdir()] == ["final.pdf"]
        assert source.read_text() == "x"


@contextmanager
def other_file_system(tmp_path: Path) -> Iterator[Path]:
    """Give a directory on another file system: a mount where that may be made, else shared memory."""
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(mounted)], capture_output=True, check=False
    )
    if made.returncode == 0:
        try:
            yield mounted
        finally:
            subprocess.run(["umount", str(mounted)], check=True)
        return
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system: neither may one be mounted, nor is /dev/shm another one")
    with tempfile.TemporaryDirectory(prefix="autoflow-test-", dir=shared) as directory:
        yield Path(directory)


def test_who_is_cancelled_while_a_file_gets_its_name_waits_until_it_has(tmp_path: Path) -> None:
    (tmp_path / "reports").mkdir()
    outputs = Outputs(tmp_path, tmp_path / "reports")
    (tmp_path / "made").write_text("x")

    async def cancelled() -> bool:
        publishing = asyncio.create_task(outputs.publish(tmp_path / "made", tmp_path / "reports" / "final"))
        await asyncio.sleep(0)
        publishing.cancel()
        with suppress(asyncio.CancelledError):
            await publishing
        return (tmp_path / "reports" / "final").is_file()

    assert asyncio.run(cancelled())


def test_outputs_that_were_moved_are_found_where_they_are_now(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    made = House(old)
    made.attempt(1, "failed")
    made.store.close()
    with closing(sqlite3.connect(old / "autoflow.db")) as connection:
        texts = connection.execute("SELECT notebook, report FROM notebooks ORDER BY label").fetchall()
    assert texts == [("notebooks/a1.ipynb", "reports/a1.pdf"), ("notebooks/b2.ipynb", None)]
    old.rename(new)
    made = House(new)
    a, b = made.store.read.notebooks(1)
    assert Path(a.notebook or "") == new / "notebooks" / "a1.ipynb"
    assert Path(a.report or "").is_file()
    assert b.failure is not None
    assert b.failure.notebook == str(new / "notebooks" / "b2.ipynb")
    assert made.store.read.newest_reports(1)[0][2] == str(new / "reports" / "a1.pdf")
    assert made.there() == made.named()
    made.store.close()


def test_a_directory_of_its_own_may_be_moved_too(tmp_path: Path) -> None:
    places = Places(tmp_path / "out", tmp_path / "out" / "notebooks", tmp_path / "shared")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.pdf").touch()
    text = places.written(tmp_path / "shared" / "a.pdf")
    moved = Places(places.outputs, places.notebooks, tmp_path / "elsewhere")
    assert moved.report(text) == tmp_path / "elsewhere" / "a.pdf"
    assert places.report(text) == tmp_path / "shared" / "a.pdf"


def older_record(path: Path, notebook: Path, report: Path) -> None:
    """Write a record of schema 3, which held whole paths."""
    error, moment = json.dumps(asdict(Failure("no", "a", notebook=str(notebook)))), NOW.isoformat()
    with closing(sqlite3.connect(path)) as connection, connection:
        for migration in MIGRATIONS[:3]:
            migration(connection.cursor(), Places.below(path.parent))
        connection.execute(
            "INSERT INTO runs (workflow, parameters_hash, reference_date, parameters, attempt, state, started, ended,"
            " error) VALUES (?, ?, '2016-01-01', '{}', 1, 'failed', ?, ?, ?)",
            (*a_run(1).key, moment, moment, error),
        )
        connection.execute(
            "INSERT INTO notebooks (run_id, label, state, started, ended, notebook, report, error)"
            " VALUES (1, 'a', 'failed', ?, ?, ?, ?, ?)",
            (moment, moment, str(notebook), str(report), error),
        )
        connection.execute("PRAGMA user_version = 3")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


@pytest.mark.parametrize("old_place", ["out", "renamed since", "copied"])
def test_an_older_record_finds_its_files_also_when_the_outputs_were_moved_before_the_upgrade(
    tmp_path: Path, old_place: str
) -> None:
    new, old = tmp_path / "out", tmp_path / old_place
    for root in {new, *([old] if old_place == "copied" else [])}:
        for name in ("notebooks/x.ipynb", "reports/x.pdf"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).touch()
    older_record(new / "autoflow.db", old / "notebooks" / "x.ipynb", old / "reports" / "x.pdf")
    store = RunStore(new / "autoflow.db", Places.below(new))
    (notebook,) = store.read.notebooks(1)
    assert (notebook.notebook, notebook.report) == (str(new / "notebooks/x.ipynb"), str(new / "reports/x.pdf"))
    assert notebook.failure is not None
    assert notebook.failure.notebook == notebook.notebook
    store.close()
    copy = new / f"autoflow.db.before-schema-{len(MIGRATIONS)}"
    with closing(sqlite3.connect(copy)) as connection:
        (text,) = connection.execute("SELECT notebook FROM notebooks").fetchone()
    assert text == str(old / "notebooks" / "x.ipynb")


def test_a_path_outside_of_the_outputs_stays_whole_and_an_older_copy_goes(tmp_path: Path) -> None:
    outside = tmp_path / "archive" / "x.ipynb"
    outside.parent.mkdir()
    outside.touch()
    path = tmp_path / "out" / "autoflow.db"
    path.parent.mkdir()
    older_record(path, outside, tmp_path / "gone" / "x.pdf")
    stale = path.with_name("autoflow.db.before-schema-3")
    stale.touch()
    store = RunStore(path)
    (notebook,) = store.read.notebooks(1)
    assert (notebook.notebook, notebook.report) == (str(outside), str(tmp_path / "gone" / "x.pdf"))
    store.close()
    assert not stale.exists()
    assert [each.name for each in path.parent.glob("*before-schema*")] == [
        f"autoflow.db.before-schema-{len(MIGRATIONS)}"
    ]
