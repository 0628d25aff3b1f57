# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people ask of a running AutoFlow: recorded at once, so that no restart loses it, and soon acted on."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from autoflow.dates import Override
from autoflow.definitions import Definitions, Workflow
from autoflow.fitting import WHAT_TO_DO, changed_notebooks, misfit
from autoflow.history import Skip
from autoflow.model import Attempt, RecordedAttempt, RunStore
from autoflow.runs import AttemptState, Run, RunKey, parameters_hash, recorded_run
from autoflow.wording import counted

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ended:
    """Why an attempt was made to end."""

    state: AttemptState
    reason: str


class Steering:
    """Carries out requests, and knows the runs in progress.

    An order is a mapping of JSON values with ``do``:

    - ``run``: make ``runs`` due, each a ``workflow`` and its ``parameters``; with ``repairs``, the number of
      the one run, whose newest attempt's executed notebooks are to be used again;
    - ``skip``: leave out ``dates`` of ``workflow``, for a ``reason``; ``unskip`` takes that back;
    - ``accept`` and ``hold``: let ``dates`` of data count for ``workflow``, or not, for a ``reason``, whatever QA
      checks say; ``unhold`` leaves them to these again;
    - ``keep``: leave the reports of the stale ``runs`` with these numbers as they are, for a ``reason``;
    - ``cancel``: end the run with the number ``run``, and do not try it again, for a ``reason``.
    """

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._tasks: dict[int, asyncio.Task[Any]] = {}
        self._attempts: dict[int, Attempt] = {}
        self._ended: dict[int, Ended] = {}
        self._doing: Mapping[str, Callable[[Mapping[str, Any], dt.datetime], dict[str, Any]]] = {
            "run": self._run,
            "skip": self._skip,
            "unskip": self._unskip,
            "accept": self._override,
            "hold": self._override,
            "unhold": self._unhold,
            "keep": self._keep,
            "cancel": self._cancel,
        }
        self.changed = asyncio.Event()
        """Set when an order may change what is to be run; who acts on that clears it."""

    @contextmanager
    def under_way(self, attempt: Attempt) -> Iterator[None]:
        """Let an attempt, which the current task makes, be cancelled while the context lasts."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("an attempt is made in a task")
        self._tasks[attempt.run], self._attempts[attempt.run] = task, attempt
        try:
            yield
        finally:
            self.ending(attempt)
            del self._attempts[attempt.run]

    def ending(self, attempt: Attempt) -> None:
        """Note that only its end is still to be recorded: there is nothing left to be cancelled."""
        self._tasks.pop(attempt.run, None)
        self._ended.pop(attempt.run, None)

    def ended(self, attempt: Attempt) -> Ended | None:
        """Say why an attempt was made to end; None when it was not."""
        return self._ended.get(attempt.run)

    def put_back(self, key: RunKey, reason: str) -> bool:
        """Interrupt a run, which is to be started again; false when it is not there, or ends already."""
        for number, attempt in self._attempts.items():
            if (attempt.workflow, attempt.parameters_hash) == key and number in self._tasks:
                if number in self._ended:
                    return False
                self._ended[number] = Ended(AttemptState.INTERRUPTED, reason)
                logger.warning("run %d: %s %s: %s", number, attempt.workflow, attempt.reference_date, reason)
                self._tasks[number].cancel()
                return True
        return False

    def running(self) -> list[int]:
        """List the numbers of the runs in progress."""
        return sorted(self._attempts)

    def carry_out(
        self, order: Mapping[str, Any], now: dt.datetime, definitions: Definitions | None = None
    ) -> dict[str, Any]:
        """Do what an order says.

        Parameters
        ----------
        definitions
            Those that are used now: what they have no place for is refused.

        Returns
        -------
        dict
            How many things were done, as ``done``; or ``error``, in words for a person.
        """
        try:
            if definitions is not None and order["do"] == "run" and (why := self._misfit(order, definitions)):
                return {"error": why}
            answer = self._doing[order["do"]](order, now)
        except (KeyError, TypeError, ValueError) as error:
            return {"error": f"the order cannot be read ({type(error).__name__}: {error}); are both the same version?"}
        if "error" not in answer:
            self.changed.set()
        return answer

    def _misfit(self, order: Mapping[str, Any], definitions: Definitions) -> str | None:
        """Say why what was requested cannot be run; workflows.yml may have changed since it was shown."""
        for each in order["runs"]:
            if why := misfit(definitions, each["workflow"], each["parameters"]):
                hint = f"; {WHAT_TO_DO}" if each["workflow"] in definitions.workflows else ""
                return f"{each['workflow']} {each['parameters']['reference_date']}: {why}{hint}"
        if repairs := self._to_repair(order):
            recorded = [notebook.label for notebook in self._store.read.notebooks(repairs.id)]
            if why := changed_notebooks(definitions.workflows[repairs.workflow], recorded):
                number = repairs.run
                return f"run {number} cannot be repaired: {why}; `autoflow rerun {number}` runs all of it as it is now"
        return None

    def _to_repair(self, order: Mapping[str, Any]) -> RecordedAttempt | None:
        number = order.get("repairs")
        return None if number is None else self._store.read.attempt(number)

    def _run(self, order: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
        runs = [_run_of(each) for each in order["runs"]]
        repairs = self._to_repair(order)
        number = repairs.attempt if repairs else None
        asked = self._store.ask_for(runs, now, number, automatic=order.get("automatic", False))
        logger.info("requested %s: %s", counted(len(asked), "run"), _first_few(list(map(str, asked))))
        return {"done": len(asked)}

    def _skip(self, order: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
        dates = [dt.date.fromisoformat(date) for date in order["dates"]]
        self._store.skip(Skip(order["workflow"], date, "", str(order["reason"]), now) for date in dates)
        logger.info("%s: skipped %s: %s", order["workflow"], _first_few(order["dates"]), order["reason"])
        return {"done": len(dates)}

    def _unskip(self, order: Mapping[str, Any], _: dt.datetime) -> dict[str, Any]:
        dates = [dt.date.fromisoformat(date) for date in order["dates"]]
        done = self._store.unskip(order["workflow"], dates)
        logger.info("%s: no longer skipped: %s", order["workflow"], _first_few(order["dates"]))
        return {"done": done}

    def _override(self, order: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
        dates = [dt.date.fromisoformat(date) for date in order["dates"]]
        workflow, reason, accepted = order["workflow"], str(order["reason"]), order["do"] == "accept"
        self._store.override(Override(workflow, date, accepted, reason, now) for date in dates)
        done = "accepted" if accepted else "held"
        logger.info("%s: %s data of %s: %s", workflow, done, _first_few(order["dates"]), reason)
        return {"done": len(dates)}

    def _unhold(self, order: Mapping[str, Any], _: dt.datetime) -> dict[str, Any]:
        dates = [dt.date.fromisoformat(date) for date in order["dates"]]
        done = self._store.forget_overrides(order["workflow"], dates)
        logger.info("%s: data of %s are left to QA checks again", order["workflow"], _first_few(order["dates"]))
        return {"done": done}

    def _keep(self, order: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
        runs, reason = [int(run) for run in order["runs"]], str(order["reason"])
        done = self._store.keep(runs, reason, now)
        logger.info("kept as they are: %s: %s", counted(done, "stale run"), reason)
        return {"done": done}

    def _cancel(self, order: Mapping[str, Any], now: dt.datetime) -> dict[str, Any]:
        number, reason = int(order["run"]), str(order["reason"])
        if number not in self._tasks:
            return {"error": f"run {number} is not running"}
        attempt = self._attempts[number]
        if attempt.reference_date is not None:
            why = f"run {number} was cancelled: {reason}"
            skip = Skip(attempt.workflow, attempt.reference_date, attempt.parameters_hash, why, now)
            self._store.skip([skip])
        self._ended[number] = Ended(AttemptState.CANCELLED, reason)
        logger.info("run %d: cancelling: %s", number, reason)
        self._tasks[number].cancel()
        return {"done": 1}


def _run_of(asked: Mapping[str, Any]) -> Run:
    parameters = asked["parameters"]
    return recorded_run(Workflow(asked["workflow"], ()), parameters, asked.get("hash") or parameters_hash(parameters))


def _first_few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
