# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""The environment that children find."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from autoflow.settings.settings import CERTIFICATE_NAMES, SECRET_NAMES, Settings

CACHES = ("IPYTHONDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "JUPYTER_CONFIG_DIR")
"""Variables that name places for files which libraries keep."""

TAKES_PLOTS_AWAY = ("MPLBACKEND",)
"""Variables that a shell or an image may have for programs of its own, with which a notebook's plots would be lost."""


def job_environment(environment: Mapping[str, str], settings: Settings) -> dict[str, str]:
    """Return the environment of children: without secrets, and with a place for caches where there is no home."""
    return _passed(environment, settings.ssl_certificate, settings.work_dir)


def worker_environment(environment: Mapping[str, str], directory: Path) -> dict[str, str]:
    """Return the environment of children of a worker, which keeps its files in a directory."""
    certificate = next((environment[name] for name in CERTIFICATE_NAMES if environment.get(name)), None)
    passed = _passed(environment, Path(certificate) if certificate else None, directory)
    for place in _caches(directory).values():
        Path(place).mkdir(parents=True, exist_ok=True)
    return passed


def _passed(environment: Mapping[str, str], certificate: Path | None, directory: Path) -> dict[str, str]:
    kept_back = {*SECRET_NAMES, *TAKES_PLOTS_AWAY}
    passed = {name: _readable(name, value) for name, value in environment.items() if name not in kept_back}
    # PYTHONPATH=$PYTHONPATH:/somewhere leaves an empty entry: the working directory, where others may write
    if path := os.pathsep.join(filter(None, passed.pop("PYTHONPATH", "").split(os.pathsep))):
        passed["PYTHONPATH"] = path
    if certificate:
        for name in CERTIFICATE_NAMES:
            # a notebook's working directory is another
            passed[name] = str(Path(passed.get(name) or certificate).absolute())
    if not os.access(environment.get("HOME") or "/nonexistent", os.W_OK):
        # kept from run to run: matplotlib takes seconds to find its fonts
        passed = {**_caches(directory), **passed}
    return passed


def _readable(name: str, value: str) -> str:
    """Remove the brackets from IPv6 addresses that no proxy is for: httpx, and so flowclient, would refuse them."""
    return re.sub(r"\[([0-9a-fA-F:]+)\](?=\s*(,|$))", r"\1", value) if name.lower() == "no_proxy" else value


def make_caches(passed: Mapping[str, str], settings: Settings) -> None:
    """Make the directories that an environment has for caches.

    IPython makes others where it has none, and leaves them.
    """
    for name, directory in _caches(settings.work_dir).items():
        if passed.get(name) == directory:
            Path(directory).mkdir(parents=True, exist_ok=True)


def _caches(directory: Path) -> dict[str, str]:
    return {name: str(directory / "caches" / name.lower()) for name in CACHES}
