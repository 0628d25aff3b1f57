# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The daemon's side: notebooks go out to workers, each to one at a time, whatever breaks on the way.

Dask places a job on a worker, and no more than that: it can neither stop a job nor do it at most once. So a worker
asks before it begins (`_offered`), and the daemon lets one worker have the job; the worker goes on for as long as its
lease is renewed (`_renew`); and a job moves to another worker only once nothing of it can be left.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import os
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoflow.cluster.lease import MARGIN, Lease
from autoflow.cluster.link import PATIENCE, UNREACHED, Link
from autoflow.cluster.parcel import Packer, Parcel, contents_of
from autoflow.cluster.placing import placed
from autoflow.cluster.protocol import RESOURCE, differences, topic_of, versions_here
from autoflow.context import Conditions
from autoflow.errors import SettingsError
from autoflow.jobs import Beginning, Jobs, Reply
from autoflow.settings import Settings, Workers
from autoflow.threads import to_end
from autoflow.wording import resources_text

if TYPE_CHECKING:
    from distributed import Future

MOST_MOVES = 2
"""How often a notebook moves to another worker within one attempt."""

MOST_PACKINGS = 3
"""How often a notebook is packed where files of it change meanwhile."""

TICK = 1.0
"""Seconds between looks at the jobs."""

IDLE_TICK = 10.0
"""Seconds between looks whether a condition is over, while there are no jobs."""

RENEWALS, LONGEST_PAUSE = 12, 5.0
"""How often a lease is renewed before it would be over, and seconds between renewals at most: it is looked as often how
far notebooks are, and which workers there are."""

VERSIONS, RESOURCES = "versions of workers", "resources of workers"
"""Names of the conditions that they differ, and that none has what a notebook asks for."""

ALL_THERE = "workers: no notebook waits any more for what none of them has"

LOOKED_FOR = "waits for a worker: it is looked which there are"

logger = logging.getLogger(__name__)


@dataclass
class _Job:
    """A notebook that is to run on a worker."""

    name: str
    request: Mapping[str, Any]
    order: Mapping[str, Any]
    secrets: Mapping[str, str] = field(repr=False)
    outcome: asyncio.Future[Mapping[str, Any] | str]
    """What the worker answered, or why there will be no answer."""
    on_begin: Beginning | None = None
    on_progress: Callable[[Mapping[str, Any]], None] | None = None
    parcel: Parcel | None = None
    """It with its files as they were when a worker took it."""
    handing: asyncio.Future[None] | None = None
    """It being given to that worker ..."""
    fetching: asyncio.Future[None] | None = None
    """... and what was made being fetched from there; over a slow link each takes long."""
    resources: Mapping[str, int] = field(default_factory=dict)
    """What the worker must have."""
    shunned: Collection[str] = ()
    """Addresses of workers that have lost it."""
    future: Future[Any] | None = None
    """Dask's; it only places the job."""
    among: Collection[str] = ()
    """Addresses of the workers that were there when dask was asked to ..."""
    preferred: Collection[str] = ()
    """... and of those that it was to choose from."""
    nonce: str = ""
    """Which offer has been taken."""
    worker: str = ""
    """The address of the worker that made it."""
    worker_name: str = ""
    life: str = ""
    lease: Lease | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    losses: int = 0
    """How many workers have lost it before."""
    is_in_vain: bool = False
    """Whether none of the workers that were seen last had what it asks for."""
    is_silent: bool = False
    """Whether people were told that its worker does not answer."""

    @property
    def asked(self) -> str:
        """The notebook and what it asks for, in words."""
        return f"{Path(self.request['notebook']).name} ({resources_text(self.resources)})"

    def tell(self, progress: Mapping[str, Any]) -> None:
        """Say how far it is, when that is news."""
        if self.on_progress and progress != self.progress:
            self.progress = progress
            self.on_progress(progress)

    def tell_of_worker(self, progress: Mapping[str, Any]) -> None:
        """Say how far it is on its worker, which has answered."""
        self.is_silent = False
        said = progress or {"words": f"starts on worker {self.worker_name}"}
        self.tell({**said, "worker": self.worker_name})

    def tell_of_silence(self, lease: Lease, now: float, clock: Callable[[], dt.datetime]) -> None:
        """Say since when its worker has not answered, and what comes of that, in times of day: these do not age."""
        if self.is_silent:
            return
        self.is_silent = True
        since, until = (_time_of_day(clock(), seconds) for seconds in (lease.heard - now, lease.left(now)))
        then = "runs on another worker" if self.losses < MOST_MOVES else "fails"
        words = f"worker {self.worker_name} has not answered since {since}"
        self.tell({"words": f"{words}; unless it does, the notebook {then} from {until} on"})

    def settle(self, outcome: Mapping[str, Any] | str) -> None:
        if not self.outcome.done():
            self.outcome.set_result(outcome)

    def fail(self, error: Exception) -> None:
        if not self.outcome.done():
            self.outcome.set_exception(error)


