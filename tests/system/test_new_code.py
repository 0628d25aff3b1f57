# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""An AutoFlow over which another one is installed says so, and starts nothing that would be half of each."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.conftest import ROOT, Deployment


def test_code_that_is_installed_over_a_running_autoflow_is_noticed(deployment: Deployment, tmp_path: Path) -> None:
    for part in ("autoflow", "config"):
        shutil.copytree(ROOT / part, tmp_path / "lib" / part)
    deployment.write_simple("glues")
    environment = {**deployment.environment, "PYTHONPATH": str(tmp_path / "lib")}

    def autoflow(*arguments: str) -> str:
        command = [sys.executable, "-P", "-m", "autoflow", *arguments]
        return subprocess.run(command, env=environment, stdout=-1, stderr=-2, text=True, check=False).stdout

    def until(words: str, said: Callable[[], str], times: int = 1) -> None:
        end = time.monotonic() + 100
        while (text := said()).count(words) < times:
            assert time.monotonic() < end, text
            time.sleep(0.2)

    logged = tmp_path / "log"
    with logged.open("w") as log:
        daemon = subprocess.Popen([sys.executable, "-P", "-m", "autoflow", "--now"], env=environment, stderr=log)
    try:
        until(" succeeded\n", logged.read_text, times=2)
        before = len(deployment.made("notebooks/*"))
        with (tmp_path / "lib" / "autoflow" / "wording.py").open("a") as file:
            file.write("# newer\n")
        autoflow("rerun", "1", "--yes")
        until("restart AutoFlow; no run starts until then", partial(autoflow, "--health"))
        assert len(deployment.made("notebooks/*")) == before
        assert "failed" not in autoflow("runs")
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
