# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Tracebacks for readers: which line is the user's own, and what is folded."""

from __future__ import annotations

from autoflow.child.page.traceback_text import OwnLine, frames_of, own_line

LIBRARY_FRAME = """File /opt/x/lib/python3.11/site-packages/pandas/core/frame.py:4102, in DataFrame.__getitem__(key)
   4100 if self.columns.nlevels > 1:
-> 4102 indexer = self.columns.get_loc(key)
"""
TRACEBACK = f"""---------------------------------------------------------------------------
KeyError                                  Traceback (most recent call last)
Cell In[7], line 3
      1 flows = result.set_index("date")
      2 # per district
----> 3 totals = helper(flows)

File /srv/autoflow/inputs/helper.py:12, in helper(flows)
     11 def helper(flows):
---> 12     return flows["pcod"]

{LIBRARY_FRAME}
{LIBRARY_FRAME}
KeyError: 'pcod'"""


def test_the_innermost_line_of_the_users_own_code_is_found_below_no_library() -> None:
    assert own_line(TRACEBACK) == OwnLine(
        "File /srv/autoflow/inputs/helper.py:12, in helper(flows)", 'return flows["pcod"]'
    )
    assert own_line(LIBRARY_FRAME) is None
    assert own_line("MemoryError") is None


def test_frames_of_libraries_are_together_and_nothing_is_lost() -> None:
    frames = frames_of(TRACEBACK)
    assert [(each.own, each.number) for each in frames] == [(True, 3), (False, 2), (True, 1)]
    assert "".join("".join(each.text.split()) for each in frames) == "".join(TRACEBACK.split())
    assert frames[-1].text == "KeyError: 'pcod'"


def test_a_traceback_that_is_none_of_ipythons_stays_whole() -> None:
    text = "Error in f(x) : no such column\n\nTraceback:\n1. f(x)"
    assert "".join(each.text for each in frames_of(text)).replace("\n", "") == text.replace("\n", "")
    assert all(each.own for each in frames_of(text))
    assert frames_of("") == []