class LifeBefore:
    """What workers may go on with that AutoFlow's life before has started, until it is ended or their leases are over.

    Parameters
    ----------
    settings
        Also of an AutoFlow whose notebooks run on its own machine now.
    now
        The wall clock.
    """

    def __init__(self, settings: Settings, now: Callable[[], dt.datetime]) -> None:
        self.file = settings.work_dir / f"{settings.instance}.claims.json"
        self._workers, lease = _read_claims(self.file, settings.workers.lease if settings.workers else 0.0)
        self._left, self._now = lease + MARGIN, now
        self._over: tuple[float, str] | None = None
        """When it is over, by the loop's clock and in time of day; counted from when that is first asked."""

    @property
    def is_over(self) -> bool:
        """Whether nothing of it can be left."""
        return not self._workers or asyncio.get_running_loop().time() >= self._end[0]

    @property
    def why(self) -> str:
        """What notebooks wait for while something of it may be left, in words."""
        workers = ", ".join(sorted(self._workers))
        return f"waits until {self._end[1]}: what AutoFlow started before may still run on worker {workers}"

    @property
    def _end(self) -> tuple[float, str]:
        if self._over is None:
            now = asyncio.get_running_loop().time()
            self._over = now + self._left, _time_of_day(self._now(), self._left)
        return self._over

    def is_of(self, worker: str) -> bool:
        """Whether a worker may go on with something of it."""
        return worker in self._workers

    def ended(self, workers: Collection[str]) -> None:
        """Take note that these workers have nothing of it any more."""
        self._workers = self._workers.difference(workers)

    async def freed(self, waits: Callable[[str], None]) -> None:
        """Wait until it is over where no worker can be asked, and forget it; a function is told why."""
        if self._workers:
            while not self.is_over:
                waits(self.why)
                await asyncio.sleep(TICK)
            self.ended(self._workers)
            with suppress(OSError):
                self.file.unlink(missing_ok=True)


