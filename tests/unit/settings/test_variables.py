# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What the docs say of environment variables is what reading them does."""

from __future__ import annotations

from pathlib import Path

from autoflow.dates import parse_duration
from autoflow.settings import VARIABLES, Workers, load_settings

MINIMUM = {"AUTOFLOW_INPUTS_DIR": "/in", "AUTOFLOW_OUTPUTS_DIR": "/out", "FLOWAPI_URL": "https://flowapi.example.org"}


class Watched(dict[str, str]):
    """An environment that notes what it is asked for."""

    def __init__(self) -> None:
        super().__init__(MINIMUM)
        self.asked: set[str] = set()

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.asked.add(name)
        return super().get(name, default)


def test_every_variable_that_is_read_is_described_and_no_other(tmp_path: Path) -> None:
    environment = Watched()
    load_settings(environment, docker_secrets=tmp_path)
    assert environment.asked - {"CREDENTIALS_DIRECTORY"} == {variable.name for variable in VARIABLES}


def test_those_that_are_required_are_said_to_be(tmp_path: Path) -> None:
    # the token is looked for when it is needed
    assert {variable.name for variable in VARIABLES if variable.is_required} == {*MINIMUM, "FLOWAPI_TOKEN"}


def test_defaults_are_those_that_hold(tmp_path: Path) -> None:
    settings = load_settings(MINIMUM, docker_secrets=tmp_path)
    lease = Workers("tls://host:8786", tmp_path).lease
    told = {variable.name: variable.default for variable in VARIABLES if variable.default}
    assert told.pop("AUTOFLOW_LOG_LEVEL") == settings.log_level
    assert told.pop("AUTOFLOW_TOKEN_WARNING_DAYS") == ",".join(map(str, settings.token_warning_days))
    assert {name: parse_duration(text) for name, text in told.items()} == {
        "AUTOFLOW_POLL_TIMEOUT": settings.poll_timeout,
        "AUTOFLOW_GRACE": settings.grace,
        "AUTOFLOW_INTERRUPT_GRACE": settings.interrupt_grace,
        "AUTOFLOW_WORKERS_LEASE": lease,
    }
