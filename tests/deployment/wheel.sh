#!/usr/bin/env bash
# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# Build the wheel, install it as docs/tutorial/first-date.md says into an environment of its own, and use it there, away
# from the sources. PYTHON is the Python to do it with; it needs pip.
set -euo pipefail
repository=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# from a copy: a build leaves a directory behind, whose old files the next wheel would have too
mkdir "$work/source"
git -C "$repository" ls-files -z -- autoflow config setup.cfg pyproject.toml README.md LICENSE \
    | tar -C "$repository" --null --files-from - -cf - | tar -C "$work/source" -xf -
python=$(command -v "${PYTHON:-python3}")
mkdir "$work/bin"
ln -s "$(realpath -s "$python")" "$work/bin/python3"
"$python" -m pip wheel --quiet --no-deps --wheel-dir "$work" "$work/source" >"$work/pip.log" 2>&1 \
    || { tail -n 20 "$work/pip.log"; exit 1; }
wheel=$(echo "$work"/flowkit_autoflow-*.whl)

cd "$work"
# the commands of the first block
sed -n '/^```console/,/^```/{s/^\$ //p; /^```$/q}' "$repository/docs/tutorial/first-date.md" >install.sh
grep -q 'pip install' install.sh
install_as_the_tutorial_says() {
    export HOME=$work PIP_FIND_LINKS=$work PIP_CONSTRAINT=$repository/config/constraints.txt PIP_NO_COMPILE=1 \
        PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=$work/bin:$PATH
    # shellcheck disable=SC1091
    . ./install.sh
}
install_as_the_tutorial_says >"$work/pip.log" 2>&1 || { tail -n 20 "$work/pip.log"; exit 1; }
tail -n 1 "$work/pip.log"
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
