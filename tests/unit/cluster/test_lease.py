# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Leases: whatever is late, the worker ends its job before the daemon believes that it has."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from autoflow.cluster.lease import MARGIN, Lease, deadline

SECONDS = st.floats(0, 1e6)


@given(offset=SECONDS, sent=SECONDS, way=SECONDS, length=st.floats(5, 3600))
def test_a_worker_ends_before_the_daemon_counts_on_it(offset: float, sent: float, way: float, length: float) -> None:
    """The stamp is the worker's clock when it answers, and the answer takes a while; the clocks share nothing."""
    over_there = deadline(sent + offset, length)
    lease = Lease(length, stamp=sent + offset, heard=sent + way)
    # the moment at which the worker ends, on the daemon's clock
    end = over_there - offset
    assert not lease.is_over(end - 0.01)
    # people are told long before
    assert not lease.is_unheard(lease.heard + min(length / 12, 5))
    assert lease.is_unheard(lease.heard + min(length / 3, 20))
    assert lease.left(lease.heard + length / 3) > length / 2
    assert lease.is_over(lease.heard + length + MARGIN + 0.01)
    assert lease.heard + length + MARGIN >= end
