# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What travels to a worker, and what its paths are there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from autoflow.cluster import parcel
from autoflow.cluster.parcel import (
    Hashes,
    Packer,
    Parcel,
    ParcelError,
    Unpacked,
    contents_of,
    forget_unused,
    keep,
    missing,
    parcel_of,
    shares_all,
    unpack,
)
from autoflow.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    for name in ("inputs/.git", "inputs/__pycache__", "outputs/.autoflow", "outputs/notebooks"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "inputs/a.ipynb").write_text("{}")
    return load_settings(
        {
            "AUTOFLOW_INPUTS_DIR": str(tmp_path / "inputs"),
            "AUTOFLOW_OUTPUTS_DIR": str(tmp_path / "outputs"),
            "FLOWAPI_URL": "http://127.0.0.1:9",
        }
    )


def packed(settings: Settings, **parameters: Any) -> Parcel:
    request = {
        "notebook": str(settings.inputs_dir / "a.ipynb"),
        "parameters": parameters,
        "environment": {},
        "final": str(settings.notebooks_dir / "a__1.ipynb"),
    }
    return parcel_of(Packer(settings).pack(request).as_text())


def unshared(settings: Settings) -> None:
    next(settings.work_dir.glob("*.shared")).unlink()


def arrived(sent: Parcel, directory: Path) -> Unpacked:
    if shares_all(sent, Hashes()):
        return Unpacked(sent.request, "")
    store = directory / "store"
    store.mkdir(parents=True, exist_ok=True)
    while lacking := missing(sent, store):
        contents, sent = contents_of(sent, lacking)
        keep(store, contents)
    return unpack(sent, directory / "root", store)


def test_what_a_notebook_reads_travels_and_paths_are_translated_both_ways(settings: Settings, tmp_path: Path) -> None:
    (settings.inputs_dir / "data").mkdir()
    (settings.inputs_dir / "data/places.csv").write_text("a,b")
    (settings.inputs_dir / ".git/config").write_text("secret")
    (settings.inputs_dir / "__pycache__/a.pyc").write_text("x")
    before = settings.notebooks_dir / "before.ipynb"
    before.write_text("[]")
    sent = packed(settings, previous=str(before), others=[str(before), None], text="/elsewhere", number=1)
    unshared(settings)
    job = arrived(sent, tmp_path / "there")
    root = tmp_path / "there/root"
    assert job.request["notebook"] == f"{root}{settings.inputs_dir}/a.ipynb"
    assert job.request["parameters"]["others"] == [f"{root}{before}", None]
    assert job.request["parameters"]["text"] == "/elsewhere"
    assert job.request["final"] == str(settings.notebooks_dir / "a__1.ipynb")
    assert Path(job.request["parameters"]["previous"]).read_text() == "[]"
    assert sorted(path.name for path in root.rglob("*") if path.is_file()) == ["a.ipynb", "before.ipynb", "places.csv"]
    assert job.translated({"error": f"in {job.request['notebook']}"}) == {"error": f"in {settings.inputs_dir}/a.ipynb"}


