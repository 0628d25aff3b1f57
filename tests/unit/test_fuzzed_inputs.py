# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Whatever stands in settings and in workflows.yml is taken or told in words: never a traceback, now or later."""

from __future__ import annotations

import datetime as dt
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from autoflow.dates.durations import parse_duration
from autoflow.errors import AutoflowError, DefinitionError
from autoflow.parser.parser import load_definitions
from autoflow.settings.settings import load_settings
from tests.conftest import NOTEBOOKS

VARIABLES = (
    *("AUTOFLOW_INPUTS_DIR", "AUTOFLOW_OUTPUTS_DIR", "AUTOFLOW_DB_URI", "AUTOFLOW_LOG_LEVEL", "AUTOFLOW_HTTP"),
    *(
        "AUTOFLOW_POLL_TIMEOUT",
        "AUTOFLOW_GRACE",
        "AUTOFLOW_INTERRUPT_GRACE",
        "AUTOFLOW_TOKEN_WARNING_DAYS",
        "SSL_CERTIFICATE_FILE",
    ),
    *("FLOWAPI_URL", "AUTOFLOW_SMTP_URL", "AUTOFLOW_WEBHOOK_URL", "AUTOFLOW_HEARTBEAT_URL"),
)
NASTY = st.one_of(
    st.sampled_from(
        ["4000000d", "9" * 5000, "9999999999", "1e999", "\udcff", "-1", "0", "x" * 300, "٣d", "1d" * 99, "//["]
    ),
    st.from_regex(r"[0-9]{1,12}[smhd]", fullmatch=True),
    st.text(st.characters(exclude_characters="\0"), max_size=30),
)
ENOUGH = settings(
    max_examples=150 if os.environ.get("AUTOFLOW_TEST_THOROUGH") else 50,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def told(error: AutoflowError, *words: str) -> None:
    lines = str(error).splitlines()
    assert lines
    assert all(0 < len(line) < 1000 for line in lines)
    assert all(word in str(error) for word in words)


@ENOUGH
@given(environment=st.dictionaries(st.sampled_from(VARIABLES), NASTY))
def test_the_environment_is_taken_or_told(environment: dict[str, str]) -> None:
    base = {"AUTOFLOW_INPUTS_DIR": "/in", "AUTOFLOW_OUTPUTS_DIR": "/out", "FLOWAPI_URL": "http://x"}
    try:
        taken = load_settings({**base, **environment})
    except AutoflowError as error:
        told(error)
        return
    # nothing overflows later
    for seconds in (
        taken.grace,
        taken.interrupt_grace,
        taken.poll_timeout,
        *(day * 86400 for day in taken.token_warning_days),
    ):
        assert dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    str(taken.outputs_dir).encode()


@pytest.mark.parametrize(
    "text",
    [
        "daemon.grace = " + "9" * 5000,
        "daemon.grace = 0x" + "f" * 20_000,
        "daemon.token_warning_days = [0x" + "f" * 20_000 + "]",
        "daemon.token_warning_days = [9999999999]",
        "daemon = " + "[" * 5000,
        "daemon.grace = '4000000d'",
        "daemon.http = '127.0.0.1:" + "9" * 5000 + "'",
        "outputs.outputs_dir = '" + "x" * 300 + "\\u0000'",
        "daemon.grace = inf",
        "daemon.grace = 1979-05-27",
    ],
)
def test_a_config_is_taken_or_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text)
    base = {"AUTOFLOW_INPUTS_DIR": "/in", "AUTOFLOW_OUTPUTS_DIR": "/out", "FLOWAPI_URL": "http://x"}
    try:
        load_settings({**base, "AUTOFLOW_CONFIG": str(path)})
    except AutoflowError as error:
        told(error, str(path))
    else:
        assert "outputs_dir" in text


def content() -> dict[str, Any]:
    """Use every key that takes a number or a length of time."""
    return {
        "workflows": [
            {
                "name": "w",
                "notebooks": {"a": {"filename": "glues.ipynb", "timeout": "1h"}},
                "timeout": "1d",
                "retries": {"attempts": 3, "pause": "1m", "max_pause": "1d"},
                "concurrency": 2,
                "keep": {"notebooks": 3, "reports": "90d", "attempts": 5},
            }
        ],
        "available_dates_sensor": {
            "schedule": "0 0 * * *",
            "timezone": "UTC",
            "concurrency": {"runs": 2, "notebooks": 2},
            "workflows": [
                {
                    "workflow_name": "w",
                    "earliest_date": "2016-01-01",
                    "latest_date": "2020-01-01",
                    "dates": "* * sun",
                    "exclude": ["2016-05-05"],
                    "date_stencil": [[-7, 0], 0],
                    "lag": 2,
                }
            ],
        },
        "notify": {"no_new_date": "3d", "not_done_after": "1d"},
    }


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        found += places(item, (*path, key))
    return found


