# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Which workers have room for which notebooks."""

from __future__ import annotations

import pytest

from autoflow.cluster.placing import placed
from autoflow.cluster.protocol import RESOURCE

PLAIN, TRAINER = {RESOURCE: 1}, {RESOURCE: 2, "gpu": 1}
GPU = {"gpu": 1}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([], []),
        ([{}], ["plain"]),
        # one after the other, each where others need it least
        ([{}, {}, {}, {}], ["plain", "trainer", "trainer", None]),
        # who can go to one worker alone comes first
        ([{}, {}, {}, GPU], ["plain", "trainer", None, "trainer"]),
        ([GPU, GPU, {}], ["trainer", None, "plain"]),
        ([{"gpu": 2}, {"big": 1}], [None, None]),
    ],
)
def test_each_notebook_is_placed_where_there_is_room(asked: list[dict[str, int]], expected: list[str | None]) -> None:
    assert placed({"plain": PLAIN, "trainer": TRAINER}, asked) == expected


def test_what_is_in_use_of_a_worker_is_no_room() -> None:
    assert placed({"trainer": {RESOURCE: 0, "gpu": 1}}, [GPU]) == [None]
    assert placed({"trainer": {RESOURCE: 1, "gpu": 0}}, [GPU, {}]) == [None, "trainer"]
    assert placed({}, [{}]) == [None]
