# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The channels that notifications are sent over: which are configured, and what is missing for one that is wanted."""

from __future__ import annotations

from collections.abc import Iterator

from autoflow.definitions import Notify
from autoflow.settings import Settings

VARIABLES = {
    "email": "AUTOFLOW_SMTP_URL",
    "webhook": "AUTOFLOW_WEBHOOK_URL",
    "apprise": "AUTOFLOW_APPRISE_URLS",
    "heartbeat": "AUTOFLOW_HEARTBEAT_URL",
}
"""The channels, and the settings that say where each leads."""

SEND_TIMEOUT = 60.0
"""Seconds that one message may take on one channel."""


def channels_of(notify: Notify, settings: Settings) -> tuple[str, ...]:
    """Return the channels that can be used, including the heartbeat."""
    known = settings.message_secrets
    return tuple(
        channel for channel, variable in VARIABLES.items() if variable in known and (channel != "email" or notify.email)
    )


def secret_of(channel: str, settings: Settings) -> dict[str, str]:
    """Return the secret that a channel needs, as an environment variable."""
    variable = VARIABLES[channel]
    return {variable: settings.message_secrets[variable]}


def complaints(notify: Notify, settings: Settings) -> Iterator[str]:
    """Yield what keeps notifications that are configured from being sent."""
    known = settings.message_secrets
    if notify.email and "AUTOFLOW_SMTP_URL" not in known:
        yield "notify.email: e-mail needs a mail server; set AUTOFLOW_SMTP_URL"
    if "AUTOFLOW_SMTP_URL" in known and not notify.email:
        yield "AUTOFLOW_SMTP_URL: no recipients; add addresses to notify.email in workflows.yml"
    wanted = notify != Notify()
    if wanted and not notify.email and not [name for name in channels_of(notify, settings) if name != "heartbeat"]:
        yield "notify: no notifications are sent; set AUTOFLOW_WEBHOOK_URL, or AUTOFLOW_SMTP_URL and notify.email"
    if "late" not in notify.events:
        for key in ("no_new_date", "not_done_after"):
            if getattr(notify, key) is not None:
                yield f"notify.{key}: no notifications are sent, because 'late' is not in notify.events"
