#!/usr/bin/env bash
# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# Cut the network between AutoFlow and a worker: both are in network namespaces, joined by a cable that can be pulled.
#
#   tests/deployment/workers.sh
#
# Needs an environment of `make test` in .venv. Exit: 0 all checks passed, 1 one did not, 77 skipped, saying why.
set -uo pipefail

cd "$(dirname "$0")/../.." || exit 1

skip() {
    echo "SKIPPED tests/deployment/workers.sh: $*"
    exit 77
}

[ "$(id -u)" = 0 ] || skip "network namespaces take root"
command -v ip >/dev/null || skip "iproute2 is not installed"
[ -x .venv/bin/python ] || skip "there is no environment; \`make test\` makes one"
ip netns add autoflow-here 2>/dev/null || skip "no network namespace can be made here"
trap 'ip netns del autoflow-here; ip netns del autoflow-there' EXIT
ip netns add autoflow-there
ip link add here netns autoflow-here type veth peer name there netns autoflow-there
for end in here there; do
    ip -n "autoflow-$end" link set lo up
    ip -n "autoflow-$end" link set "$end" up
done
ip -n autoflow-here addr add 10.77.0.1/24 dev here
ip -n autoflow-there addr add 10.77.0.2/24 dev there

ip netns exec autoflow-here .venv/bin/python -m tests.deployment.cuts
