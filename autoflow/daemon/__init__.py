# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The life of AutoFlow: sleep until the next tick, tick, and sleep again, while runs go on."""

from autoflow.daemon.agenda import Agenda
from autoflow.daemon.loop import RECORD_PATIENCE, answer, beside, done_or_stopped, handle_requests, serve, sweep
from autoflow.daemon.state import daemon_state, health

__all__ = [
    "RECORD_PATIENCE",
    "Agenda",
    "answer",
    "beside",
    "daemon_state",
    "done_or_stopped",
    "handle_requests",
    "health",
    "serve",
    "sweep",
]
