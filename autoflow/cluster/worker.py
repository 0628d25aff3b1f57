# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a worker does: it offers to do a job, does it once the daemon says so, and ends what nobody asks for any more.

``autoflow worker`` lets dask import this module in its worker, and calls `dask_setup` there.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from distributed import Worker, get_worker

from autoflow.clock import boot_seconds
from autoflow.cluster.lease import deadline
from autoflow.cluster.parcel import (
    Hashes,
    Parcel,
    ParcelError,
    Unpacked,
    forget_unused,
    keep,
    missing,
    parcel_of,
    shares_all,
    unpack,
)
from autoflow.cluster.programs import DIRECTORY, worker_instance
from autoflow.cluster.protocol import versions_here
from autoflow.cluster.refusal import refusal_of
from autoflow.jobs import Jobs
from autoflow.settings import worker_environment
from autoflow.threads import to_end

OTHER_VERSION = 78
"""The exit status of a worker that would have to be installed anew."""

EXTENSION = "autoflow"
"""Where dask's worker has what belongs to AutoFlow."""

OFFER_PATIENCE = 60.0
"""Seconds that a worker waits for the daemon's answer to its offer."""

NEVER = float("inf")

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
"""Seconds until a scheduler that did not answer is asked again; each pause is twice the one before."""

INTERRUPT_GRACE = "AUTOFLOW_INTERRUPT_GRACE"

logger = logging.getLogger(__name__)


@dataclass
class _Claim:
    """A job that this worker has offered to do."""

    job: str
    nonce: str
    daemon: tuple[str, str]
    """The daemon's installation, and which of its lives."""
    accepted: asyncio.Future[bool]
    parcel: Parcel | None = None
    shares_all: bool = False
    """Whether what it reads is here without being sent."""
    order: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    stamp: float = 0.0
    """This machine's clock when the job was offered."""
    over: float = NEVER
    """When the lease is over, on that clock."""
    lease_file: Path | None = None
    doing: asyncio.Task[None] | None = None
    progress: Mapping[str, Any] = field(default_factory=dict)
    answer: Mapping[str, Any] | None = None
    """What the daemon is to fetch."""
    fetched: asyncio.Event = field(default_factory=asyncio.Event)


