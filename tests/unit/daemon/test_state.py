# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What makes a daemon unhealthy: one rule, whoever asks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import pytest

from autoflow.context import Conditions
from autoflow.daemon.state import urgent

NOW = dt.datetime(2027, 1, 1, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("names", "failed_ticks", "unhealthy"),
    [
        ((), 0, []),
        (("given up", "long runs", "old files", "messages by email", "no dates of sms", "index"), 3, []),
        (("token",), 0, []),
        (("token",), 1, ["token"]),
        (("defect", "tick"), 2, ["defect", "tick"]),
        (("record", "workflows.yml", "given up"), 0, ["record", "workflows.yml"]),
    ],
)
def test_only_what_keeps_autoflow_from_its_work_makes_it_unhealthy(
    names: Sequence[str], failed_ticks: int, unhealthy: list[str]
) -> None:
    conditions = Conditions(lambda: NOW)
    for name in names:
        conditions.begin(name, f"{name} is wrong")
    assert [each.name for each in urgent(conditions, failed_ticks)] == unhealthy


def test_a_condition_lasts_from_its_beginning_though_its_words_change() -> None:
    times = iter([NOW, NOW + dt.timedelta(hours=1)])
    conditions = Conditions(lambda: next(times))
    conditions.begin("token", "in less than 3 days")
    conditions.begin("token", "in less than 1 day")
    (token,) = conditions.lasting()
    assert (token.text, token.since) == ("in less than 1 day", NOW)
    conditions.end("token", "valid")
    conditions.begin("token", "invalid")
    assert conditions.lasting()[0].since == NOW + dt.timedelta(hours=1)
