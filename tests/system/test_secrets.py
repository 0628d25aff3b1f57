# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Secrets that one notebook is given, and nobody else gets to see."""

from __future__ import annotations

from tests.conftest import Deployment, Typed
from tests.system.test_shared_data import printed, write_notebook

WORKFLOWS = """
workflows:
  - name: w
    notebooks:
      publish:
        filename: publish.ipynb
        parameters: {run_dir: run_dir}
        secrets: ADMIN_SECRET
      plain:
        filename: plain.ipynb
        parameters: {before: publish, run_dir: run_dir}
        environment: {PLACE: here}
      raises: {filename: raises.ipynb, secrets: [ADMIN_SECRET], parameters: {before: publish}}
      encodes: {filename: encodes.ipynb, secrets: [ADMIN_SECRET], parameters: {before: publish}}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w, latest_date: 2016-01-01}]
"""

SECRET = 'pa55"word \\of admin'

PUBLISH = """
import os
from pathlib import Path
secret = os.environ["ADMIN_SECRET"]
print("length", len(secret), "shown:", secret)
Path(run_dir, "kept").write_text(secret)
"""

PLAIN = """
import os
from pathlib import Path
mine = open("/proc/self/environ").read()
print("place", os.environ["PLACE"], "secret", "ADMIN_SECRET" in os.environ, "ADMIN_SECRET" in mine)
print("of the file:", Path(run_dir, "kept").read_text())
Path(run_dir, "kept").unlink()
"""

ENCODES = """
import base64, os
print(base64.b64encode(os.environ["ADMIN_SECRET"].encode()).decode())
"""


def test_a_secret_reaches_one_kernel_and_nothing_that_is_kept(deployment: Deployment) -> None:
    deployment.write(WORKFLOWS)
    parameters = "before = run_dir = ''"
    write_notebook(deployment.inputs / "publish.ipynb", parameters, PUBLISH)
    write_notebook(deployment.inputs / "plain.ipynb", parameters, PLAIN)
    write_notebook(
        deployment.inputs / "raises.ipynb", parameters, "import os\nraise ValueError(os.environ['ADMIN_SECRET'])"
    )
    write_notebook(deployment.inputs / "encodes.ipynb", parameters, ENCODES)

    outcome = deployment.run(ADMIN_SECRET=SECRET)
    assert outcome.code == 1
    (published,), (plain,) = deployment.made("notebooks/publish__*"), deployment.made("notebooks/plain__*")
    assert printed(published) == f"length {len(SECRET)} shown: [redacted]\n"
    assert printed(plain) == "place here secret False False\nof the file: [redacted]\n"
    assert "ValueError: [redacted]" in outcome.log
    assert "The secret ADMIN_SECRET is in what cell 2 shows; the executed notebook is not kept" in outcome.log
    assert deployment.made("notebooks/encodes__*") == []
    kept = [path for path in deployment.outputs.rglob("*") if path.is_file()]
    assert kept
    pieces = b"pa55", b"word \\of admin"
    assert [path for path in kept if any(piece in path.read_bytes() for piece in pieces)] == []
    assert "pa55" not in outcome.log

    missing = deployment.run("rerun", "1", "--yes")
    assert "secret ADMIN_SECRET: not found; put it into one of /run/secrets/ADMIN_SECRET" in missing.log
    assert "secret ADMIN_SECRET: not found" in deployment.run("check").log


NAMED = """
workflows:
  - name: w
    notebooks: {names: {filename: names.ipynb, secrets: ADMIN_SECRET, parameters: {run_dir: run_dir}}}
available_dates_sensor:
  schedule: null
  workflows: [{workflow_name: w, latest_date: 2016-01-01}]
"""


def test_a_file_that_a_secret_names_is_removed(deployment: Deployment, typed: Typed) -> None:
    deployment.write(NAMED)
    code = "import os\nfrom pathlib import Path\nPath(run_dir, 'x' + os.environ['ADMIN_SECRET']).write_text('')"
    write_notebook(deployment.inputs / "names.ipynb", "run_dir = ''", code)
    outcome = typed(ADMIN_SECRET="aPlainSecret-17")
    assert outcome.code == 1
    assert "the secret ADMIN_SECRET is in the name or the target of a file in run_dir" in outcome.log
    assert [path for path in deployment.outputs.rglob("*") if "aPlainSecret" in path.name] == []