class Cluster:
    """The door to workers, with the same `call` as `Jobs`; connected when the first notebook is to run.

    Parameters
    ----------
    settings
        With `Settings.workers`.
    conditions
        Where it says that no worker can be had.
    here
        Executes notebooks on this machine where that is the choice.
    identity
        What tells this AutoFlow from others, with their databases at the same path of their machines: it ends what it
        has started itself in an earlier life, and nothing else.
    """

    def __init__(self, settings: Settings, workers: Workers, conditions: Conditions, here: Jobs, identity: str) -> None:
        self._settings = settings
        self._workers = workers
        self._conditions = conditions
        self._here = here
        self._identity = identity
        self._link = Link(workers, f"autoflow-{identity}", conditions)
        self._packer = Packer(settings)
        self._epoch = os.urandom(8).hex()
        self._topic = topic_of(identity, self._epoch)
        self._jobs: dict[str, _Job] = {}
        self._count = 0
        self._fallen_back = 0
        self._preload: Sequence[str] | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()
        self._before = LifeBefore(settings, conditions.now)
        self._asked_aside = Counter[str]()
        self._different: dict[str, str] = {}
        self._watching: asyncio.Task[None] | None = None
        self._doing: set[asyncio.Future[None]] = set()
        self._sending: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        """Lets one notebook at a time send files to a worker, by its address."""

    @property
    def slots(self) -> int | None:
        """How many notebooks go on at a time: as many as all workers do, and those apart; None while none is known."""
        return self._link.slots + self.apart if self._link.seen else None

    @property
    def apart(self) -> int:
        """How many notebooks are in the way of nothing else.

        They wait for something that no worker has, or has free, or run here since there was no worker when they began.
        """
        asked = [job.resources for job in self._jobs.values() if not job.nonce and job.resources]
        if not self._link.seen:
            return len([each for each in asked if self.lacks(each)]) + self._fallen_back
        return placed(self._link.free(self._taken()), asked).count(None) + self._fallen_back

    @property
    def absence(self) -> str:
        """What notebooks wait for while no worker is connected; empty where they run here then.

        Before it is known which workers there are, this machine does not decide either.
        """
        if self._link.seen or self._workers.falls_back:
            return ""
        return LOOKED_FOR if self._keeping is None else self._link.why_unplaced({})

    def lacks(self, resources: Mapping[str, int]) -> str:
        """Say what a notebook would wait for that no worker has; empty where one has it, or that is not known yet."""
        is_known = self._link.seen or (resources and self._keeping is not None)
        return self._link.why_unplaced(resources) if is_known and not self._link.can_place(resources) else ""

    def busy(self, resources: Mapping[str, int], others: Sequence[Mapping[str, int]]) -> str:
        """Say what a notebook waits for while no worker has room for what it asks for.

        Parameters
        ----------
        others
            What those ask for that have a slot, on their way to a worker or there.
        """
        if lacking := self.lacks(resources):
            return lacking
        if not resources or not self._link.seen:
            return ""
        jobs = [job for job in self._jobs.values() if job.resources]
        # who has a slot may not have come here yet
        waiting = _counted(others) | _counted(job.resources for job in jobs)
        waiting -= _counted(job.resources for job in jobs if job.nonce)
        asked = [*map(dict, waiting.elements()), resources]
        return "" if placed(self._link.free(self._taken()), asked)[-1] else self._link.why_unplaced(resources)

    async def room_for(self, notebook: str, resources: Mapping[str, int], waits: Callable[[str], None]) -> None:
        """Be connected, and wait for as long as a notebook would wait in vain."""
        await self._open()
        asked, told = f"{notebook} ({resources_text(resources)})", ""
        while why := self.lacks(resources):
            if why != told:
                waits(told := why)
            self._asked_aside[asked] += 1
            try:
                await asyncio.sleep(TICK)
            finally:
                self._asked_aside[asked] -= 1

    def _falls_back(self, resources: Mapping[str, int]) -> bool:
        """Whether a notebook is to run here now; what it asks for is a worker's, and nobody says that this has it."""
        return self._workers.falls_back and not self._link.seen and not resources

    def keep_warm(self, preload: Sequence[str] | None) -> None:
        """Say what workers import ahead of notebooks."""
        self._preload = preload

    @asynccontextmanager
    async def warmth(self, preload: Sequence[str] | None) -> AsyncIterator[None]:
        """Be connected for as long as there are notebooks to run."""
        self.keep_warm(preload)
        if self._watching:
            self._watching.cancel()
            await asyncio.wait({self._watching})
        try:
            yield
        finally:
            if self._keeping:
                self._doing.add(self._keeping)
                self._keeping = None
            for task in self._doing:
                task.cancel()
            await asyncio.gather(*self._doing, return_exceptions=True)
            await self._link.close()
            self._conditions.end(RESOURCES, ALL_THERE)
            self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """Look now and then, while there are no jobs, whether what people were told of workers is over."""
        try:
            while not self._conditions.by_name.keys().isdisjoint((UNREACHED, VERSIONS)):
                await asyncio.sleep(IDLE_TICK)
                if (there := await self._link.glance()) is not None:
                    self._forget(self._different.keys() - set(there))
        finally:
            await self._link.close()

    async def call(
        self,
        kind: str,
        request: Mapping[str, Any],
        workspace: Path,
        *,
        timeout: float | None,  # noqa: ASYNC109  # the worker keeps it
        secrets: Mapping[str, str] | None = None,
        on_begin: Beginning | None = None,
        on_progress: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> Reply:
        """Do as `Jobs.call`, on a worker; seven parameters, as there."""
        said: dict[str, Any] = {"on_begin": on_begin, "on_progress": on_progress}
        await self._open()
        lost: list[str] = []
        shunned: list[str] = []
        while len(lost) <= MOST_MOVES:
            if self._workers.falls_back:
                await self._freed(on_progress)
            if self._falls_back(request.get("resources", {})):
                self._fallen_back += 1
                try:
                    return await self._here.call(kind, request, workspace, secrets=secrets, timeout=timeout, **said)
                finally:
                    self._fallen_back -= 1
            job = self._new_job(request, timeout, secrets or {})
            job.on_begin, job.on_progress = on_begin, on_progress
            job.shunned, job.resources = shunned, request.get("resources", {})
            job.losses = len(lost)
            outcome = await self._done(job)
            if not isinstance(outcome, str):
                return await to_end(_taken, outcome, workspace)
            if job.nonce:
                lost.append(outcome)
                shunned.append(job.worker)
                logger.warning("run %s: notebook %s: %s", request.get("run"), Path(request["notebook"]).name, outcome)
        return Reply("died", {}, {}, _why_lost(lost, request.get("run")), "")

    def _new_job(self, request: Mapping[str, Any], limit: float | None, secrets: Mapping[str, str]) -> _Job:
        self._count += 1
        name = f"{self._identity}-{self._epoch}-{self._count}"
        order = {"timeout": limit, "preload": self._preload, "lease": self._workers.lease}
        outcome = asyncio.get_running_loop().create_future()
        return _Job(name, {**request, "keep_kernel": False}, order, secrets, outcome)

    async def _done(self, job: _Job) -> Mapping[str, Any] | str:
        """Have a job placed, and wait until it has ended for good."""
        self._jobs[job.name] = job
        try:
            self._submit(job)
            return await job.outcome
        except asyncio.CancelledError:
            await self._stop(job)
            raise
        finally:
            del self._jobs[job.name]
            for under_way in filter(None, (job.handing, job.fetching)):
                under_way.cancel()
            if job.nonce:
                self._note_claims()
            _release(job)

    def _submit(self, job: _Job) -> None:
        """Let dask place a job; one that cannot be placed now is submitted when that has changed."""
        from autoflow.cluster.worker import do_job

        _release(job)
        if self._before.is_over:
            daemon = self._identity, self._epoch
            key, job.among = f"{job.name}-{os.urandom(4).hex()}", self._link.seen.keys()
            job.preferred = self._preferred(job)
            job.future = self._link.submit(
                do_job, job.name, *daemon, self._topic, key=key, resources=job.resources, preferred=job.preferred
            )

    def _preferred(self, job: _Job) -> Collection[str]:
        """Look which workers have room for a job, where these are not all alike, or one has lost it, as it may again.

        While there is no other, one that has lost it may have it: dask might let it wait for one that is busy. And
        those that have more than it asks for are for others.
        """
        if not job.shunned and not self._link.differs:
            return ()
        taken = self._taken()
        if job.shunned:
            able = {each for each in self._link.seen if self._link.has_room(each, job.resources, taken[each])}
            able = able.difference(job.shunned) or able
        else:
            # what the scheduler says of others' notebooks there is some seconds old
            free = self._link.free(taken)
            able = {each for each in free if placed({each: free[each]}, [job.resources])[0]}
        least = min((len(self._link.seen[each]["resources"]) for each in able), default=0)
        return {each for each in able if len(self._link.seen[each]["resources"]) == least}

    def _taken(self) -> Mapping[str, Counter[str]]:
        """Add up what notebooks have taken of each worker, by its address."""
        taken: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for each in self._jobs.values():
            if each.nonce:
                taken[each.worker].update({RESOURCE: 1, **each.resources})
        return taken

    async def _stop(self, job: _Job) -> None:
        """End a job that was cancelled, and return when nothing of it is left; a second cancellation ends it hard."""
        if not job.nonce:
            return
        stopping = asyncio.ensure_future(self._stopped(job, hard=False))
        while not stopping.done():
            try:
                await asyncio.wait({stopping})
            except asyncio.CancelledError:
                stopping.cancel()
                stopping = asyncio.ensure_future(self._stopped(job, hard=True))

    async def _stopped(self, job: _Job, *, hard: bool) -> None:
        while job.lease and not job.lease.is_over(asyncio.get_running_loop().time()):
            with suppress(OSError, TimeoutError):
                limit = PATIENCE + self._settings.interrupt_grace
                await self._link.ask(job.worker, "stop", limit, job=job.name, nonce=job.nonce, hard=hard)
                return
            await asyncio.sleep(TICK)

    # what goes on beside the jobs

    async def _open(self) -> None:
        async with self._opening:
            if self._keeping is None:
                await self._connect()
                if not self._before.is_over:
                    logger.warning("workers: a notebook %s", self._before.why)
                self._keeping = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        """Stay connected, have all jobs placed, and renew their leases."""
        loop = asyncio.get_running_loop()
        pause = self._pause
        renewed, connecting = loop.time(), None
        while True:
            await asyncio.sleep(min(TICK, pause))
            try:
                if not self._link.is_up and (connecting is None or connecting.done()):
                    connecting = self._begin(self._connect())
                self._place_again()
                self._tell_what_lacks()
                if loop.time() >= renewed + pause:
                    renewed = loop.time()
                    self._begin(self._look())
                    self._renew()
                self._give_up(loop.time())
            except Exception:
                logger.exception("the cluster: internal error")

    @property
    def _pause(self) -> float:
        """Seconds between renewals."""
        return min(self._workers.lease / RENEWALS, LONGEST_PAUSE)

    async def _look(self) -> None:
        """Look which workers there are."""
        before = set(self._different)
        if await self._link.look():
            # of those that have come meanwhile an offer may have been heard before
            self._forget(before - self._link.seen.keys())
            if returned := [address for address, each in self._link.seen.items() if self._before.is_of(each["id"])]:
                await self._fence(returned)

    async def _connect(self) -> None:
        for job in self._jobs.values():
            job.future = None
        if await self._link.connect(self._topic, self._heard):
            await self._fence(self._link.seen)
            self._place_again()

    async def _fence(self, addresses: Iterable[str]) -> None:
        """End what earlier lives have started; where a worker that has some of that cannot be asked, wait it out."""
        names = await asyncio.gather(
            *(self._link.answer(address, "fence", instance=self._identity, epoch=self._epoch) for address in addresses)
        )
        self._before.ended([name for name in names if isinstance(name, str)])

    async def freed(self, waits: Callable[[str], None]) -> None:
        """Wait until nothing can be left on workers that was started before: a notebook is to run on this machine.

        It is ended where its worker can be reached.
        """
        if self._before.is_over:
            return
        await self._open()
        while not self._before.is_over:
            waits(self._before.why)
            await asyncio.sleep(TICK)
        self._note_claims()

    async def _freed(self, on_progress: Callable[[Mapping[str, Any]], None] | None) -> None:
        """Wait until nothing of earlier lives can be left, or there is a worker."""
        while not self._before.is_over and not self._link.seen:
            if on_progress:
                on_progress({"waits": self._before.why})
            await asyncio.sleep(TICK)

    def _place_again(self) -> None:
        """Submit what dask has lost, or could not be submitted, and what waits since before workers came or went.

        A task that prefers workers which have gone since, or are busy, does not go to others, for dask.
        """
        for job in self._jobs.values():
            if job.nonce:
                continue
            is_lost = job.future is None or job.future.status != "pending"
            if is_lost or job.among != self._link.seen.keys() or job.preferred != self._preferred(job):
                self._submit(job)

    def _tell_what_lacks(self) -> None:
        """Tell which notebooks wait, and for what."""
        waiting = [job for job in self._jobs.values() if not job.nonce]
        for job in waiting:
            job.tell({"waits": self._link.why_unplaced(job.resources) if self._before.is_over else self._before.why})
            if self._link.seen or self._workers.falls_back:
                job.is_in_vain = bool(self.lacks(job.resources))
        lacking = {job.asked for job in waiting if job.is_in_vain}
        if self._link.seen or self._workers.falls_back:
            lacking.update(self._asked_aside.elements())
        if lacking:
            self._conditions.begin(RESOURCES, f"workers: none has what is asked for: {', '.join(sorted(lacking))}")
        elif self._link.seen or RESOURCES in self._conditions.by_name:
            self._conditions.end(RESOURCES, ALL_THERE)

    def _renew(self) -> None:
        """Let workers go on with what they do, each by itself: one that does not answer delays no other."""
        jobs: dict[str, list[_Job]] = {}
        for job in self._jobs.values():
            if job.lease:
                jobs.setdefault(job.worker, []).append(job)
        for address, of_worker in jobs.items():
            self._begin(self._renew_at(address, of_worker))

    async def _renew_at(self, address: str, jobs: Iterable[_Job]) -> None:
        asked = {job.name: {"nonce": job.nonce, "stamp": job.lease.stamp} for job in jobs if job.lease}
        lease = self._workers.lease
        answers = await self._link.answer(address, "renew", limit=self._pause, jobs=asked, lease=lease)
        if not isinstance(answers, Mapping):
            await self._seek_successor(jobs)
            return
        heard = asyncio.get_running_loop().time()
        for job in jobs:
            answer = answers.get(job.name, {"unknown": True})
            if answer.get("unknown"):
                job.settle(f"worker {job.worker_name} no longer has the notebook")
                continue
            job.lease = Lease(self._workers.lease, answer["stamp"], heard)
            job.tell_of_worker(answer["progress"])
            if answer["ended"]:
                self._fetch(job)
            elif not answer["begun"]:
                self._hand_over(job)

    async def _seek_successor(self, jobs: Iterable[_Job]) -> None:
        """See whether a worker that does not answer has been started again: two never live in one directory."""
        for job in jobs:
            for address, each in self._link.seen.items():
                if each["id"] == job.worker_name and address != job.worker:
                    who = await self._link.answer(address, "life", limit=self._pause)
                    if isinstance(who, Mapping) and who["name"] == job.worker_name and who["life"] != job.life:
                        job.settle(f"worker {job.worker_name} was started again")

    def _give_up(self, now: float) -> None:
        """Let those jobs go that no worker can be doing any more, or that none can be found for."""
        for job in self._jobs.values():
            if job.lease and job.lease.is_over(now):
                job.settle(f"worker {job.worker_name} was not heard of for {self._workers.lease:.0f} s")
            elif job.lease and job.lease.is_unheard(now):
                job.tell_of_silence(job.lease, now, self._conditions.now)
            elif not job.lease and self._falls_back(job.resources):
                job.settle("there is no worker")

    # what workers say

    def _heard(self, event: tuple[float, Mapping[str, Any]]) -> None:
        _, said = event
        job = self._jobs.get(said.get("job", ""))
        if said["is"] == "offer":
            self._begin(self._offered(job, said))
        elif job and job.nonce == said["nonce"]:
            self._fetch(job)

    async def _offered(self, job: _Job | None, said: Mapping[str, Any]) -> None:
        """Give a job to the worker that offers to do it, unless another has it."""
        address, nonce, heard = said["worker"], said["nonce"], asyncio.get_running_loop().time()
        if job is None or job.nonce or job.outcome.done():
            await self._link.answer(address, "refuse", job=said["job"], nonce=nonce)
            return
        job.nonce, job.worker, job.worker_name, job.life = nonce, address, said["name"], said["life"]
        job.lease = Lease(self._workers.lease, said["stamp"], heard)
        job.tell_of_worker({})
        self._note_claims()
        self._compare(said)
        self._hand_over(job)

    def _hand_over(self, job: _Job) -> None:
        """Let a worker begin, unless it is being told already."""
        if job.handing is None or job.handing.done():
            job.handing = self._begin(self._handed_over(job))

    async def _handed_over(self, job: _Job) -> None:
        """Let a worker begin; whether it has, the next renewal tells where no answer arrives."""
        try:
            parcel = job.parcel or await self._pack(job)
            if await self._go(job, parcel):
                async with self._sending[job.worker]:
                    # another notebook may have lacked the same
                    lacking = await self._go(job, parcel)
                    if lacking and await self._send(job, parcel, lacking):
                        await self._go(job, job.parcel or parcel)
        except Exception as error:  # noqa: BLE001  # it is raised where the notebook is waited for
            # it may have begun all the same
            await self._stopped(job, hard=True)
            job.fail(error)

    async def _send(self, job: _Job, parcel: Parcel, lacking: Collection[str]) -> bool:
        """Send files, a piece after the other, and return whether they have all arrived."""
        as_read = parcel
        while lacking:
            contents, as_read = await to_end(contents_of, as_read, lacking)
            # it takes as long as the link needs: a worker that is gone is known by its lease
            if "kept" not in await self._ask_for(job, "put", None, contents=contents):
                return False
            lacking = set(lacking).intersection(as_read.files.values()).difference(contents)
        if as_read != parcel:
            job.parcel = as_read
            await _note_beginning(job)
        return True

    async def _pack(self, job: _Job) -> Parcel:
        """Take what a job reads as it is now: it may have waited for its worker for long.

        What is noted of it is of what is packed, unless it changes all the time.
        """
        before, parcel = None, await to_end(self._packer.pack, job.request)
        for _ in range(MOST_PACKINGS):
            if parcel == before:
                break
            await _note_beginning(job)
            before, parcel = parcel, await to_end(self._packer.pack, job.request)
        job.parcel = parcel
        return parcel

    async def _go(self, job: _Job, parcel: Parcel) -> Sequence[str]:
        """Give a worker its order, and return the hashes of files that have to be sent before it can begin."""
        answer = await self._ask_for(
            job,
            "go",
            PATIENCE,
            job=job.name,
            nonce=job.nonce,
            parcel=parcel.as_text(),
            order=dict(job.order),
            secrets=dict(job.secrets),
        )
        missing: Sequence[str] = answer.get("missing", ())
        return missing

    async def _ask_for(self, job: _Job, operation: str, limit: float | None, /, **named: Any) -> Mapping[str, Any]:
        """Ask a job's worker to get ready for it, and let another have the job where it cannot."""
        answer = await self._link.answer(job.worker, operation, limit, **named)
        if not isinstance(answer, Mapping):
            return {}
        if "cannot" in answer:
            await self._link.answer(job.worker, "refuse", job=job.name, nonce=job.nonce)
            job.settle(f"worker {job.worker_name} cannot take it: {answer['cannot']}")
        return answer

    def _fetch(self, job: _Job) -> None:
        """Take over what a worker has made, unless it is on its way."""
        if job.fetching is None or job.fetching.done():
            job.fetching = self._begin(self._fetched(job))

    async def _fetched(self, job: _Job) -> None:
        answer = await self._link.answer(job.worker, "fetch", limit=None, job=job.name, nonce=job.nonce)
        if isinstance(answer, Mapping) and not answer.get("unknown"):
            job.settle(answer)
            self._begin(self._link.answer(job.worker, "forget", job=job.name, nonce=job.nonce))

    def _compare(self, said: Mapping[str, Any]) -> None:
        """Note the versions of a worker, and tell people of those that are others than here."""
        self._different.pop(said["worker"], None)
        if different := differences(versions_here(), said["versions"]):
            self._different[said["worker"]] = f"{said['name']} has other versions: {different}"
        self._tell_of_versions()

    def _forget(self, gone: Collection[str]) -> None:
        """Forget the versions of workers that have gone: one that is started again has another address."""
        for address in gone:
            self._different.pop(address, None)
        if gone:
            self._tell_of_versions()

    def _tell_of_versions(self) -> None:
        if self._different:
            what = "; ".join(sorted(self._different.values()))
            self._conditions.begin(VERSIONS, f"workers: {what}", logging.WARNING)
        else:
            self._conditions.end(VERSIONS, "workers: none is known to have other versions now")

    def _begin(self, work: Awaitable[None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(work)
        self._doing.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._doing.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("the cluster: internal error", exc_info=error)

    def _note_claims(self) -> None:
        """Keep the names of workers that have jobs, and for how long at most, for the life after this one."""
        names = sorted({job.worker_name for job in self._jobs.values() if job.nonce})
        part = self._before.file.with_suffix(".part")
        # on a full disk, a kill now and a worker that is cut off then would have to come together
        with suppress(OSError):
            part.write_text(json.dumps({"workers": names, "lease": self._workers.lease}))
            part.replace(self._before.file)


def _why_lost(lost: Sequence[str], run: int | None) -> str:
    """Say why a notebook is not given to yet another worker, and what to do."""
    many = f"it lost its worker {len(lost)} times ({'; '.join(lost)}), and moves {MOST_MOVES} times at most"
    see = "see the logs of these workers, and `autoflow show` for the memory that it takes"
    return f"{many}; {see}. `autoflow repair {run or 'RUN'}` executes it again when they are well"


def _counted(asked: Iterable[Mapping[str, int]]) -> Counter[tuple[tuple[str, int], ...]]:
    """Count how many notebooks ask for the same."""
    return Counter(tuple(sorted(each.items())) for each in asked)


def _time_of_day(now: dt.datetime, seconds: float) -> str:
    """Write what time it is some seconds from now."""
    return f"{(now + dt.timedelta(seconds=seconds)).astimezone(dt.UTC):%H:%M:%S} UTC"


def _read_claims(path: Path, lease: float) -> tuple[set[str], float]:
    """Read the names of workers that had jobs, and the length of their leases, which may have been another."""
    try:
        noted = json.loads(path.read_text())
        return set(noted["workers"]), max(noted["lease"], lease)
    except (OSError, ValueError, TypeError, KeyError):
        return set(), lease


def _taken(answer: Mapping[str, Any], workspace: Path) -> Reply:
    """Put what a worker has made where `Jobs.call` would have left it."""
    if answer.get("notebook") is not None:
        (workspace / "notebook.ipynb").write_bytes(answer["notebook"])
    made = json.loads(answer["made"])
    return Reply(
        made["cause"],
        made.get("value", {}),
        made.get("error", {}),
        made.get("how", ""),
        made.get("log", ""),
        made.get("peak"),
    )


async def _note_beginning(job: _Job) -> None:
    if job.on_begin:
        await job.on_begin()


def _release(job: _Job) -> None:
    if job.future is not None:
        future, job.future = job.future, None
        future.release()


def require_dask() -> None:
    """See that what a cluster needs is installed.

    Raises
    ------
    SettingsError
    """
    from importlib.util import find_spec

    if find_spec("distributed") is None:
        raise SettingsError(
            "AUTOFLOW_WORKERS, `autoflow cluster` and `autoflow worker` need more packages:"
            " pip install 'flowkit-autoflow[cluster]'"
        )