class Workbench:
    """The jobs of one worker, between dask, the daemon and `Jobs`.

    Parameters
    ----------
    worker
        Dask's worker.
    directory
        Where it keeps what it needs; one worker has it for itself.
    """

    def __init__(self, worker: Worker, directory: Path, life: str) -> None:
        self._worker = worker
        self._life = life
        self._store = directory / "files"
        self._storing = asyncio.Lock()
        self._hashes = Hashes()
        self._claims: dict[str, _Claim] = {}
        self._stack = AsyncExitStack()
        grace = float(os.environ.get(INTERRUPT_GRACE, "10"))
        self._jobs = Jobs(
            directory / "jobs", worker_instance(directory), worker_environment(os.environ, directory), grace
        )
        self._watching: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Be ready for jobs."""
        # what an earlier life kept may be of inputs that are no more
        shutil.rmtree(self._store, ignore_errors=True)
        self._store.mkdir()
        await self._stack.enter_async_context(self._jobs.warmth((), at_once=True))
        self._watching = asyncio.create_task(self._watch())
        for name in ("go", "put", "refuse", "renew", "stop", "fence", "fetch", "forget", "life"):
            self._worker.handlers[f"autoflow_{name}"] = getattr(self, name)

    async def close(self) -> None:
        """End everything at once: dask ends the loop soon after it was asked to stop, whatever is still to do."""
        self._jobs.close()
        if self._watching:
            self._watching.cancel()
        await asyncio.gather(*(self._end(claim, hard=True) for claim in list(self._claims.values())))
        await self._stack.aclose()

    async def do(self, job: str, daemon: tuple[str, str], topic: str) -> None:
        """Offer to do a job, and wait until it is done and fetched, or the offer is refused."""
        nonce = os.urandom(8).hex()
        claim = _Claim(job, nonce, daemon, asyncio.get_running_loop().create_future(), stamp=boot_seconds())
        if job in self._claims:
            return
        self._claims[job] = claim
        try:
            offer = {"job": job, "nonce": nonce, "stamp": claim.stamp, "worker": self._worker.address}
            who = {"name": str(self._worker.name), "life": self._life, "versions": versions_here()}
            self._worker.log_event(topic, {"is": "offer", **offer, **who})
            if await self._is_accepted(claim):
                await self._carry_out(claim, topic)
        finally:
            self._claims.pop(job, None)

    async def _is_accepted(self, claim: _Claim) -> bool:
        """Wait for the daemon's word; once it was heard of, for as long as it renews the lease: it may send files."""
        await asyncio.wait({claim.accepted}, timeout=OFFER_PATIENCE)
        if not claim.accepted.done() and claim.over == NEVER:
            logger.warning("nobody answered the offer to do %s", claim.job)
            return False
        return await claim.accepted

    async def _carry_out(self, claim: _Claim, topic: str) -> None:
        with self._jobs.workspace() as workspace:
            claim.lease_file = workspace / "lease"
            _write_lease(claim)
            claim.doing = asyncio.create_task(self._execute(claim, workspace))
            try:
                await asyncio.wait({claim.doing})
            finally:
                # nothing of it is left once it is forgotten
                await self._stopped(claim, hard=True)
            if claim.doing.cancelled():
                return
            claim.secrets = {}
            self._worker.log_event(topic, {"is": "end", "job": claim.job, "nonce": claim.nonce})
            await claim.fetched.wait()

    async def _execute(self, claim: _Claim, workspace: Path) -> None:
        """Do a job, and leave what the daemon fetches, whatever happens here."""
        try:
            claim.answer = await self._made(claim, workspace)
        except Exception as error:
            if not isinstance(error, ParcelError | OSError):
                logger.exception("%s: internal error", claim.job)
            message = str(error) or type(error).__name__
            failure = {"exception": "WorkerError", "message": f"{message} (worker {self._worker.name})"}
            claim.answer = {"made": json.dumps({"cause": "failed", "error": failure}), "notebook": None}

    async def _made(self, claim: _Claim, workspace: Path) -> dict[str, Any]:
        parcel, order = claim.parcel, claim.order
        if parcel is None:
            raise ParcelError("the job was accepted before it was known")
        if claim.shares_all:
            job = Unpacked(parcel.request, "")
        else:
            job = await to_end(unpack, parcel, workspace / "files", self._store)
        claim.parcel = replace(parcel, files={})
        self._jobs.keep_warm(order["preload"])
        reply = await self._jobs.call(
            "notebook",
            {**job.request, "lease": str(claim.lease_file)},
            workspace,
            timeout=order["timeout"],
            secrets=claim.secrets,
            on_progress=partial(setattr, claim, "progress"),
        )
        made = workspace / "notebook.ipynb"
        text = await to_end(made.read_text, "utf-8", "surrogateescape") if made.exists() else None
        notebook = job.translated(text)
        return {
            "made": json.dumps(job.translated(asdict(reply))),
            "notebook": None if notebook is None else notebook.encode("utf-8", "surrogateescape"),
        }

    async def _watch(self) -> None:
        """End jobs whose lease is over."""
        while True:
            await asyncio.sleep(1.0)
            now = boot_seconds()
            for claim in list(self._claims.values()):
                if now > claim.over:
                    logger.warning("%s: its daemon was not heard of, and the job is ended", claim.job)
                    await self._end(claim, hard=True)

    async def _end(self, claim: _Claim, *, hard: bool) -> None:
        """End a job, wait until nothing of it is left, and forget what was made."""
        await self._stopped(claim, hard=hard)
        claim.fetched.set()

    async def _stopped(self, claim: _Claim, *, hard: bool) -> None:
        if not claim.accepted.done():
            claim.accepted.set_result(False)
        doing = claim.doing
        if doing is None:
            return
        while not doing.done():
            doing.cancel()
            # two in one turn of the loop may count as one
            await asyncio.sleep(0)
            if hard:
                doing.cancel()
            await asyncio.wait({doing})

    # what the daemon calls

    async def go(self, job: str, nonce: str, parcel: str, order: Any, secrets: Any) -> dict[str, Any]:
        """Take a job that was offered, unless files are missing, which the daemon puts here before it asks again."""
        claim = self._claimed(job, nonce)
        if claim is None or claim.accepted.done():
            return {"missing": []}
        if claim.over == NEVER:
            # an order may arrive late: not when it arrives counts, but what the daemon had heard when it was sent
            claim.over = deadline(claim.stamp, order["lease"])
        claim.parcel, claim.order, claim.secrets = parcel_of(parcel), order, secrets
        try:
            async with self._storing:
                claim.shares_all = await to_end(shares_all, claim.parcel, self._hashes)
                lacking = [] if claim.shares_all else await to_end(missing, claim.parcel, self._store)
        except OSError as error:
            return {"cannot": str(error)}
        if not lacking and not claim.accepted.done() and boot_seconds() < claim.over:
            claim.accepted.set_result(True)
        return {"missing": lacking}

    async def put(self, contents: Mapping[str, bytes]) -> dict[str, Any]:
        """Keep files that jobs will read, or say why not."""
        async with self._storing:
            try:
                await to_end(keep, self._store, contents)
                in_use = {
                    each for claim in self._claims.values() if claim.parcel for each in claim.parcel.files.values()
                }
                await to_end(forget_unused, self._store, in_use | contents.keys())
            except (OSError, ParcelError) as error:
                return {"cannot": str(error)}
        return {"kept": True}

    async def refuse(self, job: str, nonce: str) -> None:
        """Forget a job: another worker has it."""
        claim = self._claimed(job, nonce)
        if claim and not claim.accepted.done():
            claim.accepted.set_result(False)

    async def renew(self, jobs: Mapping[str, Any], lease: float) -> dict[str, Any]:
        """Let jobs go on, each from the stamp that the daemon heard last, and say how they are."""
        answers: dict[str, Any] = {}
        now = boot_seconds()
        for job, asked in jobs.items():
            claim = self._claimed(job, asked["nonce"])
            if claim is None or now > claim.over:
                answers[job] = {"unknown": True}
                continue
            renewed = deadline(asked["stamp"], lease)
            claim.over = renewed if claim.over == NEVER else max(claim.over, renewed)
            _write_lease(claim)
            answers[job] = {
                "stamp": now,
                "progress": dict(claim.progress),
                "begun": claim.accepted.done(),
                "ended": claim.answer is not None,
            }
        return answers

    async def stop(self, job: str, nonce: str, hard: bool) -> None:
        """End a job; the answer says that nothing of it is left."""
        if claim := self._claimed(job, nonce):
            await self._end(claim, hard=hard)

    async def fence(self, instance: str, epoch: str) -> str:
        """End what earlier lives of a daemon have started; the answer says that nothing of it is left."""
        old = [claim for claim in self._claims.values() if claim.daemon[0] == instance and claim.daemon[1] != epoch]
        await asyncio.gather(*(self._end(claim, hard=True) for claim in old))
        return str(self._worker.name)

    async def fetch(self, job: str, nonce: str) -> Mapping[str, Any]:
        """Give the daemon what was made; it stays here until that has arrived."""
        claim = self._claimed(job, nonce)
        return {"unknown": True} if claim is None or claim.answer is None else claim.answer

    async def forget(self, job: str, nonce: str) -> None:
        """Forget what was made, which the daemon has."""
        if claim := self._claimed(job, nonce):
            claim.fetched.set()

    async def life(self) -> dict[str, str]:
        """Say who this is: two lives with one name had one directory, one after the other."""
        return {"name": str(self._worker.name), "life": self._life}

    def _claimed(self, job: str, nonce: str) -> _Claim | None:
        claim = self._claims.get(job)
        return claim if claim and claim.nonce == nonce else None


