# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Messages of AutoFlow as a process: through crashes, at the end of --run-once, and when somebody tries them."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.clock import until
from tests.conftest import Deployment, Typed
from tests.receivers import Hook, MailServer

pytestmark = pytest.mark.usefixtures("forked_warm_parents")

SECRET = "/services/geheim-T0"


@pytest.fixture
def hook(deployment: Deployment) -> Iterator[Hook]:
    with closing(Hook()) as hook:
        deployment.environment["AUTOFLOW_WEBHOOK_URL"] = hook.url + SECRET
        yield hook


def waiting(deployment: Deployment) -> int:
    with closing(sqlite3.connect(deployment.outputs / "autoflow.db")) as connection:
        (number,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(number)


def found_in_outputs(deployment: Deployment, words: bytes) -> list[str]:
    files = [path for path in deployment.outputs.rglob("*") if path.is_file()]
    return [str(path) for path in files if words in path.read_bytes()]


def test_a_message_that_a_crash_kept_from_being_sent_is_sent_by_the_next_start(
    deployment: Deployment, hook: Hook
) -> None:
    hook.fault = "hang"
    deployment.write_simple("raises_on_one_date")
    with deployment.start("--now") as daemon:
        until(lambda: hook.asked != [])
        assert waiting(deployment) == 1
        daemon.kill()
        log, _ = daemon.communicate()
    hook.fault = None
    assert waiting(deployment) == 1
    with deployment.start() as daemon:
        until(lambda: hook.events() == ["failed"])
        until(lambda: waiting(deployment) == 0)
        daemon.terminate()
        log += daemon.communicate()[0]
    assert hook.events() == ["failed"]
    assert "geheim" not in log
    assert found_in_outputs(deployment, b"geheim") == []


def test_run_once_tells_at_its_end_and_not_again(deployment: Deployment, typed: Typed, hook: Hook) -> None:
    deployment.write_simple("raises_on_one_date")
    assert typed("--run-once").code == 1
    assert hook.events() == ["failed"]
    assert typed("--run-once").code == 1
    assert hook.events() == ["failed"]


def test_what_a_command_runs_without_a_daemon_is_told_and_what_is_tried_out_is_not(
    deployment: Deployment, typed: Typed, hook: Hook
) -> None:
    deployment.write_simple("raises_on_one_date", "glues")
    assert typed("--run-once").code == 1
    shutil.copy(deployment.inputs / "glues.ipynb", deployment.inputs / "raises_on_one_date.ipynb")
    (failed,) = hook.taken
    assert typed("try", "w", failed["dates"][0]).code == 0
    assert hook.events() == ["failed"]
    assert typed("rerun", "2", "--yes").code == 0
    assert hook.events() == ["failed", "recovered"]


@pytest.mark.parametrize("arguments", [["--run-once"], []])
def test_people_hear_once_that_autoflow_does_not_start_without_a_usable_token(
    deployment: Deployment, typed: Typed, hook: Hook, arguments: list[str]
) -> None:
    deployment.write_simple("glues")
    deployment.environment["FLOWAPI_TOKEN"] = "geheim-but-no-token"
    for _ in range(2):
        outcome = typed(*arguments)
        assert outcome.code == 2
        assert outcome.log.count("autoflow: FLOWAPI_TOKEN (from the environment): cannot be decoded") == 1
    assert hook.events() == ["token"]
    assert "FLOWAPI_TOKEN (from the environment): cannot be decoded as a token" in hook.taken[0]["text"]
    assert "geheim" not in json.dumps(hook.taken)


def test_run_once_that_is_told_to_stop_leaves_messages_to_the_next_start(deployment: Deployment, hook: Hook) -> None:
    deployment.write_simple("raises")
    hook.fault = "hang"
    with deployment.start("--run-once") as process:
        until(lambda: hook.asked != [])
        process.terminate()
        log, _ = process.communicate()
    assert process.returncode == 1
    assert "sending notifications took longer" not in log
    assert waiting(deployment) == 1


def test_notebooks_and_their_kernels_see_no_address_of_messages(deployment: Deployment, hook: Hook) -> None:
    deployment.write_simple("glues")
    notebook = deployment.inputs / "glues.ipynb"
    content = json.loads(notebook.read_text())
    code = next(cell for cell in content["cells"] if cell["cell_type"] == "code" and "parameters" not in str(cell))
    code["source"] = "import os; print('names:', [name for name in os.environ if name.startswith('AUTOFLOW_')])"
    notebook.write_text(json.dumps(content))
    deployment.environment["AUTOFLOW_SMTP_URL"] = "smtp://me:geheim-wort@localhost"
    assert deployment.run("--run-once").code == 0
    executed = deployment.made("notebooks/*")[0].read_text()
    assert "AUTOFLOW_INPUTS_DIR" in executed
    assert "WEBHOOK" not in executed
    assert "SMTP" not in executed


def test_notify_says_how_each_channel_went(deployment: Deployment, typed: Typed, hook: Hook) -> None:
    deployment.write_simple("glues")
    path = deployment.inputs / "workflows.yml"
    path.write_text(path.read_text() + "notify: {email: me@example.org}\n")
    with closing(MailServer()) as server:
        environment = {
            "AUTOFLOW_SMTP_URL": f"smtp://localhost:{server.port}?from=a@example.org",
            "AUTOFLOW_HEARTBEAT_URL": f"{hook.url}/ping",
        }
        outcome = typed("notify", "--test", **environment)
        assert outcome.code == 0, outcome.log
        assert [line.split(" (")[0] for line in outcome.log.splitlines()] == [
            "email: taken",
            "webhook: taken",
            "heartbeat: taken",
        ]
        assert server.taken[0]["Subject"] == "[AutoFlow] a test"
        assert sorted(hook.asked) == ["GET /ping", f"POST {SECRET}"]
        hook.fault = "500"
        outcome = typed("notify", "--test", "--json", **environment)
    assert outcome.code == 1
    channels = {each["channel"]: each for each in outcome.json()["channels"]}
    assert channels["email"]["taken"]
    assert channels["webhook"]["reason"] == "the webhook at 127.0.0.1 answered with status 500"
    assert "geheim" not in outcome.log


def test_check_and_notify_say_what_is_missing(deployment: Deployment, typed: Typed) -> None:
    deployment.write_simple("glues")
    path = deployment.inputs / "workflows.yml"
    outcome = typed("notify", "--test")
    assert (outcome.code, "no notification channel is set; set AUTOFLOW_WEBHOOK_URL" in outcome.log) == (2, True)
    path.write_text(path.read_text() + "notify: {email: me@example.org, events: [failed], no_new_date: 3d}\n")
    outcome = typed("check")
    assert outcome.code == 0
    assert "notify.email: e-mail needs a mail server; set AUTOFLOW_SMTP_URL" in outcome.log
    assert "notify.no_new_date: no notifications are sent, because 'late' is not in notify.events" in outcome.log
    path.write_text(path.read_text().replace("events: [failed]", "events: [faild]").replace("me@", "me at "))
    outcome = typed("check")
    assert outcome.code == 2
    assert "notify.events[0]: found 'faild'; did you mean 'failed'?" in outcome.log
    assert "notify.email: found 'me at example.org', expected an e-mail address such as me@example.org" in outcome.log
    outcome = typed("--check", AUTOFLOW_APPRISE_URLS="json://geheim", AUTOFLOW_SMTP_URL="http://geheim")
    assert outcome.code == 2
    assert "AUTOFLOW_SMTP_URL: is not the address of a mail server; expected one such as smtp://" in outcome.log
    assert "geheim" not in outcome.log
