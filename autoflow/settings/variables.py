# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The environment variables that settings are read from, and what the docs say of each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Variable:
    """One of them; ``meaning`` is Markdown."""

    name: str
    meaning: str
    default: str = ""
    is_required: bool = False


_SECRET = "Looked up in the same places as `FLOWAPI_TOKEN`; a change needs a restart."  # noqa: S105  # no secret

VARIABLES = (
    Variable("AUTOFLOW_INPUTS_DIR", "The directory of `workflows.yml` and its notebooks; only read.", is_required=True),
    Variable(
        "AUTOFLOW_OUTPUTS_DIR",
        "Executed notebooks go to `notebooks/` in it, reports to `reports/`; made if missing.",
        is_required=True,
    ),
    Variable("FLOWAPI_URL", "Where FlowAPI is, such as `https://flowapi.example.org`.", is_required=True),
    Variable(
        "FLOWAPI_TOKEN",
        "What FlowAuth gave you. Looked up in systemd's credentials (`$CREDENTIALS_DIRECTORY/FLOWAPI_TOKEN`), then in"
        " Docker's secrets (`/run/secrets/FLOWAPI_TOKEN`), then in the environment. A changed file is picked up at the"
        " next tick.",
        is_required=True,
    ),
    Variable(
        "SSL_CERTIFICATE_FILE",
        "Certificate to check FlowAPI's against, instead of the system's; notebooks find its path under this name and"
        " as `FLOWAPI_SSL_CERT`. From Python 3.13 on, one of an authority of your own has to say that it may sign"
        " others (`keyUsage`), or it is refused, in AutoFlow and in notebooks.",
    ),
    Variable("FLOWAPI_SSL_CERT", "The same; read where `SSL_CERTIFICATE_FILE` is not set."),
    Variable(
        "AUTOFLOW_DB_URI",
        "Where the record is: `sqlite:///relative/path` (from where AutoFlow is started if it is there, else from the"
        " outputs directory) or `sqlite:////absolute/path`; by default `autoflow.db` in the outputs directory. A file"
        " that the Prefect-based AutoFlow has written can be named here: what succeeded there is not run again; for"
        " its PostgreSQL database see `autoflow import-record`.",
    ),
    Variable(
        "AUTOFLOW_NAME",
        "What people call this deployment: in notifications, on pages, in metrics and in the log. At most 60"
        " characters.",
    ),
    Variable("AUTOFLOW_LOG_LEVEL", "`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.", "INFO"),
    Variable("AUTOFLOW_POLL_TIMEOUT", "How long a poll of FlowAPI may take.", "60s"),
    Variable(
        "AUTOFLOW_GRACE",
        "How long running notebooks may continue after AutoFlow is told to stop; what only waits ends at once.",
        "30s",
    ),
    Variable(
        "AUTOFLOW_INTERRUPT_GRACE",
        "How long a notebook that was interrupted, for its timeout or at a stop, may take to end before it is killed.",
        "10s",
    ),
    Variable("AUTOFLOW_TOKEN_WARNING_DAYS", "How many days before the token expires to warn of it.", "14,7,3,1"),
    Variable(
        "AUTOFLOW_SMTP_URL",
        f'The mail server of notifications, see "Notifications"; a secret, if it has a password. {_SECRET}',
    ),
    Variable("AUTOFLOW_WEBHOOK_URL", f"Where notifications are posted as JSON; a secret. {_SECRET}"),
    Variable("AUTOFLOW_HEARTBEAT_URL", f"What is requested after each successful tick; a secret. {_SECRET}"),
    Variable("AUTOFLOW_APPRISE_URLS", f"Other services that are notified, by apprise; secrets. {_SECRET}"),
    Variable(
        "AUTOFLOW_HTTP",
        "Where the status page is served: `127.0.0.1:8080`, `[::1]:8080`, or a port of the loopback address alone; by"
        " default nowhere.",
    ),
    Variable(
        "AUTOFLOW_WORKERS",
        "Where the scheduler of a cluster is that notebooks run on: `tls://host:8786`; by default they run on this"
        " machine.",
    ),
    Variable(
        "AUTOFLOW_WORKERS_CERTIFICATES",
        "The directory of the certificates for that, which `autoflow cluster certificates` makes.",
    ),
    Variable(
        "AUTOFLOW_WORKERS_FALLBACK",
        "`here` lets notebooks without `resources` run on this machine while there is no worker; by default they wait.",
    ),
    Variable(
        "AUTOFLOW_WORKERS_LEASE",
        "How long a worker goes on with a notebook while the network is down; what takes longer ends it there, and it"
        " runs on another.",
        "60s",
    ),
    Variable(
        "AUTOFLOW_CONFIG",
        "A copy of `config/config.toml` to read instead; it names the variables above, and has a few settings more.",
    ),
)
