# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""One tick: ask FlowAPI for dates, decide which runs are due, and hand these to the executor."""

from autoflow.sensor.executor import Batch, Executor, SlotsInUse, preload_of, runs_at_a_time
from autoflow.sensor.flowapi import FlowapiAnswer, QaAnswer, QaQuestion, ask_flowapi, ask_qa, examine_flowapi
from autoflow.sensor.quality import QaExamination, examine_qa, outcomes_in, question_of, wanted_checks
from autoflow.sensor.sensor import poll, take_asked, tell_of_long_runs, tick

__all__ = [
    "Batch",
    "Executor",
    "FlowapiAnswer",
    "QaAnswer",
    "QaExamination",
    "QaQuestion",
    "SlotsInUse",
    "ask_flowapi",
    "ask_qa",
    "examine_flowapi",
    "examine_qa",
    "outcomes_in",
    "poll",
    "preload_of",
    "question_of",
    "runs_at_a_time",
    "take_asked",
    "tell_of_long_runs",
    "tick",
    "wanted_checks",
]
