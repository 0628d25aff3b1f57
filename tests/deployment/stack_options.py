# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
"""Podman's options for the service of docker-stack.yml: JSON of `docker-compose config` in, one option a line out.

Only keys that `docker stack deploy` hands on are known here: it leaves others out without a word.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

ELSEWHERE = ("command", "deploy", "entrypoint", "image", "networks")
"""Keys that have no option: what swarms do with services, and what the test decides itself."""


def options(service: dict[str, Any]) -> Iterator[str]:
    for key, value in service.items():
        if key == "user":
            yield f"--user={value}"
        elif key == "environment":
            yield from (f"--env={name}={text}" for name, text in value.items())
        elif key == "secrets":
            yield from (f"--secret={secret['source']}" for secret in value)
        elif key == "volumes":
            yield from map(volume, value)
        elif key == "read_only":
            # podman would add a /tmp of its own
            yield from (f"--read-only={json.dumps(value)}", "--read-only-tmpfs=false")
        elif key == "cap_drop":
            yield from (f"--cap-drop={name}" for name in value)
        elif key == "stop_grace_period":
            yield f"--stop-timeout={seconds(value)}"
        elif key == "ulimits":
            yield from (f"--ulimit={name}={limit(number)}" for name, number in value.items())
        elif key not in ELSEWHERE:
            raise SystemExit(f"docker-stack.yml: {key}: not known to be handed on by `docker stack deploy`")


def volume(value: dict[str, Any]) -> str:
    if value["type"] == "tmpfs":
        return f"--tmpfs={value['target']}"
    return f"--volume={value['source']}:{value['target']}{':ro' if value.get('read_only') else ''}"


def limit(number: Any) -> str:
    if not isinstance(number, dict):
        return str(number)
    if "soft" in number or "hard" in number:
        return f"{number.get('soft', 0)}:{number.get('hard', 0)}"
    # a limit of 0 is left out
    return str(number.get("single", 0))


def seconds(duration: str) -> int:
    minutes, rest = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", duration).groups(default="0")  # type: ignore[union-attr]
    return 60 * int(minutes) + int(rest)


if __name__ == "__main__":
    (only,) = json.load(sys.stdin)["services"].values()
    sys.stdout.writelines(f"{option}\n" for option in options(only))
