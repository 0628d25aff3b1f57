# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Where notebooks run: on AutoFlow's machine if they say so, with workers elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoflow.clock import utc_now
from autoflow.cluster import make_certificates
from tests.conftest import Deployment, Typed

WORKFLOWS = """
workflows:
  - name: w
    notebooks: {a: {filename: glues.ipynb, parameters: {reference_date: reference_date}, place: here}}
available_dates_sensor: {schedule: null, workflows: [{workflow_name: w}]}
"""


def test_a_notebook_that_is_to_run_here_needs_no_worker(
    deployment: Deployment, typed: Typed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_certificates(tmp_path / "certificates", utc_now())
    deployment.write(WORKFLOWS, "glues")
    monkeypatch.setenv("AUTOFLOW_WORKERS", "tls://127.0.0.1:9")
    monkeypatch.setenv("AUTOFLOW_WORKERS_CERTIFICATES", str(tmp_path / "certificates"))
    outcome = typed()
    assert outcome.code == 0, outcome.log
    assert "2 runs succeeded" in outcome.log
