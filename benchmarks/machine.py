# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What it was measured on, and with which versions."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = (
    "papermill",
    "nbclient",
    "jupyter_client",
    "ipykernel",
    "nbconvert",
    "scrapbook",
    "flowclient",
    "pandas",
    "geopandas",
    "matplotlib",
    "pydantic",
)
TOOLS = ("pandoc", "asciidoctor-pdf")


def today() -> str:
    """Return the date, UTC."""
    return dt.datetime.now(dt.UTC).date().isoformat()


def cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def describe() -> str:
    """Describe the machine in a line."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return (
        f"{cores()} cores ({_processor()}), {memory:.0f} GiB, {_system()},"
        f" Linux {platform.release()}, Python {platform.python_version()}"
    )


def versions() -> dict[str, str]:
    """Find the versions of AutoFlow, of what it is made of, and of the tools."""
    found = {"autoflow": _commit()}
    for name in PACKAGES:
        found[name] = _of_package(name)
    for tool in TOOLS:
        with suppress(OSError, subprocess.CalledProcessError):
            said = subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.split()
            found[tool] = next((word for word in said if word[0].isdigit()), "unknown")
    return found


def _commit() -> str:
    version = _of_package("autoflow")
    with suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
        version += f" ({subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()})"
    return version


def _of_package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
