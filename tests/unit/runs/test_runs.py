# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Runs as data: parameters, and the hash that the predecessor's record goes by."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoflow.dates.date_stencil import DateStencil, EmptyIntervalError
from autoflow.definitions import Notebook, Trigger, Workflow
from autoflow.naming import latest_stems, output_stem
from autoflow.runs.runs import RunKey, build_run, key_maker, keys_of_days, parameters_hash

WORKFLOW = Workflow("flows_above_normal", (Notebook("a", filename="a.ipynb"),))


def test_a_run_has_its_triggers_parameters_and_the_automatic_ones() -> None:
    trigger = Trigger("flows_above_normal", {"since": dt.date(2015, 1, 1)}, None, DateStencil.parse([[-2, 0]]))
    run = build_run(WORKFLOW, trigger, dt.date(2016, 1, 7))
    assert run.parameters == {
        "since": "2015-01-01",
        "reference_date": "2016-01-07",
        "date_ranges": [["2016-01-05", "2016-01-07"]],
    }


def test_the_hash_is_the_predecessors() -> None:
    # computed with the predecessor's own formula over its own types: dates, and tuples of dates
    parameters = {
        "aggregation_unit": "admin2",
        "reference_date": dt.date(2016, 1, 7),
        "date_ranges": [(dt.date(2016, 1, 1), dt.date(2016, 1, 3)), (dt.date(2016, 1, 6), dt.date(2016, 1, 7))],
    }
    stencil = DateStencil.parse([[dt.date(2016, 1, 1), dt.date(2016, 1, 3)], -1])
    trigger = Trigger("flows_above_normal", {"aggregation_unit": "admin2"}, None, stencil)
    run = build_run(WORKFLOW, trigger, dt.date(2016, 1, 7))
    assert run.parameters_hash == parameters_hash(parameters) == "a2e919fdc6e5480e0cd941fd8870a585"


@given(
    parameters=st.dictionaries(
        st.sampled_from(["a", "date_r", "date_range", "date_rangez", "m", "reference", "reference_datf", "z", "é"]),
        st.one_of(
            st.integers(), st.text(), st.none(), st.dates(), st.lists(st.integers()), st.just({"b": 1, "a": [2]})
        ),
    ),
    stencil=st.sampled_from([[0], [[-30, 1]], [-1, [dt.date(2015, 1, 1), -2]], [dt.date(2016, 1, 1)]]),
)
def test_keys_of_many_dates_are_those_of_each(parameters: dict[str, Any], stencil: list[Any]) -> None:
    trigger = Trigger("flows_above_normal", parameters, None, DateStencil.parse(stencil))
    days = range(dt.date(2016, 2, 27).toordinal(), dt.date(2016, 3, 2).toordinal())
    dates = [dt.date.fromordinal(day) for day in days]
    keys = [build_run(WORKFLOW, trigger, date).key for date in dates]
    assert list(map(key_maker(trigger), dates)) == list(keys_of_days(trigger, days)) == keys


@pytest.mark.parametrize("stencil", [[[dt.date(2016, 1, 3), 1]], [[-3, 0]], [[0, 3]], [[-1, dt.date(2016, 1, 3)], 0]])
@pytest.mark.parametrize("first", [dt.date.min, dt.date(2016, 1, 1), dt.date(9999, 12, 27)])
def test_days_for_which_a_stencil_holds_none_have_no_key(stencil: list[Any], first: dt.date) -> None:
    trigger = Trigger("flows_above_normal", {"share": "100 %s"}, None, DateStencil.parse(stencil))

    def key(day: int) -> RunKey | None:
        try:
            return build_run(WORKFLOW, trigger, dt.date.fromordinal(day)).key
        except EmptyIntervalError:
            return None

    days = range(first.toordinal(), first.toordinal() + 5)
    assert list(keys_of_days(trigger, days)) == [key(day) for day in days]


def test_a_date_whose_stencil_leaves_the_calendar_is_told_in_the_stencils_words() -> None:
    stencil = DateStencil.parse([[-1, 1]])
    for date in (dt.date.min, dt.date.max):
        with pytest.raises(EmptyIntervalError, match=f"is beyond the calendar for {date}"):
            key_maker(Trigger("flows_above_normal", {}, None, stencil))(date)


def test_output_names_keep_the_predecessors_pattern() -> None:
    run = build_run(WORKFLOW, Trigger("flows_above_normal"), dt.date(2016, 1, 7))
    now = dt.datetime(2026, 11, 23, 14, 5, 9, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert output_stem("sub/run_flows.ipynb", run, now) == (
        f"run_flows__flows_above_normal_2016-01-07_{run.parameters_hash}__20261123T120509Z"
    )


def test_hostile_names_stay_within_one_file_name() -> None:
    workflow = Workflow("../../etc/passwd\n" + "é" * 300, (Notebook("a", filename="a.ipynb"),))
    run = build_run(workflow, Trigger(workflow.name), dt.date(2016, 1, 7))
    stem = output_stem(".hidden.ipynb", run, dt.datetime(2026, 11, 23, tzinfo=dt.UTC))
    assert "/" not in stem
    assert "\n" not in stem
    assert not stem.startswith(".")
    assert len(f"{stem}.ipynb".encode()) <= 255


def latest(**parameters: object) -> str:
    trigger = Trigger("flows_above_normal", parameters)
    return latest_stems(build_run(WORKFLOW, trigger, dt.date(2016, 1, 7)), "report")[0]


def test_the_newest_report_of_each_set_of_parameters_has_a_name_of_its_own() -> None:
    assert latest() == "flows_above_normal__report"
    assert latest(unit="admin3") == "flows_above_normal__report__admin3"
    names = [
        latest(unit=1), latest(unit="1"), latest(unit="a b"), latest(unit="a_b"), latest(unit=None),
        latest(unit=["x"]),
        latest(unit="x" * 50), latest(unit="x" * 51), latest(a="b_c", d="e"), latest(a="b", d="c_e"),
        latest(unit="../x"),
    ]  # fmt: skip
    assert len(set(names)) == len(names)
    assert not any("/" in name for name in names)


def test_the_date_does_not_matter_for_it() -> None:
    trigger = Trigger("flows_above_normal", {"unit": "admin3"})
    names = {latest_stems(build_run(WORKFLOW, trigger, dt.date(2016, 1, day)), "report") for day in (1, 2)}
    assert len(names) == 1
