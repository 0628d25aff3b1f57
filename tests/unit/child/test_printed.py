# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Printed text that writes over itself: what is left of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.child.printed import last_state, settled
from autoflow.child.report.asciidoc import literal_block


@pytest.mark.parametrize(
    ("printed", "left"),
    [
        ("10%\r55%\r100%\n", "100%\n"),
        ("abc\rX", "Xbc"),
        ("abc\r\ndef\r\n", "abc\ndef\n"),
        ("abc\b\bX", "aX"),
        ("a\n\bb", "a\nb"),
        ("one\r", "one"),
        ("plain\n", "plain\n"),
    ],
)
def test_the_last_state_is_what_a_terminal_shows(printed: str, left: str) -> None:
    assert last_state(printed) == left


@given(st.lists(st.text("ab\r\n"), max_size=6))
def test_what_is_settled_on_the_way_ends_in_the_same_state(pieces: list[str]) -> None:
    text = ""
    for piece in pieces:
        text = settled(text + piece)
    assert last_state(text) == last_state("".join(pieces))


def test_a_progress_bar_keeps_one_line_whatever_it_wrote() -> None:
    text = ""
    for percent in range(100):
        text = settled(f"{text}\r{percent:3d}%|{'#' * percent:100}|")
    assert len(text) < 120


def test_links_and_colours_of_a_terminal_are_no_text() -> None:
    assert "\nred link\n" in literal_block("\x1b[31mred\x1b[0m \x1b]8;;https://example.org\x07link\x1b]8;;\x07")