NUMBERS = st.one_of(st.integers(), st.sampled_from([10**18, -(10**18), 10**400, 3_652_060, -4_000_000, True, 1.5]))
ODD = st.one_of(
    NUMBERS,
    NASTY,
    st.sampled_from([None, [], {}, [[]], [0, [1, 2, 3]], dt.date.min, dt.date.max, "0001-01-01", "9999-12-31", "none"]),
    st.lists(NUMBERS, max_size=3),
)


@ENOUGH
@given(changes=st.lists(st.tuples(st.sampled_from(places(content())), ODD), min_size=1, max_size=3))
def test_definitions_are_taken_or_told(changes: list[tuple[tuple[Any, ...], Any]]) -> None:
    changed = content()
    for path, odd in changes:
        here: Any = changed
        try:
            for part in path[:-1]:
                here = here[part]
            here[path[-1]] = odd
        except (KeyError, IndexError, TypeError):
            continue
    with tempfile.TemporaryDirectory() as directory:
        (Path(directory) / "glues.ipynb").write_bytes((NOTEBOOKS / "glues.ipynb").read_bytes())
        path = Path(directory) / "workflows.yml"
        path.write_bytes(yaml.safe_dump(changed, allow_unicode=False).encode("utf-8", "surrogatepass"))
        try:
            definitions, _ = load_definitions(path)
        except DefinitionError as error:
            told(error)
            return
    now = dt.datetime.now(dt.UTC)
    for workflow in definitions.workflows.values():
        assert now + dt.timedelta(seconds=workflow.retries.max_pause)
        assert now + dt.timedelta(seconds=workflow.retries.pause)
        assert workflow.timeout is None or now + dt.timedelta(seconds=workflow.timeout)
    for seconds in (definitions.notify.no_new_date, definitions.notify.not_done_after):
        assert seconds is None or now - dt.timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        (("workflows", 0, "retries", "pause"), "4000000d", "no more than 3650d"),
        (("notify", "no_new_date"), "4000000d", "no more than 3650d"),
        (("workflows", 0, "timeout"), "9" * 400 + "d", "no more than 3650d"),
        (("workflows", 0, "retries", "attempts"), 10**18, "a number of no more than 1000000"),
        (("workflows", 0, "concurrency"), 10**18, "a number of no more than 1000"),
        (("workflows", 0, "keep", "reports"), 10**18, "no more than 1000000 or 3650d"),
        (("available_dates_sensor", "concurrency", "runs"), 1001, "a number of no more than 1000"),
    ],
)
def test_a_bound_is_told_with_its_key(tmp_path: Path, key: tuple[Any, ...], value: Any, words: str) -> None:
    changed = content()
    here: Any = changed
    for part in key[:-1]:
        here = here[part]
    here[key[-1]] = value
    (tmp_path / "glues.ipynb").write_bytes((NOTEBOOKS / "glues.ipynb").read_bytes())
    (tmp_path / "workflows.yml").write_text(json.dumps(changed))
    with pytest.raises(DefinitionError) as raised:
        load_definitions(tmp_path / "workflows.yml")
    (problem,) = raised.value.problems
    assert problem.key.endswith(str(key[-1]))
    assert words in problem.message


def test_days_of_warning_are_bounded() -> None:
    base = {"AUTOFLOW_INPUTS_DIR": "/in", "AUTOFLOW_OUTPUTS_DIR": "/out", "FLOWAPI_URL": "http://x"}
    with pytest.raises(AutoflowError, match=r"AUTOFLOW_TOKEN_WARNING_DAYS: .*, none more than 3650"):
        load_settings({**base, "AUTOFLOW_TOKEN_WARNING_DAYS": "9999999999"})
    with pytest.raises(ValueError, match="no more than 3650d"):
        parse_duration("3651d")
