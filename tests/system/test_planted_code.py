# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Nothing is imported from where AutoFlow happens to run: whoever may write there would have FlowAPI's token."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from autoflow.settings.environment import job_environment
from autoflow.settings.settings import load_settings
from tests.conftest import Deployment
from tests.receivers import Hook

PLANTED = """
import os
with open({marker!r}, "a") as file:
    print(__name__, os.environ.get("FLOWAPI_TOKEN", ""), file=file)
raise SystemExit(97)
"""

WORKFLOWS = """
workflows:
  - name: w
    notebooks:
      n: {{filename: reports.ipynb, warm: {warm}, output: [{{format: pdf}}, {{format: html}}],
          parameters: {{reference_date: reference_date}}}}
      fails: {{filename: raises.ipynb, warm: {warm}, parameters: {{reference_date: reference_date}}}}
available_dates_sensor:
  schedule: "0 0 1 1 *"
  workflows: [{{workflow_name: w, earliest_date: 2016-01-02}}]
"""


def names() -> set[str]:
    """Names of all modules that there are to be imported, in the standard library and beside it."""
    return {name for name in {*sys.stdlib_module_names, *packages_distributions()} if name.isidentifier()}


# jobs that are forked, and those that are started from nothing, are started alike, however AutoFlow was
@pytest.mark.parametrize(("how", "warm"), [("module", True), ("script", False)])
def test_code_that_lies_in_the_working_directory_is_never_run(
    deployment: Deployment, tmp_path: Path, how: str, warm: bool
) -> None:
    marker, place = tmp_path / "marker", tmp_path / "place"
    place.mkdir()
    # `python -m autoflow` finds the package itself where it is started; -P is there for that
    for name in names() - ({"autoflow"} if how == "module" else set()):
        (place / f"{name}.py").write_text(PLANTED.format(marker=str(marker)))
    deployment.write(WORKFLOWS.format(warm=str(warm).lower()), "reports", "raises")
    command = {
        "module": [sys.executable, "-m", "autoflow"],
        "script": [str(Path(sys.executable).with_name("autoflow"))],
    }[how]
    with closing(Hook()) as hook:
        outcome = subprocess.run(
            [*command, "--run-once"],
            cwd=place,
            env={**deployment.environment, "AUTOFLOW_WEBHOOK_URL": hook.url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=110,
        )
        assert not marker.exists(), marker.read_text()
        assert outcome.returncode == 1, outcome.stdout
        assert hook.taken
    for pattern in ("reports/reports__*.pdf", "reports/reports__*.html", "reports/index.html"):
        assert len(deployment.made(pattern)) == 1


def test_an_empty_entry_of_pythonpath_is_not_passed_on(deployment: Deployment) -> None:
    settings = load_settings(deployment.environment)
    for path, passed in ((":/a", "/a"), ("/a::/b:", "/a:/b"), ("lib:/a", "lib:/a"), (":", None), ("", None)):
        assert job_environment({"HOME": os.environ["HOME"], "PYTHONPATH": path}, settings).get("PYTHONPATH") == passed
