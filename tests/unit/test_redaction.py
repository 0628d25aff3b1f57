# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Secrets stay out of text, JSON and logs."""

from __future__ import annotations

import io
import logging

from autoflow.redaction import RedactingFormatter, Redactor

SECRET = "s3cret/with+signs"


def test_a_secret_goes_as_it_is_and_as_in_an_address() -> None:
    redactor = Redactor.of(SECRET)
    assert redactor.redact(f"a {SECRET} b") == "a [redacted] b"
    assert redactor.redact("?token=s3cret%2Fwith%2Bsigns&x=1") == "?token=[redacted]&x=1"


def test_white_space_around_a_secret_does_not_keep_it() -> None:
    assert Redactor.of(f" {SECRET}\n").redact(SECRET) == "[redacted]"


def test_a_secret_within_another_leaves_nothing_of_it() -> None:
    assert Redactor.of("abcdefgh", "abcdefgh-and-more").redact("abcdefgh-and-more") == "[redacted]"


def test_what_is_too_short_or_missing_does_not_shred_the_text() -> None:
    assert Redactor.of("a", "", None, "1234567").redact("a banana, 1234567") == "a banana, 1234567"


def test_the_representation_shows_no_secret() -> None:
    assert SECRET not in repr(Redactor.of(SECRET))


def test_json_is_redacted_at_any_depth() -> None:
    notebook = {"cells": [{"outputs": [{"text": ["x\n", f"{SECRET}\n"]}], "execution_count": 1}], SECRET: None}
    assert Redactor.of(SECRET).redact_json(notebook) == {
        "cells": [{"outputs": [{"text": ["x\n", "[redacted]\n"]}], "execution_count": 1}],
        "[redacted]": None,
    }


def test_a_log_line_has_no_secret_in_message_arguments_or_traceback() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        RedactingFormatter(logging.Formatter("%(levelname)s %(message)s"), lambda: Redactor.of(SECRET))
    )
    logger = logging.Logger("a logger of its own")
    logger.addHandler(handler)
    try:
        raise ValueError(SECRET)
    except ValueError:
        logger.exception("token %s, " + SECRET, SECRET)
    written = stream.getvalue()
    assert written.startswith("ERROR token [redacted], [redacted]\n")
    assert "ValueError: [redacted]" in written
    assert SECRET not in written


def test_a_secret_that_was_replaced_stays_out_of_the_log() -> None:
    """A notebook that started with the old token may still fail with it in its message."""
    secrets = ["the-old-token", "the-new-token"]
    formatter = RedactingFormatter(logging.Formatter("%(message)s"), lambda: Redactor.of(secrets[0]))
    record = logging.makeLogRecord({"msg": "the-old-token the-new-token"})
    assert formatter.format(record) == "[redacted] the-new-token"
    secrets.pop(0)
    assert formatter.format(record) == "[redacted] [redacted]"
