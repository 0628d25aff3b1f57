# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""AutoFlow among other processes: signals, the service manager, and the socket on which it is asked."""

from autoflow.system.control import Control, ask
from autoflow.system.notifier import Notifier
from autoflow.system.signals import Signals

__all__ = [
    "Control",
    "Notifier",
    "Signals",
    "ask",
]
