# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The unit files, as systemd itself reads them; tests/deployment/systemd.sh boots the one that most have."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

CONFIG = Path(__file__).parent.parent.parent / "config"
UNITS = [CONFIG / "autoflow.service", CONFIG / "autoflow@.service"]

with_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: the unit files are NOT checked"
)
each_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["systemd-analyze", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


@with_systemd
@each_unit
def test_systemd_understands_every_line(unit: Path, tmp_path: Path) -> None:
    # the program is not where the unit will find it; unknown keys and bad values are told, but are no error
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/opt/autoflow/bin/python", shutil.which("true") or "/bin/true"))
    outcome = analyze("verify", str(tmp_path / unit.name.replace("@", "@north")))
    assert (outcome.returncode, outcome.stdout) == (0, "")


@with_systemd
@each_unit
def test_it_is_exposed_to_little(unit: Path) -> None:
    outcome = analyze("security", "--offline=true", "--threshold=25", str(unit))
    assert outcome.returncode == 0, outcome.stdout


def test_one_of_several_differs_by_its_name_alone() -> None:
    one, several = ([line for line in unit.read_text().splitlines() if not line.startswith("#")] for unit in UNITS)
    several.remove("Environment=AUTOFLOW_NAME=%i")
    without_name = [
        line.replace("/etc/autoflow/%i/", "/etc/autoflow/").replace("autoflow-%i", "autoflow").replace(" %i:", ":")
        for line in several
    ]
    documentation = one.index(next(line for line in one if line.startswith("Documentation=")))
    assert without_name[documentation].endswith("/docs/how-to/several-deployments.md")
    assert (
        without_name[:documentation] + without_name[documentation + 1 :]
        == one[:documentation] + one[documentation + 1 :]
    )