def test_names_of_files_need_not_be_text(settings: Settings, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.csv")
    (settings.inputs_dir / name).write_text("a,b")
    sent = packed(settings)
    unshared(settings)
    job = arrived(sent, tmp_path / "there")
    assert Path(job.request["notebook"]).with_name(name).read_text() == "a,b"


def test_files_that_change_or_go_before_they_are_sent_travel_as_they_are_then(
    settings: Settings, tmp_path: Path
) -> None:
    changes, goes = settings.inputs_dir / "changes.csv", settings.inputs_dir / "goes.csv"
    for file in (changes, goes):
        file.write_text(f"{file.name} before")
    sent = packed(settings)
    changes.write_text("after")
    goes.unlink()
    unshared(settings)
    job = arrived(sent, tmp_path / "there")
    there = Path(job.request["notebook"]).parent
    assert {path.name for path in there.iterdir()} == {"a.ipynb", "changes.csv"}
    assert (there / "changes.csv").read_text() == "after"


def test_files_are_sent_a_piece_after_the_other(settings: Settings) -> None:
    for name in ("b.csv", "c.csv", "d.csv"):
        (settings.inputs_dir / name).write_text(f"{name}" * 10)
    sent, found = packed(settings), list[list[str]]()
    lacking = set(sent.files.values())
    while lacking:
        contents, same = contents_of(sent, lacking, most=60)
        assert same == sent
        lacking -= contents.keys()
        found.append([name for name, content in sent.files.items() if content in contents])
    assert [[Path(name).name for name in names] for names in found] == [["a.ipynb", "b.csv", "c.csv"], ["d.csv"]]


def test_without_the_notebook_nothing_is_sent(settings: Settings) -> None:
    sent = packed(settings)
    (settings.inputs_dir / "a.ipynb").unlink()
    with pytest.raises(FileNotFoundError):
        contents_of(sent, sent.files.values())
    with pytest.raises(FileNotFoundError):
        packed(settings)


def test_what_links_lead_to_travels_as_if_it_lay_there_and_counts(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "deep").mkdir(parents=True)
    (elsewhere / "places.csv").write_text("a,b")
    (elsewhere / "deep/more.csv").write_text("c,d")
    (settings.inputs_dir / "ref").symlink_to(elsewhere)
    (settings.inputs_dir / "ref.csv").symlink_to(elsewhere / "places.csv")
    # by two ways, and by two that have no end
    (settings.inputs_dir / "again").symlink_to(elsewhere / "deep")
    (settings.inputs_dir / "loop").symlink_to(settings.inputs_dir)
    (elsewhere / "deep/back").symlink_to(elsewhere)
    (settings.inputs_dir / "nowhere").symlink_to(tmp_path / "nowhere")
    sent = packed(settings)
    inputs = str(settings.inputs_dir)
    expected = {"a.ipynb", "again/more.csv", "ref.csv", "ref/deep/more.csv", "ref/places.csv"}
    assert expected < {path.removeprefix(f"{inputs}/") for path in sent.files}
    assert not any("loop" in path or path.count("back") > 1 for path in sent.files)
    unshared(settings)
    arrived(sent, tmp_path / "there")
    assert Path(f"{tmp_path}/there/root{inputs}/ref/deep/more.csv").read_text() == "c,d"
    monkeypatch.setattr(parcel, "LARGEST", 10)
    assert packed(settings).too_large


def test_of_what_is_kept_for_jobs_to_come_what_was_not_in_use_for_longest_goes_first(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sent = tmp_path / "store", list[Parcel]()
    store.mkdir()
    for number in range(4):
        (settings.inputs_dir / "a.ipynb").write_text(f"{number}" * 100)
        sent.append(packed(settings))
        unshared(settings)
        keep(store, contents_of(sent[number], sent[number].files.values())[0])
        for age, file in enumerate(sorted(store.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True)):
            os.utime(file, ns=(0, 10**18 - age * 10**9))
    monkeypatch.setattr(parcel, "MOST_KEPT", 200)
    assert missing(sent[0], store) == []
    forget_unused(store, set(sent[1].files.values()))
    # the first was in use just now, and the second is still to be read
    assert [bool(missing(each, store)) for each in sent] == [False, False, True, True]


def test_nothing_travels_where_storage_is_shared(settings: Settings, tmp_path: Path) -> None:
    sent = packed(settings, run_dir=str(settings.outputs_dir / "runs"))
    job = arrived(sent, tmp_path / "there")
    assert job.request == sent.request
    assert job.translated("/tmp/x") == "/tmp/x"


@pytest.mark.parametrize("name", ["a.ipynb", "data.csv", "modules/a.py"])
@pytest.mark.parametrize("there", ["older", "", None])
def test_inputs_travel_where_the_worker_has_other_ones(
    settings: Settings, tmp_path: Path, name: str, there: str | None
) -> None:
    """A worker may see the outputs, and a copy of the inputs from before under the same path."""
    file = settings.inputs_dir / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("newer")
    sent, hashes = packed(settings), Hashes()
    assert shares_all(sent, hashes)
    if there is None:
        file.unlink()
    else:
        file.write_text(there)
    assert not shares_all(sent, hashes)
    file.write_text("newer")
    assert shares_all(sent, hashes)
    (settings.inputs_dir / "gone_since.csv").touch()
    assert not shares_all(sent, hashes)


def test_a_directory_of_a_run_does_not_travel(settings: Settings, tmp_path: Path) -> None:
    sent = packed(settings, run_dir=str(settings.outputs_dir / "runs"))
    unshared(settings)
    with pytest.raises(ParcelError, match=r"is given .*/outputs/runs, which this worker does not have"):
        arrived(sent, tmp_path / "there")


def test_inputs_that_are_too_large_have_to_be_there(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parcel, "LARGEST", 1)
    sent = packed(settings)
    assert arrived(sent, tmp_path / "shared").request == sent.request
    notebook, inputs, outputs = settings.inputs_dir / "a.ipynb", settings.inputs_dir, settings.outputs_dir

    def refusal() -> str:
        with pytest.raises(ParcelError) as refused:
            unpack(sent, tmp_path / "there/root", tmp_path / "there/store")
        return str(refused.value).partition("which does not travel; ")[2]

    notebook.write_text('{"older": 1}')
    assert refusal() == f"{notebook} is another one on this worker: mount AutoFlow's own inputs there, and no copy"
    inputs.rename(tmp_path / "elsewhere")
    assert refusal() == f"mount it on this worker too, under the same path, as {outputs} is"
    unshared(settings)
    assert refusal() == f"mount it on this worker, and {outputs} too, both under the same paths"
    (tmp_path / "elsewhere").rename(inputs)
    assert refusal().startswith(f"it is there on this worker, but not {outputs}, which shows that both are")


def test_a_file_that_changes_on_its_way_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParcelError, match="changed while it travelled"):
        keep(tmp_path, {"0" * 64: b"something"})
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_has_changed_is_hashed_again(settings: Settings) -> None:
    packer = Packer(settings)
    request = {
        "notebook": str(settings.inputs_dir / "a.ipynb"),
        "parameters": {},
        "environment": {},
        "final": "",
    }
    before = packer.pack(request).files[request["notebook"]]
    assert packer.pack(request).files[request["notebook"]] == before
    (settings.inputs_dir / "a.ipynb").write_text('{"changed": 1}')
    assert packer.pack(request).files[request["notebook"]] != before
