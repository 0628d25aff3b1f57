# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""YAML with places: what is read, and the words for what cannot be."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from autoflow.errors import DefinitionError, Problem
from autoflow.parser.yaml_reader import Document, dotted, read_yaml


def read(directory: Path, text: str | bytes) -> tuple[Document, list[str]]:
    path = directory / "f.yml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    document, problems = read_yaml(path)
    return document, [without_directory(problem) for problem in problems]


def without_directory(problem: Problem) -> str:
    return str(problem)[str(problem).index("f.yml") :]


def test_values_and_keys_have_places(tmp_path: Path) -> None:
    document, problems = read(tmp_path, "a: 1\nb:\n  - x\n  - {c: 2016-01-02}\n")
    assert problems == []
    assert document.content == {"a": 1, "b": ["x", {"c": dt.date(2016, 1, 2)}]}
    assert document.keys == {("a",): (1, 1), ("b",): (2, 1), ("b", 1, "c"): (4, 6)}
    assert document.values == {
        (): (1, 1),
        ("a",): (1, 4),
        ("b",): (3, 3),
        ("b", 0): (3, 5),
        ("b", 1): (4, 5),
        ("b", 1, "c"): (4, 9),
    }


def test_a_problem_is_at_the_value_its_key_or_the_nearest_thing_around(tmp_path: Path) -> None:
    document, _ = read(tmp_path, "a:\n  b: 1\n")
    assert without_directory(document.problem(("a", "b"), "no")) == "f.yml:2:6: a.b: no"
    assert without_directory(document.problem(("a", "b"), "no", at_key=True)) == "f.yml:2:3: a.b: no"
    assert without_directory(document.problem(("a", "c", 0), "no", at_key=True)) == "f.yml:2:3: a.c[0]: no"
    assert without_directory(document.problem((), "no", severity="warning")) == "f.yml:1:1: warning: no"


def test_paths_are_written_on_one_line() -> None:
    assert dotted(("workflows", 0, "notebooks", "a\nb", "")) == r"workflows[0].notebooks.'a\nb'.''"


def test_anchors_aliases_and_merge_keys_work(tmp_path: Path) -> None:
    text = "a: &a {x: 1, y: 2}\nb: {y: 3, <<: *a}\nc: *a\nd: &d\n  <<: [{y: 5, z: 6}, *a]\ne: {<<: *d}\n"
    document, problems = read(tmp_path, text)
    assert problems == []
    assert document.content == yaml.safe_load(text)
    assert document.keys["b", "x"] == (1, 8)
    assert document.keys["b", "y"] == (2, 5)


@pytest.mark.parametrize("text", ["\ufeffa: 1\n", "a: 1\r\n", "---\na: 1\n...\n", "%YAML 1.1\n---\na: 1\n", "{a: 1}"])
def test_files_from_all_kinds_of_editors_are_read(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, text)[0].content == {"a": 1}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: a: this key appears twice, first in line 1; keep one of them"),
        ("a: 2016-13-04\n", "1:4: a: found 2016-13-04, which is not a valid date (month must be in 1..12)"),
        ("a: 2016-01-01 25:00:00\n", "1:4: a: found 2016-01-01 25:00:00, which is not a valid date (hour"),
        ("a: !!timestamp soon\n", "1:4: a: found soon, which is not a valid date"),
        ("a: !!int x\n", "1:4: a: found x, which is not a valid number"),
        ("a: " + "1" * 5000, "1:4: a: found 1111"),
        ("a: 0x" + "f" * 5000, "1:4: a: found '0xffff"),
        ("a: .nan\n", "1:4: a: found '.nan', expected a finite number"),
        ("a: -.inf\n", "1:4: a: found '-.inf', expected a finite number"),
        ('a: "\\ud800"\n', r"1:4: a: found '\ud800', expected text; it has half of a surrogate pair"),
        ("a: !!binary aGVsbG8=\n", "1:4: a: found a value of the kind !!binary, expected text"),
        ("a: !!set {x, y}\n", "1:4: a: found a value of the kind !!set"),
        ("a: !!python/object:os.system {}\n", "1:4: a: found a value of the kind !!python/object:os.system"),
        ("a: !own x\n", "1:4: a: found a value tagged !own"),
        ("a: !!map x\n", "1:4: a: found a value of the kind !!map"),
        ("a: !!str [x]\n", "1:4: a: found a value of the kind !!str"),
        ("a: =\n", "1:4: a: found '=', expected text (in quotes)"),
        ("a: {3: x}\n", "1:5: a.3: found the key 3, which YAML does not read as text; put it in quotes"),
        ("yes: x\n", "1:1: yes: found the key yes, which YAML does not read as text"),
        ("2016-01-01: x\n", "1:1: 2016-01-01: found the key 2016-01-01"),
        ("? [a, b]\n: x\n", "1:3: found a list or mapping as a key, expected text"),
        ("a: {<<: 3}\n", "1:9: a.<<: found something else after <<, expected a mapping"),
        ("a: &a [*a]\n", "1:4: a[0]: this value holds itself through an alias"),
        ("a: &a {b: {c: *a}}\n", "1:4: a.b.c: this value holds itself through an alias"),
    ],
)
def test_a_value_that_no_workflow_can_use_is_told_with_its_place(tmp_path: Path, text: str, problem: str) -> None:
    _, problems = read(tmp_path, text)
    assert len(problems) == 1
    assert problems[0].startswith(f"f.yml:{problem}")
    assert len(problems[0]) < 250


