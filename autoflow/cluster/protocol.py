# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""What daemon and workers have to agree on."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from autoflow import __version__

PROTOCOL = 1
"""A daemon gives notebooks to workers of the same number alone."""

RESOURCE = f"autoflow-{PROTOCOL}"
"""Dask's name for what a worker has one of for each notebook that it may execute at a time."""

PACKAGES = ("papermill", "ipykernel")
"""Packages that executed notebooks may differ by."""


def topic_of(instance: str, epoch: str) -> str:
    """Name the topic that workers speak to one life of one daemon on: an earlier life must not answer for it."""
    return f"autoflow-{instance}-{epoch}"


def versions_here() -> dict[str, str]:
    """List the versions that daemon and workers compare."""
    found = {"AutoFlow": __version__, "Python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def differences(here: dict[str, str], there: dict[str, str]) -> str:
    """Say in words which versions differ; nothing when none do."""
    different = [name for name in here if there.get(name) != here[name]]
    return ", ".join(f"{name} {there.get(name, 'unknown')} (here {here[name]})" for name in different)
