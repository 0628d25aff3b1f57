# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Shared data: what a run wrote appears when it has succeeded, as a whole, and never else."""

from __future__ import annotations

import os
import random
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from autoflow.shared_data import Changes, SharedDataError, SharedDirectory, Staged, View, Writer

JANUARY, FEBRUARY, MARCH = (Writer(f"run-{month}", f"2016-0{month}-01") for month in (1, 2, 3))


class Trial:
    """One shared directory, and runs on it."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "shared"
        self.shared = SharedDirectory(self.root, "aggregates")
        self.views = directory / "views"
        self.attempts = 0

    def open(self, writer: Writer, *, repair: bool = False) -> View:
        self.attempts += 1
        return self.shared.open_view(self.views / str(self.attempts), writer, repair=repair)

    def succeed(self, view: View) -> Staged | None:
        staged = self.shared.stage(view.changes(), str(self.attempts))
        if staged:
            self.shared.commit(staged)
        self.shared.discard(view.writer)
        return staged

    def run(self, writer: Writer, **files: str | None) -> Staged | None:
        view = self.open(writer)
        write(view.directory, files)
        return self.succeed(view)

    def seen(self) -> dict[str, str]:
        """What the next run would see, and what people do."""
        view = self.open(Writer("nobody", "1970-01-01"))
        found = content(view.directory)
        assert content(self.shared.visible) == found
        return found


def write(directory: Path, files: Mapping[str, str | None]) -> None:
    for name, text in files.items():
        path = directory / name.replace("__", "/")
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)


def content(directory: Path) -> dict[str, str]:
    return {str(path.relative_to(directory)): path.read_text() for path in directory.rglob("*") if path.is_file()}


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_what_a_run_wrote_is_seen_when_it_has_succeeded(trial: Trial) -> None:
    view = trial.open(JANUARY)
    write(view.directory, {"a": "1", "deep__er__b": "2"})
    staged = trial.shared.stage(view.changes(), "1")
    assert trial.seen() == {}
    assert staged is not None
    trial.shared.commit(staged)
    assert trial.seen() == {"a": "1", "deep/er/b": "2"}


def test_a_file_that_is_appended_to_stays_what_it_was_for_others(trial: Trial) -> None:
    trial.run(JANUARY, log="January\n")
    view = trial.open(FEBRUARY)
    with (view.directory / "log").open("a") as file:
        file.write("February\n")
    assert trial.seen() == {"log": "January\n"}
    trial.succeed(view)
    assert trial.seen() == {"log": "January\nFebruary\n"}


def test_a_change_that_hides_its_time_and_size_is_found(trial: Trial) -> None:
    trial.run(JANUARY, a="old")
    view = trial.open(FEBRUARY)
    times = (view.directory / "a").stat()
    (view.directory / "a").write_text("new")
    os.utime(view.directory / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    trial.succeed(view)
    assert trial.seen() == {"a": "new"}


def test_a_run_that_changes_nothing_makes_no_version(trial: Trial) -> None:
    trial.run(JANUARY, a="1")
    view = trial.open(FEBRUARY)
    os.utime(view.directory / "a")
    assert trial.succeed(view) is None
    assert trial.shared.current().number == 1


def test_a_run_that_is_made_again_replaces_what_it_wrote(trial: Trial) -> None:
    trial.run(JANUARY, january="1", both="1", gone="1")
    trial.run(FEBRUARY, february="2", both="2")
    view = trial.open(JANUARY)
    assert content(view.directory) == {"february": "2", "both": "2"}
    write(view.directory, {"january": "new"})
    trial.succeed(view)
    assert trial.seen() == {"january": "new", "february": "2", "both": "2"}


def test_of_two_runs_at_a_time_the_later_date_wins(trial: Trial) -> None:
    trial.run(JANUARY, same="before")
    february, march = trial.open(FEBRUARY), trial.open(MARCH)
    write(february.directory, {"same": "February", "february": "2"})
    write(march.directory, {"same": "March", "march": "3"})
    trial.succeed(march)
    staged = trial.succeed(february)
    assert staged is not None
    assert staged.overruled == {"same": "2016-03-01"}
    assert trial.seen() == {"same": "March", "february": "2", "march": "3"}


def test_the_later_date_wins_in_the_other_order_too(trial: Trial) -> None:
    february, march = trial.open(FEBRUARY), trial.open(MARCH)
    write(february.directory, {"same": "February"})
    write(march.directory, {"same": "March"})
    trial.succeed(february)
    staged = trial.succeed(march)
    assert staged is not None
    assert staged.overruled == {}
    assert trial.seen() == {"same": "March"}


def test_an_earlier_date_that_comes_after_a_later_one_is_not_overruled(trial: Trial) -> None:
    trial.run(MARCH, log="March\n")
    view = trial.open(JANUARY)
    (view.directory / "log").write_text("January\nMarch\n")
    trial.succeed(view)
    assert trial.seen() == {"log": "January\nMarch\n"}


def test_a_file_and_a_directory_of_one_name_are_refused(trial: Trial) -> None:
    february, march = trial.open(FEBRUARY), trial.open(MARCH)
    write(february.directory, {"x": "2"})
    write(march.directory, {"x__y": "3"})
    trial.succeed(february)
    with pytest.raises(SharedDataError, match="x in shared_dir is a file, and in another run a directory"):
        trial.succeed(march)
    assert trial.seen() == {"x": "2"}


def test_what_is_removed_is_gone_for_others(trial: Trial) -> None:
    trial.run(JANUARY, a="1", b="1")
    trial.run(FEBRUARY, a=None)
    assert trial.seen() == {"b": "1"}


def test_a_repair_goes_on_with_what_the_failed_attempt_wrote(trial: Trial) -> None:
    trial.run(JANUARY, log="January\n", old="1")
    view = trial.open(FEBRUARY)
    write(view.directory, {"log": "January\nFebruary\n", "first": "2", "old": None})
    trial.shared.keep(view.changes())
    assert trial.seen() == {"log": "January\n", "old": "1"}
    again = trial.open(FEBRUARY)
    assert content(again.directory) == {"log": "January\n", "old": "1"}
    repair = trial.open(FEBRUARY, repair=True)
    assert content(repair.directory) == {"log": "January\nFebruary\n", "first": "2"}
    write(repair.directory, {"second": "2"})
    staged = trial.succeed(repair)
    assert staged is not None
    assert staged.overruled == {}
    assert trial.seen() == {"log": "January\nFebruary\n", "first": "2", "second": "2"}


def test_modes_and_links_within_are_kept(trial: Trial) -> None:
    view = trial.open(JANUARY)
    write(view.directory, {"run.sh": "true", "deep__a": "1"})
    (view.directory / "run.sh").chmod(0o750)
    (view.directory / "newest").symlink_to("deep/a")
    (view.directory / "place").symlink_to("deep")
    trial.succeed(view)
    later = trial.open(FEBRUARY)
    assert (later.directory / "run.sh").stat().st_mode & 0o777 == 0o750
    assert (later.directory / "newest").readlink() == Path("deep/a")
    assert (later.directory / "place").readlink() == Path("deep")


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "deep/../../outside"])
def test_a_link_that_leads_out_is_refused(trial: Trial, target: str) -> None:
    view = trial.open(JANUARY)
    (view.directory / "link").symlink_to(target)
    with pytest.raises(SharedDataError, match=r"link in shared_dir is a link to .*copy what it points to instead"):
        view.changes()


def test_a_pipe_is_refused(trial: Trial) -> None:
    view = trial.open(JANUARY)
    os.mkfifo(view.directory / "queue")
    with pytest.raises(SharedDataError, match="queue in shared_dir is a pipe; only files can be kept"):
        view.changes()


def test_names_of_all_kinds_are_kept(trial: Trial) -> None:
    view = trial.open(JANUARY)
    names = [b"a b", b"new\nline", b"\xff\xfe", "Côte d'Ivoire 🌍".encode(), b".hidden", b"*", b"-rf"]
    for name in names:
        Path(os.fsdecode(os.path.join(os.fsencode(view.directory), name))).write_bytes(name)  # noqa: PTH118
    trial.succeed(view)
    again = trial.open(FEBRUARY)
    assert sorted(os.listdir(os.fsencode(again.directory))) == sorted(names)  # noqa: PTH208


def test_old_files_go_and_a_run_that_has_begun_before_brings_back_only_what_it_writes(trial: Trial) -> None:
    trial.run(JANUARY, a="1", b="1")
    trial.run(FEBRUARY, c="2")
    march = trial.open(MARCH)
    assert (
        trial.shared.prune(lambda files: [name for name, file in files.items() if file.reference_date < "2016-02"]) == 2
    )
    assert trial.seen() == {"c": "2"}
    write(march.directory, {"b": "3"})
    trial.succeed(march)
    assert trial.seen() == {"b": "3", "c": "2"}
    assert trial.shared.prune(lambda files: []) == 0


def test_old_versions_go_and_one_that_is_read_stays_until_then(trial: Trial) -> None:
    trial.run(JANUARY, a="1")
    with trial.shared._reading() as held:
        trial.run(FEBRUARY, a="2")
        assert held.path("a").read_text() == "1"
    trial.run(MARCH, a="3")
    assert [entry.name for entry in (trial.root / ".versions" / "aggregates").iterdir()] == ["3"]


@pytest.mark.parametrize("seed", range(12))
def test_any_history_gives_what_a_plain_model_gives(trial: Trial, seed: int) -> None:
    draw = random.Random(seed)
    writers = [Writer(f"run-{day}", f"2016-01-{day:02}") for day in range(1, 6)]
    model: dict[str, tuple[str, str, str]] = {}
    """Content, who created it and who wrote it, by name."""
    for step in range(40):
        writer = draw.choice(writers)
        view = trial.open(writer)
        base = {name: text for name, (text, *by) in model.items() if by != [writer.run] * 2}
        assert content(view.directory) == base
        made = dict(base)
        for name in draw.sample(["a", "b", "c/d", "c/e", "f"], draw.randint(0, 3)):
            if name in made and draw.random() < 0.3:
                del made[name]
                (view.directory / name).unlink()
            else:
                made[name] = f"{made.get(name, '')}{step};"
                write(view.directory, {name: made[name]})
        if draw.random() < 0.3:
            trial.shared.keep(view.changes())
            continue
        trial.succeed(view)
        by = {name: (text, *who) for name, (text, *who) in model.items()}
        model = {
            name: by[name]
            if base.get(name) == text
            else (text, by[name][1] if name in base else writer.run, writer.run)
            for name, text in made.items()
        }
    assert trial.seen() == {name: text for name, (text, *_) in model.items()}


def test_a_kill_at_any_step_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    old, new = {"a": "1", "b/c": "1"}, {"a": "2", "b/c": "1", "d/e": "2"}
    for step in range(200):
        trial = Trial(tmp_path / str(step))
        trial.run(JANUARY, a="1", b__c="1")
        view = trial.open(FEBRUARY)
        write(view.directory, {"a": "2", "d__e": "2"})
        changes = view.changes()
        killed = killed_at(step, lambda changes=changes, trial=trial: finish(trial.shared, changes, tmp_path / "ok"))
        # nobody has put anything right yet
        assert content(trial.shared.visible) in (old, new)
        SharedDirectory(trial.root, "aggregates").recover(lambda attempt: (tmp_path / "ok").exists())
        assert trial.seen() == (new if (tmp_path / "ok").exists() else old)
        left = {entry.name for entry in (trial.root / ".versions" / "aggregates").iterdir()}
        assert left == ({"2"} if (tmp_path / "ok").exists() else {"1"})
        (tmp_path / "ok").unlink(missing_ok=True)
        if not killed:
            assert step > 20
            return
    pytest.fail("it did not come to its end")


def finish(shared: SharedDirectory, changes: Changes, recorded: Path) -> None:
    """Do what the end of a run does."""
    staged = shared.stage(changes, "2")
    recorded.touch()
    assert staged is not None
    shared.commit(staged)


def killed_at(step: int, work: Callable[[], None]) -> bool:
    """Do something in a process that is killed before its system call of that number that changes a file system."""
    pid = os.fork()
    if not pid:
        try:
            die_before(step)
            work()
        finally:
            os._exit(0)
    _, status = os.waitpid(pid, 0)
    return os.WIFSIGNALED(status)


def die_before(step: int) -> None:
    left = step

    def counted(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in ("os.rename", "os.link", "os.symlink", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        ):
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(counted)


def test_a_copy_for_a_try_is_of_the_newest_version_also_when_that_is_made_meanwhile(
    trial: Trial, tmp_path: Path
) -> None:
    class Moving(SharedDirectory):
        """Another version takes the place of the one that has just been read."""

        def current(self) -> Any:
            version = super().current()
            if version.number == 1:
                trial.run(FEBRUARY, b="2")
            return version

    trial.run(JANUARY, a="1")
    copy = SharedDirectory(tmp_path / "copy", "aggregates")
    copy.take_copy(Moving(trial.root, "aggregates"))
    copied = copy.open_view(tmp_path / "view", MARCH).directory
    assert content(copied) == {"a": "1", "b": "2"}
    # whoever writes to the copy writes to nothing else
    (copied / "a").write_text("changed")
    assert trial.seen() == {"a": "1", "b": "2"}
    copy.take_copy(SharedDirectory(tmp_path / "none", "aggregates"))
