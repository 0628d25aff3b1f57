# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What notebooks and reports find on this machine: packages, kernels, programs, fonts."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from autoflow.child.fonts import missing_fonts
from autoflow.notebooks import installed_kernels

PACKAGES = ("papermill", "nbconvert", "scrapbook", "flowclient", "ipykernel", "jupyter_client", "pandas")
PROGRAMS = ("asciidoctor-pdf", "pandoc")
PATIENCE = 20.0
"""Seconds that a program may take to say its version."""


def work(request: Mapping[str, Any], workspace: Path) -> dict[str, Any]:  # noqa: ARG001
    """Look at what is installed.

    Returns
    -------
    dict
        ``packages`` and ``programs`` with their versions, None where one is missing; ``kernels`` with their languages;
        ``fonts``: Debian's package by each script that has none.
    """
    return {
        "packages": {name: _version(name) for name in PACKAGES},
        "programs": {name: _first_line(name) for name in PROGRAMS},
        "kernels": installed_kernels(),
        "fonts": missing_fonts(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _first_line(program: str) -> str | None:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=PATIENCE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout or done.stderr).strip().partition("\n")[0] or None if done.returncode == 0 else None