def test_what_is_wrong_in_an_anchor_is_told_once(tmp_path: Path) -> None:
    _, problems = read(tmp_path, "a: &a {x: 2016-02-30}\nb: *a\nc: *a\n")
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.yml: is empty; expected the keys 'workflows'"),
        ("# nothing yet\n", "f.yml: is empty"),
        ("a: 1\n---\nb: 2\n", "f.yml:3:1: a second document starts here"),
        ("a:\n\tb: 1\n", "f.yml:2:1: is not valid YAML: found a tab; indent with spaces"),
        ("a: * * * * *\n", "f.yml:1:5: is not valid YAML: text that begins with * must be in quotes"),
        ("a: b: c\n", "f.yml:1:5: is not valid YAML: found a ':' where no key can be"),
        ("a: 1\nb\nc: 2\n", "f.yml:3:1: is not valid YAML: the line before has a key without its ':'"),
        ("a:\n  b: 1\n c: 2\n", "f.yml:3:2: is not valid YAML: the indentation does not match"),
        ("a: [1\n", "f.yml:2:1: is not valid YAML: while parsing a flow sequence"),
        ("a: 'x\n", "f.yml:2:1: is not valid YAML: while scanning a quoted scalar"),
        ("a: *b\n", "f.yml:1:4: is not valid YAML: found undefined alias 'b'"),
        ("a: 1\nb: \0\n", r"f.yml:2:4: is not valid YAML: found the control character '\x00'"),
        (b"a: 1\nb: \xe9\n", "f.yml:2:4: is not UTF-8 text; save it as UTF-8"),
        ("a: 1\n".encode("utf-16"), "f.yml:1:1: is not UTF-8 text"),
        ("[" * 2000, "f.yml: is nested too deeply"),
    ],
)
def test_a_file_that_is_no_yaml_is_told_with_its_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        read(tmp_path, text)
    (problem,) = caught.value.problems
    assert without_directory(problem).startswith(message)
    assert "\n" not in str(problem)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"not found; .* is empty or missing: is it mounted"):
        read_yaml(tmp_path / "f.yml")
    with pytest.raises(DefinitionError, match=r"cannot be read \(Is a directory\)"):
        read_yaml(tmp_path)
    with pytest.raises(DefinitionError, match="cannot be read"):
        read_yaml(tmp_path / "a\0b")


@pytest.mark.parametrize("many", ["[{}]", "{{<<: [{}]}}"])
def test_aliases_of_aliases_are_bounded(tmp_path: Path, many: str) -> None:
    first = "a: &a {x: 1}\n"
    bomb = first + "".join(
        f"{name}: &{name} {many.format(','.join([f'*{before}'] * 10))}\n"
        for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    with pytest.raises(DefinitionError, match="stands for more than"):
        read(tmp_path, bomb)


texts = st.text(max_size=8)


def test_many_merges_of_one_mapping_are_bounded(tmp_path: Path) -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(100))
    with pytest.raises(DefinitionError, match="stands for more than"):
        read(tmp_path, f"a: &a {{{keys}}}\nb: {{<<: [{', '.join(['*a'] * 2000)}]}}\n")


plain = st.none() | st.booleans() | st.integers(-(2**64), 2**64) | texts | st.dates() | st.floats(-1e9, 1e9)


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        texts,
        st.recursive(plain, lambda inner: st.lists(inner) | st.dictionaries(texts, inner), max_leaves=8),
        max_size=4,
    )
)
def test_what_yaml_can_write_is_read_back(tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]) -> None:
    document, problems = read(tmp_path_factory.getbasetemp(), yaml.safe_dump(content))
    assert problems == []
    assert document.content == content


@settings(deadline=None)
@given(st.text(max_size=40, alphabet="ab01:-#&*!<>|'\"%@?[]{},. \n\t\0~é"))
def test_any_text_is_read_or_told(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Whatever is in the file, nothing but a DefinitionError comes out."""
    with suppress(DefinitionError):
        read(tmp_path_factory.getbasetemp(), text)
