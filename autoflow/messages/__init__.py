# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What people are told: one message for each cause, over the channels that the settings name."""

from autoflow.messages.causes import TOKEN_CONDITION
from autoflow.messages.channels import channels_of, complaints
from autoflow.messages.messenger import Messenger, send, why_not

__all__ = ["TOKEN_CONDITION", "Messenger", "channels_of", "complaints", "send", "why_not"]
