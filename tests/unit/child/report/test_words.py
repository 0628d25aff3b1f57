# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""When words that are not found on pages fail a report."""

from __future__ import annotations

from collections import Counter

import pytest

from autoflow.child.report.words import is_gone


@pytest.mark.parametrize(
    ("word", "gone"),
    [("flows", True), ("перемещения", True), ("人口の", True), ("ᓝᓋұ", False), ("a", False)],
    ids=["latin", "cyrillic", "japanese", "of two scripts", "a letter"],
)
def test_a_single_word_that_is_missing_counts_where_it_is_sure_to_be_read_back(word: str, gone: bool) -> None:
    assert is_gone(Counter([word]), {word}) is gone


def test_several_words_count_whatever_they_are() -> None:
    words = ["ᓝᓋұ", "ᓝұ", "ұᓋ"]
    assert is_gone(Counter(words), set(words))