def _write_lease(claim: _Claim) -> None:
    """Tell the child until when it may live: it ends by itself, also when this process is stopped or hangs."""
    if claim.lease_file and claim.lease_file.parent.exists():
        part = claim.lease_file.with_suffix(".part")
        part.write_text(str(claim.over))
        part.replace(claim.lease_file)


async def do_job(job: str, instance: str, epoch: str, topic: str) -> None:
    """Be dask's task; it never raises, since dask would log what it was called with."""
    bench: Workbench = get_worker().extensions[EXTENSION]
    try:
        await bench.do(job, (instance, epoch), topic)
    except Exception:
        logger.exception("%s: internal error", job)


async def dask_setup(worker: Worker) -> None:
    """Make a worker of dask's one of AutoFlow's."""
    await _refuse_other_dask(worker)
    directory = Path(os.environ[DIRECTORY])
    worker.extensions[EXTENSION] = bench = Workbench(worker, directory, os.urandom(8).hex())
    await bench.open()


async def _refuse_other_dask(worker: Worker) -> None:
    """End this process where the scheduler has another version: with some, each task would end it."""
    there, here = (await _versions_there(worker)).get("distributed"), version("distributed")
    if there != here:
        logger.critical(
            "the scheduler has version %s of distributed, and this worker %s; install the same on both",
            there,
            here,
        )
        # systemd does not start it again
        os._exit(OTHER_VERSION)


async def _versions_there(worker: Worker) -> Mapping[str, str]:
    """Ask the scheduler for its versions, for as long as it takes: dask would go on without this module."""
    pause, said = FIRST_PAUSE, ""
    while True:
        try:
            packages: Mapping[str, str] = (await worker.scheduler.versions())["packages"]
            return packages
        except Exception as error:  # noqa: BLE001  # what another service answers may fail in any way
            if (why := _why_unreached(error)) != said:
                logger.warning("the scheduler cannot be reached (%s; it is tried again until it can", why)
                said = why
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


def _why_unreached(error: Exception) -> str:
    """Say what keeps the scheduler from answering, a bracket, and what can be done about it."""
    if refusal := refusal_of(error):
        return f"{refusal.why}); {refusal.advice}"
    if isinstance(error, OSError | TimeoutError) and (why := str(error).partition("\n")[0]):
        return f"{why})"
    return f"what answers there is no scheduler: {type(error).__name__}); see that its address and port are right"


async def dask_teardown(worker: Worker) -> None:
    """End everything before the worker ends."""
    await worker.extensions[EXTENSION].close()
