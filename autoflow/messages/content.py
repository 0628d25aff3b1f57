# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What a message holds in the end: bounded, so that it can be sent whatever workflows and notebooks are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from autoflow.model import Message
from autoflow.wording import printable

SUBJECT_LENGTH, LINE_LENGTH, LINES, DATES = 120, 300, 60, 400
"""Characters of a subject and of a line, lines, and dates, that a message has at most."""

HEARTBEAT = "heartbeat"
"""The event of what is no message: an address that is asked for after each good tick."""


def tidy(message: Message) -> Message:
    """Bound a message, and take out what could be taken for anything but text."""
    lines = [printable(line, keep="\t").rstrip() for text in message.lines for line in (text.splitlines() or [""])]
    if len(lines) > LINES:
        lines = [*lines[: LINES - 1], f"... and {len(lines) - LINES + 1} more lines"]
    return replace(
        message,
        subject=_cut(" ".join(printable(message.subject).split()), SUBJECT_LENGTH),
        lines=tuple(_cut(line, LINE_LENGTH) for line in lines),
        dates=message.dates[:DATES],
    )


def parted(text: str) -> list[str]:
    """Give a subject and the lines below it, so that nothing is said twice: a long first line ends where it can."""
    first, *lines = text.splitlines()
    if len(first) <= SUBJECT_LENGTH:
        return [first, *lines]
    end = max(first.rfind(sign, 0, SUBJECT_LENGTH) for sign in (": ", "; "))
    return [first[:end], first[end + 2 :], *lines] if end > 0 else [first, first, *lines]


def joined(messages: Sequence[Message]) -> Message:
    """Make one message of many that come at once."""
    event = messages[0].event if len({message.event for message in messages}) == 1 else "several"
    subjects = [f"- {message.subject}" for message in messages]
    most = LINES // 2
    more = [f"- and {len(subjects) - most} more"] if len(subjects) > most else []
    return Message(
        event,
        f"{len(messages)} messages, the first: {messages[0].subject}",
        (*subjects[:most], *more, "", *messages[0].lines),
        dates=tuple(sorted({date for message in messages for date in message.dates})),
    )


def signed(message: Message, signature: Iterable[str]) -> Message:
    """Say at a message's end where it comes from."""
    return replace(message, lines=(*message.lines, "", *signature))


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"
