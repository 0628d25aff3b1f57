# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""AutoFlow among other processes: signals, the service manager, its control socket, and the directories it holds."""

from autoflow.system.control import Control, ask
from autoflow.system.notifier import Notifier
from autoflow.system.presence import Presence
from autoflow.system.signals import Signals

__all__ = [
    "Control",
    "Notifier",
    "Presence",
    "Signals",
    "ask",
]
