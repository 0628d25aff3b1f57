# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The connection of a daemon to a cluster: dask's client to the scheduler, and direct ones to each worker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from autoflow.cluster.protocol import RESOURCE
from autoflow.cluster.refusal import Refusal, refusal_of
from autoflow.context import Conditions
from autoflow.settings import Workers
from autoflow.wording import resources_text

if TYPE_CHECKING:
    from distributed import Client, Future
    from distributed.core import ConnectionPool
    from distributed.security import Security

PATIENCE, CONNECTING = 10.0, 5.0
"""Seconds until an answer, and until a connection to the scheduler, is no longer waited for."""

UNREACHED = "workers"
"""Name of the condition that notebooks find no worker."""

logger = logging.getLogger(__name__)


class Link:
    """Reaches the scheduler and the workers, and says so when it does not.

    Parameters
    ----------
    workers
        Where the scheduler is.
    name
        What dask's logs call this client.
    conditions
        Where it says that no worker can be had.
    """

    def __init__(self, workers: Workers, name: str, conditions: Conditions) -> None:
        self._workers = workers
        self._name = name
        self._conditions = conditions
        self._client: Client | None = None
        self._pool: ConnectionPool | None = None
        self.seen: Mapping[str, Any] = {}
        """What the scheduler says of each worker that can execute notebooks, by its address."""

    @property
    def is_up(self) -> bool:
        """Whether the scheduler is connected."""
        return self._client is not None and self._client.status == "running"

    @property
    def slots(self) -> int:
        """How many notebooks the workers that are there can execute at a time."""
        return sum(int(each["resources"][RESOURCE]) for each in self.seen.values())

    async def connect(self, topic: str, hear: Callable[[tuple[float, Mapping[str, Any]]], None]) -> bool:
        """Connect to the scheduler, with a client that is new: one that reconnects hears of nothing more."""
        from distributed import Client

        await self._drop_client()
        await self._open_pool()
        client = Client(
            self._workers.address,
            security=self._security(),
            asynchronous=True,
            timeout=CONNECTING,
            set_as_default=False,
            name=self._name,
        )
        self._client = client
        try:
            await client
        except (OSError, TimeoutError) as error:
            await self._drop_client()
            found = refusal_of(error) or Refusal(_first_line(error), "`autoflow cluster scheduler` is to run there")
            self._unreached(f"workers: {self._workers.address} cannot be reached ({found.why}); {found.advice}")
            return False
        client.subscribe_topic(topic, hear)
        await self.look()
        return True

    async def _open_pool(self) -> ConnectionPool:
        from distributed.core import ConnectionPool

        _silence_dask()
        if self._pool is None:
            self._pool = ConnectionPool(connection_args=self._security().get_connection_args("client"))
            await self._pool.start()
        return self._pool

    async def close(self) -> None:
        """Leave the cluster."""
        await self._drop_client()
        if self._pool:
            pool, self._pool = self._pool, None
            await pool.close()
        self.seen = {}

    async def _drop_client(self) -> None:
        if self._client is not None:
            client, self._client = self._client, None
            with suppress(Exception):
                await client.close(timeout=1)
            # else its destructor would try again
            client.status = "closed"

    def submit(
        self,
        function: Callable[..., Any],
        *arguments: str,
        key: str,
        resources: Mapping[str, int],
        preferred: Collection[str],
    ) -> Future[Any] | None:
        """Let dask place a task, where there is a scheduler; on a worker that is preferred, while one is there."""
        if self._client is None or not self.is_up:
            return None
        placing: dict[str, Any] = {"resources": {RESOURCE: 1, **resources}}
        if preferred:
            placing |= {"workers": list(preferred), "allow_other_workers": True}
        return self._client.submit(function, *arguments, key=key, retries=0, pure=False, **placing)

    async def look(self) -> bool:
        """Look which workers there are, unless the scheduler is to be connected first, which says if it cannot be.

        Returns
        -------
        bool
            Whether that is known now.
        """
        if self._client is None or not self.is_up or self._client.scheduler is None:
            return False
        try:
            async with asyncio.timeout(PATIENCE):
                identity = await self._client.scheduler.identity()
        except (OSError, TimeoutError) as error:
            self._unreached(f"workers: {self._workers.address} does not answer ({_first_line(error)})")
            return False
        self.seen = _usable(identity)
        self._tell_of_workers(identity)
        return True

    async def glance(self) -> Collection[str] | None:
        """Look which workers there are without being a client, and say so where people were told that there is none.

        Returns
        -------
        collection of str or None
            Their addresses; None when the scheduler does not answer.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                pool = await self._open_pool()
                identity = await pool(self._workers.address).identity()
        except (OSError, TimeoutError) as error:
            logger.debug("the scheduler does not answer (%s)", error)
            return None
        if UNREACHED in self._conditions.by_name:
            self._tell_of_workers(identity)
        return _usable(identity)

    def _tell_of_workers(self, identity: Mapping[str, Any]) -> None:
        if _usable(identity):
            self._conditions.end(UNREACHED, "workers: notebooks can run on workers again")
        elif identity["workers"]:
            self._unreached(f"workers: those of {self._workers.address} are of another version of AutoFlow")
        else:
            self._unreached(f"workers: none is connected to {self._workers.address}; `autoflow worker` starts one")

    def can_place(self, resources: Mapping[str, int]) -> bool:
        """Whether some worker has what a notebook asks for, in use or not."""
        return any(_has(worker["resources"], resources) for worker in self.seen.values())

    @property
    def differs(self) -> bool:
        """Whether some workers have what others have not."""
        return len({frozenset(worker["resources"]) for worker in self.seen.values()}) > 1

    def free(self, taken: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
        """Say what each worker has beside what this AutoFlow has taken there."""
        return {
            address: {name: int(has) - taken.get(address, {}).get(name, 0) for name, has in each["resources"].items()}
            for address, each in self.seen.items()
        }

    def has_room(self, address: str, resources: Mapping[str, int], taken: Mapping[str, int]) -> bool:
        """Whether a worker has a slot and more for a notebook, beside what those of this AutoFlow have taken there.

        Of notebooks of others it is known only how many there are.
        """
        worker = self.seen[address]
        in_use = {**taken, RESOURCE: max(taken.get(RESOURCE, 0), _executing(worker))}
        asked = {RESOURCE: 1, **resources}
        return all(worker["resources"].get(name, 0) >= in_use.get(name, 0) + asked[name] for name in asked)

    def why_unplaced(self, resources: Mapping[str, int]) -> str:
        """Say what a notebook waits for that no worker has taken."""
        if not self.seen:
            return f"waits for a worker{f' with {resources_text(resources)}' if resources else ''}: none is connected"
        if not self.can_place(resources):
            return f"waits for a worker with {resources_text(resources)}: none has it"
        able = sum(_has(worker["resources"], resources) for worker in self.seen.values())
        which = f" with {resources_text(resources)}" if resources else ""
        return f"waits for a worker{which} that is free, of {able}"

    def _unreached(self, why: str) -> None:
        self.seen = {}
        what = "notebooks without `resources` run here meanwhile" if self._workers.falls_back else "notebooks wait"
        self._conditions.begin(UNREACHED, f"{why}; {what}")

    async def answer(self, address: str, operation: str, limit: float | None = PATIENCE, **named: Any) -> Any:
        """Ask a worker; None when it does not answer within some seconds, or while the connection lasts."""
        try:
            return await self.ask(address, operation, limit, **named)
        except (OSError, TimeoutError) as error:
            logger.debug("worker %s does not answer (%s: %s)", address, operation, error)
            return None

    async def ask(self, address: str, operation: str, limit: float | None, **named: Any) -> Any:
        """Ask a worker for one of its operations; see `autoflow.cluster.worker`.

        Raises
        ------
        OSError, TimeoutError
        """
        if self._pool is None:
            raise OSError("not connected")
        async with asyncio.timeout(limit):
            return await getattr(self._pool(address), f"autoflow_{operation}")(**named)

    def _security(self) -> Security:
        from distributed.security import Security

        directory = self._workers.certificates
        return Security(
            require_encryption=True,
            tls_ca_file=str(directory / "ca.pem"),
            tls_client_cert=str(directory / "daemon.pem"),
            tls_client_key=str(directory / "daemon-key.pem"),
        )


def _usable(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Choose the workers that can execute notebooks."""
    return {address: each for address, each in identity["workers"].items() if each["resources"].get(RESOURCE)}


def _has(worker: Mapping[str, float], resources: Mapping[str, int]) -> bool:
    """Whether a worker has what a notebook asks for, in use or not."""
    return all(worker.get(name, 0) >= amount for name, amount in resources.items())


def _executing(worker: Mapping[str, Any]) -> int:
    """Say how many notebooks a worker executes, as it has told the scheduler."""
    return int(worker["metrics"].get("task_counts", {}).get("executing", 0))


def _silence_dask() -> None:
    """Take dask's own lines from standard error: what is wrong is said here, in a log that shows no secrets."""
    for name in ("distributed", "distributed.client"):
        log = logging.getLogger(name)
        log.handlers.clear()
        log.propagate = True
        log.setLevel(logging.CRITICAL)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
