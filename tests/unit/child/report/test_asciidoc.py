# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Text as asciidoc: what is spelled, and what is left as it is."""

from __future__ import annotations

import re
import string
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.child.report.asciidoc import literal, spelled, unspelled

TEXTS = st.text(st.sampled_from("ab12 .,-*_`#+^~{}[]()<>|\\/&;:'\"!?=%$@\u2022\u00a0é"))


@given(TEXTS)
def test_no_punctuation_is_left_but_what_words_and_numbers_touch(text: str) -> None:
    rest = re.sub(r"&#\d+;", "", spelled(text))
    assert set(rest) & set(string.punctuation) <= set(".,-")
    assert not re.search(r"[.,-]{2}|(^|[^0-9A-Za-z])[.,]|-($|[^0-9A-Za-z])|(^| )[0-9A-Za-z]\.( |$)", spelled(text))


@given(TEXTS)
def test_a_reference_is_read_as_the_character_that_it_stands_for(text: str) -> None:
    assert unescape(spelled(text)) == text
    assert unescape(unspelled(spelled(text))) == text


@pytest.mark.parametrize("text", ["1,234.50", "-12.5", "2016-01-15", "Some words, and more."])
def test_numbers_dates_and_sentences_stay_as_they_are(text: str) -> None:
    assert literal(text) == text


def test_what_no_page_can_show_is_left_out() -> None:
    assert literal("a\x00b\x1bc\ud800 \n\t d") == "abc\ufffd d"
