# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""For how long a worker may go on with a job without hearing from the daemon; times are arguments.

The clocks of two machines are never compared. A worker answers with a stamp of its own clock; the next renewal
carries that stamp back, and the worker counts from it. However late a renewal arrives, the worker ends its job
before the daemon, which counts from when it heard the stamp, believes that it has.
"""

from __future__ import annotations

from dataclasses import dataclass

MARGIN = 1.0
"""Seconds beyond the end of a lease that a worker may take to end what it has started."""


SILENT_PART, LONGEST_SILENCE = 4, 15.0
"""A worker that has not answered for this part of a lease, or so many seconds, is said to be silent; it is asked more
often."""


@dataclass(frozen=True)
class Lease:
    """A lease as the daemon sees it.

    Parameters
    ----------
    length
        Seconds.
    stamp
        The worker's clock, in the last answer that arrived.
    heard
        The daemon's clock when it arrived.
    """

    length: float
    stamp: float
    heard: float

    def left(self, now: float) -> float:
        """Say in how many seconds the job has ended on the worker, whatever happened to both."""
        return self.heard + self.length + MARGIN - now

    def is_over(self, now: float) -> bool:
        """Whether that is so now."""
        return self.left(now) < 0

    def is_unheard(self, now: float) -> bool:
        """Whether the worker has not answered for so long that it may be gone."""
        return now > self.heard + min(self.length / SILENT_PART, LONGEST_SILENCE)


def deadline(stamp: float, length: float) -> float:
    """Give the time on the worker's clock at which its job has to end, unless it hears more."""
    return stamp + length
