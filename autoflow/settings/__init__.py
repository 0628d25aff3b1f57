# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""config.toml and the environment as frozen settings: the token, where outputs are, what children find."""

from autoflow.settings.environment import job_environment, make_caches, worker_environment
from autoflow.settings.places import Places
from autoflow.settings.settings import (
    Settings,
    Token,
    check_directories,
    current_secrets,
    current_token,
    inputs_named,
    load_settings,
    read_secrets,
    read_token,
    token_expiry,
)
from autoflow.settings.variables import VARIABLES, Variable
from autoflow.settings.workers import Workers, parse_workers_address

__all__ = [
    "VARIABLES",
    "Places",
    "Settings",
    "Token",
    "Variable",
    "Workers",
    "check_directories",
    "current_secrets",
    "current_token",
    "inputs_named",
    "job_environment",
    "load_settings",
    "make_caches",
    "parse_workers_address",
    "read_secrets",
    "read_token",
    "token_expiry",
    "worker_environment",
]
