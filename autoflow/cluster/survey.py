# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Looks at a cluster once, for people."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from autoflow.cluster.link import Link
from autoflow.cluster.protocol import RESOURCE
from autoflow.context import Conditions
from autoflow.settings import Workers
from autoflow.wording import resources_text

CERTIFICATES = ("ca.pem", "daemon.pem")


@dataclass(frozen=True)
class Survey:
    """What there is of a cluster."""

    workers: Sequence[str]
    """Each with its slots and what else it has, in words."""
    problem: str
    """Why notebooks cannot run there; empty when they can."""
    certified_until: dt.datetime
    """When the first of the daemon's certificates ends."""


async def survey_of(workers: Workers, now: dt.datetime) -> Survey:
    """Connect to a cluster, and see which workers it has.

    Raises
    ------
    OSError, ValueError
        When a certificate cannot be read.
    """
    until = certified_until(workers)
    conditions = Conditions(lambda: now)
    link = Link(workers, "autoflow-doctor", conditions)
    try:
        await link.connect("autoflow-doctor", lambda _: None)
        return Survey(sorted(map(_described, link.seen.values())), "; ".join(conditions.present()), until)
    finally:
        await link.close()


def certified_until(workers: Workers) -> dt.datetime:
    """Read when the first of the daemon's certificates ends.

    Raises
    ------
    OSError, ValueError
    """
    # takes a while to import
    from cryptography import x509

    files = [workers.certificates / name for name in CERTIFICATES]
    return min(x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc for file in files)


def _described(worker: dict[str, dict[str, float]]) -> str:
    resources = {name: int(amount) for name, amount in worker["resources"].items()}
    slots = resources.pop(RESOURCE)
    more = f", {resources_text(resources)}" if resources else ""
    return f"{worker['id']} ({slots} at a time{more})"
