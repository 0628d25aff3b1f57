# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What is done to AutoFlow's unit inside of a booted machine; the results go to /results."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import time
import traceback
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

DROP_IN = Path("/run/systemd/system/autoflow.service.d/test.conf")
STATE = Path("/var/lib/autoflow")
NOW = "ExecStart=\nExecStart=/opt/autoflow/bin/python -P -m autoflow --now\n"
WEBHOOK = Path("/etc/autoflow/AUTOFLOW_WEBHOOK_URL")
results: list[tuple[bool, str]] = []


def shell(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def systemctl(*arguments: str) -> str:
    return shell("systemctl", *arguments).strip()


def shown(name: str) -> str:
    return systemctl("show", "--value", f"--property={name}", "autoflow")


def until(condition: Callable[[], object], seconds: float = 90.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    return False


def check(name: str, held: object) -> None:
    results.append((bool(held), name))
    with Path("/results").open("a") as file:
        file.write(f"{'ok  ' if held else 'FAIL'} {name}\n")
        if not held and sum(not before for before, _ in results) == 1:
            # the first failure is what explains the others
            file.write(shell("journalctl", "--no-pager", "--lines=80", "--unit=autoflow", "--unit=flowapi"))


def drop_in(text: str) -> None:
    DROP_IN.parent.mkdir(parents=True, exist_ok=True)
    DROP_IN.write_text(f"[Service]\n{text}")
    systemctl("daemon-reload")


def states() -> list[str]:
    connection = sqlite3.connect(f"file:{STATE}/autoflow.db?mode=ro", uri=True)
    try:
        return [state for (state,) in connection.execute("SELECT state FROM attempts ORDER BY id")]
    finally:
        connection.close()


def counted(state: str) -> int:
    try:
        return states().count(state)
    except sqlite3.Error:
        return 0


def family() -> list[int]:
    """Find processes of jobs, by the marker in their environments."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if b"AUTOFLOW_JOB=" in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def is_idle() -> bool:
    status = shown("StatusText")
    return status.startswith("next tick at 20") and "in progress" not in status


def main_pid() -> int:
    return int(shown("MainPID") or 0)


def ask(path: str) -> tuple[int, str]:
    """Ask the page; 0 when nobody answers."""
    connection = HTTPConnection("127.0.0.1", 8080, timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except OSError:
        return 0, ""
    finally:
        connection.close()


class Webhook(BaseHTTPRequestHandler):
    """Takes messages."""

    taken: ClassVar[list[dict[str, object]]] = []

    def do_POST(self) -> None:
        self.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()


def install() -> None:
    """Do as docs/how-to/systemd.md says."""
    Path("/etc/autoflow").mkdir(mode=0o755, exist_ok=True)
    inputs = Path("/srv/autoflow/inputs")
    inputs.mkdir(parents=True, exist_ok=True)
    for source in Path("/usr/src/autoflow/examples/inputs").iterdir():
        (inputs / source.name).write_bytes(source.read_bytes())
    Path("/etc/autoflow/environment").write_text(
        "AUTOFLOW_INPUTS_DIR=/srv/autoflow/inputs\nFLOWAPI_URL=http://127.0.0.1:9090\nAUTOFLOW_GRACE=2s\n"
        "AUTOFLOW_HTTP=127.0.0.1:8080\n"
    )
    systemctl("start", "flowapi")
    until(Path("/etc/autoflow/FLOWAPI_TOKEN").exists)


def the_unit_starts_and_runs_notebooks() -> None:
    drop_in(NOW)
    systemctl("start", "autoflow")
    check("it says that it is ready", shown("ActiveState") == "active")
    check("it says what it is doing", until(lambda: "ticking" in shown("StatusText") or "next" in shown("StatusText")))
    # 2016-01-08 and -09, for two sets of parameters
    check("notebooks with matplotlib and ruby run in the sandbox", until(lambda: counted("succeeded") == 4, 200))
    check("reports are made", len(list(STATE.glob("reports/*.pdf"))) == 4)
    check("the status tells the next tick, and that nothing is in progress", until(is_idle))
    # a child may still be writing the page that tells of the last run: it ends, what was left behind would not
    check("nothing of its jobs is left running", until(lambda: family() == []))
    status, body = ask("/")
    check("the page shows them", status == 200 and body.count("./reports/") >= 4)
    check("the page of a run leads to its executed notebook as a page", ask("/runs/1")[1].count("../view/") == 2)
    check("its health is good", ask("/health")[0] == 200 and "autoflow_healthy 1.0" in ask("/metrics")[1])
    check("outputs belong to a user of its own", STATE.stat().st_uid not in (0, 65534))


def a_reload_reads_the_definitions() -> None:
    path = Path("/srv/autoflow/inputs/workflows.yml")
    path.write_text(path.read_text().replace('"0 0 * * *"', '"30 5 * * *"'))
    systemctl("reload", "autoflow")
    check("a reload reads workflows.yml again", until(lambda: "05:30:00" in shown("StatusText")))


def busy(name: str, seconds: int = 300) -> None:
    """Let there be one date whose notebook is busy for long."""
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": "a",
                "metadata": {},
                "source": f"import ctypes, time\n{name}",
                "outputs": [],
                "execution_count": None,
            }
        ],
    }

    inputs = Path("/srv/autoflow/inputs")
    (inputs / "busy.ipynb").write_text(json.dumps(notebook))
    (inputs / "workflows.yml").write_text(
        f"workflows: [{{name: {name.split('.')[0]}, notebooks: {{a: {{filename: busy.ipynb}}}}}}]\n"
        "available_dates_sensor:\n  schedule: '0 0 1 1 *'\n  workflows:\n"
        f"    - {{workflow_name: {name.split('.')[0]}, earliest_date: 2016-01-09}}\n"
    )


def a_stop_in_the_middle_of_a_run_leaves_nothing() -> None:
    for name in ("time.sleep(300)", "ctypes.PyDLL(None).sleep(300)"):
        systemctl("stop", "autoflow")
        interrupted = counted("interrupted")
        busy(name)
        systemctl("start", "autoflow")
        ran = until(lambda: counted("running") == 1 and len(family()) >= 2)
        time.sleep(3)
        began = time.monotonic()
        systemctl("stop", "autoflow")
        took = time.monotonic() - began
        good = ran and shown("Result") == "success" and shown("ExecMainStatus") == "0"
        check(f"a stop during {name} ends with exit code 0, after {took:.0f} s", good and took < 30)
        check("  the run is interrupted", counted("interrupted") == interrupted + 1 and counted("running") == 0)
        check("  no process is left", family() == [])


def a_failure_is_told() -> None:
    systemctl("stop", "autoflow")
    server = HTTPServer(("127.0.0.1", 0), Webhook)
    Thread(target=server.serve_forever, daemon=True).start()
    WEBHOOK.write_text(f"http://127.0.0.1:{server.server_port}/a-secret-path\n")
    drop_in(f"{NOW}LoadCredential={WEBHOOK.name}:{WEBHOOK}\n")
    busy("nothing.at_all()")
    systemctl("start", "autoflow")
    told = until(lambda: any(message["event"] == "failed" for message in Webhook.taken))
    check("a failure is told to a webhook whose address is a credential", told)
    systemctl("stop", "autoflow")
    server.shutdown()


def a_kill_is_followed_by_a_restart() -> None:
    drop_in(NOW + "RestartSec=1s\n")
    systemctl("start", "autoflow")
    ran = until(lambda: counted("running") == 1 and len(family()) >= 2)
    before, restarts = main_pid(), int(shown("NRestarts") or 0)
    interrupted = counted("interrupted")
    if before > 1:
        os.kill(before, signal.SIGKILL)
    again = until(lambda: int(shown("NRestarts") or 0) == restarts + 1 and main_pid() not in (0, before))
    check("kill -9 of the daemon is followed by a restart", ran and again)
    check("  what it left is interrupted, and runs again", until(lambda: counted("interrupted") == interrupted + 1))
    check("  once", until(lambda: counted("running") == 1 and len(family()) >= 2))


def a_starved_watchdog_is_followed_by_a_restart() -> None:
    systemctl("stop", "autoflow")
    drop_in(NOW + "RestartSec=1s\nWatchdogSec=4s\n")
    systemctl("start", "autoflow")
    time.sleep(10)
    restarts = int(shown("NRestarts") or 0)
    check("a fed watchdog leaves it alone", restarts == 0 and shown("ActiveState") == "active")
    stuck = main_pid()
    if stuck > 1:
        os.kill(stuck, signal.SIGSTOP)
    again = until(lambda: int(shown("NRestarts") or 0) >= 1 and main_pid() not in (0, stuck), 60)
    check("a starved watchdog is followed by a restart", again)
    systemctl("stop", "autoflow")
    check("  nothing is left after a stop", family() == [])


def a_mistake_waits_for_a_person() -> None:
    drop_in(NOW + "RestartSec=1s\n")
    Path("/srv/autoflow/inputs/workflows.yml").write_text("workflows: 3\n")
    systemctl("start", "autoflow")
    time.sleep(5)
    check("a mistake in workflows.yml is not tried again", shown("NRestarts") == "0" and shown("ExecMainStatus") == "2")


def what_may_pass_is_tried_again() -> None:
    drop_in(NOW + "RestartSec=1s\n")
    inputs = Path("/srv/autoflow/inputs")
    aside = inputs.rename(inputs.with_name("inputs-aside"))
    systemctl("start", "autoflow")
    again = until(lambda: int(shown("NRestarts") or 0) >= 6)
    check(
        "inputs that are not mounted yet are tried for again and again",
        again and "is it mounted" in shell("journalctl", "--unit=autoflow"),
    )
    aside.rename(inputs)
    check("  and once they are there it starts", until(lambda: shown("ActiveState") == "active", 60))
    systemctl("stop", "autoflow")


def the_token_stays_secret() -> None:
    token = Path("/etc/autoflow/FLOWAPI_TOKEN").read_text().strip()
    journal = shell("journalctl", "--unit=autoflow")
    outputs = [path.read_bytes() for path in STATE.rglob("*") if path.is_file()]
    for secret, name in ((token, "token"), ("a-secret-path", "webhook's address")):
        secret_kept = secret not in journal and all(secret.encode() not in output for output in outputs)
        check(f"the {name} is in no log and no output", secret_kept)


def main() -> None:
    try:
        install()
        for step in (
            the_unit_starts_and_runs_notebooks,
            a_reload_reads_the_definitions,
            a_stop_in_the_middle_of_a_run_leaves_nothing,
            a_kill_is_followed_by_a_restart,
            a_starved_watchdog_is_followed_by_a_restart,
            a_failure_is_told,
            what_may_pass_is_tried_again,
            a_mistake_waits_for_a_person,
            the_token_stays_secret,
        ):
            step()
    except Exception:  # noqa: BLE001  # whatever it is, it is a failure
        check(f"the test itself went wrong:\n{traceback.format_exc()}", held=False)
    failed = sum(not held for held, _ in results)
    with Path("/results").open("a") as file:
        file.write(f"{len(results) - failed} passed, {failed} failed\n")


main()
