# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Notebooks that another kernel executes than the one that they name."""

from __future__ import annotations

import json
import sys
import venv
from pathlib import Path

import nbformat

from tests.conftest import Deployment, Typed
from tests.system.test_shared_data import printed, write_notebook

WORKFLOWS = """
workflows:
  - name: w
    notebooks:
      tells: {filename: tells.ipynb, kernel: other, output: {format: html}}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w, latest_date: 2016-01-01}]
"""


def test_a_notebook_is_executed_in_another_virtual_environment(
    deployment: Deployment, typed: Typed, tmp_path: Path
) -> None:
    """The environment sees ipykernel of this one, and has a distribution of its own."""
    place = tmp_path / "other"
    venv.create(place, with_pip=False)
    (packages,) = place.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "ours.pth").write_text(ours)
    (packages / "own-1.0.dist-info").mkdir()
    (packages / "own-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: own\nVersion: 1.0\n")
    kernel = tmp_path / "jupyter" / "kernels" / "other" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [str(place / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "Other", "language": "python"}))
    deployment.write(WORKFLOWS)
    code = "import sys\nfrom importlib.metadata import version\nprint(sys.prefix, version('own'))"
    write_notebook(deployment.inputs / "tells.ipynb", "", code)

    outcome = typed(JUPYTER_PATH=str(tmp_path / "jupyter"))
    assert outcome.code == 0, outcome.log
    (executed,) = deployment.made("notebooks/*")
    assert printed(executed) == f"{place} 1.0\n"
    assert nbformat.read(executed, 4).metadata.kernelspec.name == "other"
    (manifest,) = deployment.made("reports/*.json")
    (notebook,) = json.loads(manifest.read_text())["notebooks"]
    assert notebook["kernel"]["name"] == "other"
    assert len(notebook["kernel"]["environment_sha256"]) == 64
