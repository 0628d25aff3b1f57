#!/usr/bin/env bash
# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# Build the wheel, install it into an environment of its own, and use it there, away from the sources. PYTHON is the
# Python to do it with.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# from a copy: a build leaves a directory behind, whose old files the next wheel would have too
mkdir "$work/source"
git -C "$repository" ls-files -z -- autoflow config setup.cfg pyproject.toml README.md LICENSE \
    | tar -C "$repository" --null --files-from - -cf - | tar -C "$work/source" -xf -
"${PYTHON:-python3}" -m venv "$work/environment"
pip=("$work/environment/bin/python" -m pip --quiet --disable-pip-version-check)
build_and_install() {
    "${pip[@]}" wheel --no-deps --wheel-dir "$work" "$work/source"
    wheel=$(echo "$work"/flowkit_autoflow-*.whl)
    "${pip[@]}" install --no-compile --constraint "$repository/config/constraints.txt" "$wheel[demo]"
}
build_and_install >"$work/pip.log" 2>&1 || { tail -n 20 "$work/pip.log"; exit 1; }

cd "$work"
export PATH="$work/environment/bin:$PATH"
# whatever lies beside a module goes with it: templates, styles, Ruby, the map of the stand-in
python - "$wheel" "$work/source" <<'END'
import sys
import zipfile
from pathlib import Path

wheel, source = zipfile.ZipFile(sys.argv[1]), Path(sys.argv[2])
wanted = {path.relative_to(source).as_posix() for path in (source / "autoflow").rglob("*") if path.is_file()}
wanted |= {f"autoflow/config/{path.name}" for path in (source / "config").iterdir()}
if missing := wanted - set(wheel.namelist()):
    sys.exit(f"the wheel lacks {', '.join(sorted(missing))}")
END
autoflow --version
autoflow schema >schema.json
autoflow init inputs >/dev/null
sed -i 's/# output: {format: pdf}/output: {format: html}/' inputs/workflows.yml
autoflow demo-flowapi --port 0 --days 2 --token-file token >listens 2>&1 &
standin=$!
trap 'kill "$standin" 2>/dev/null; rm -rf "$work"' EXIT
timeout 30 sh -c 'until grep -q http listens; do sleep 0.1; done' || { cat listens; exit 1; }
FLOWAPI_URL=$(grep -o 'http://[0-9.:]*' listens)
FLOWAPI_TOKEN=$(cat token)
export FLOWAPI_URL FLOWAPI_TOKEN AUTOFLOW_INPUTS_DIR=inputs AUTOFLOW_OUTPUTS_DIR=outputs
autoflow check
autoflow --run-once 2>run.log || { cat run.log; exit 1; }
ls outputs/reports/*.html >/dev/null
echo "the wheel works: $(basename "$wheel"), $(($(stat -c %s "$wheel") / 1024)) kB"
