# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notifications: one for each cause, over the channels in the settings."""

from autoflow.messages.causes import TOKEN_CONDITION, FailureGroup, Snapshot, current, failure_groups
from autoflow.messages.messenger import Messenger, send, signature_of, why_not

__all__ = [
    "TOKEN_CONDITION",
    "FailureGroup",
    "Messenger",
    "Snapshot",
    "current",
    "failure_groups",
    "send",
    "signature_of",
    "why_not",
]
