#!/usr/bin/env bash
# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# Boot a real systemd in a container, install AutoFlow there as docs/how-to/systemd.md says, and put its unit to the test.
#
#   tests/deployment/systemd.sh [--install] [--keep DIR]
#
#   --install   install what is missing with apt
#   --keep DIR  keep the root file system in DIR, and use what is there already
#
# Exit: 0 all checks passed, 1 one did not, 77 skipped, saying why.
set -uo pipefail

REPOSITORY=$(cd "$(dirname "$0")/../.." && pwd)
CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
INSTALL=
KEEP=

while [ $# -gt 0 ]; do
    case $1 in
        --install) INSTALL=true ;;
        --keep) KEEP=$2; shift ;;
        *) echo "usage: $0 [--install] [--keep DIR]" >&2; exit 2 ;;
    esac
    shift
done

skip() {
    echo "SKIPPED tests/deployment/systemd.sh: $*"
    exit 77
}

[ "$(id -u)" = 0 ] || skip "booting a systemd takes root"
if ! command -v mmdebstrap >/dev/null || ! command -v systemd-nspawn >/dev/null; then
    [ "$INSTALL" = true ] || skip "mmdebstrap and systemd-container are not installed (--install installs them)"
    { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes mmdebstrap systemd-container; } \
        >/dev/null 2>&1 || skip "mmdebstrap and systemd-container cannot be installed"
fi
sources=$(find /etc/apt -name 'debian.sources' -o -name 'sources.list' -size +0 | head -n 1)
[ -n "$sources" ] || skip "apt has no sources here"

work=${KEEP:-$(mktemp -d)}
mkdir -p "$work"
[ -n "$KEEP" ] || trap 'rm -rf "$work"' EXIT
root=$work/root

if [ ! -e "$work/base.tar" ]; then
    echo "making a Debian ..."
    mmdebstrap --variant=apt --mode=root \
        --include=python3,python3-venv,ca-certificates,systemd,systemd-sysv,dbus,procps,ruby-asciidoctor-pdf \
        bookworm "$work/base.tar" "$sources" >"$work/base.log" 2>&1 \
        || skip "no Debian could be made: $(tail -n 1 "$work/base.log")"
fi
if [ ! -e "$root/opt/autoflow/.libraries" ]; then
    rm -rf "$root"
    mkdir -p "$root"
    tar -xf "$work/base.tar" -C "$root"
fi

echo "installing AutoFlow ..."
rm -rf "$root/usr/src/autoflow"
mkdir -p "$root/usr/src/autoflow"
git -C "$REPOSITORY" ls-files -z | tar -C "$REPOSITORY" --null --files-from - -cf - | tar -C "$root/usr/src/autoflow" -xf -
[ ! -e "$CA_BUNDLE" ] || cp "$CA_BUNDLE" "$root/etc/ssl/certs/ca-certificates.crt"
cp /etc/resolv.conf "$root/etc/resolv.conf"
# shellcheck disable=SC2016  # for the shell inside
unshare --mount --propagation private chroot "$root" env PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -euc '
    [ -e /opt/autoflow/bin/pip ] || python3 -m venv /opt/autoflow
    /opt/autoflow/bin/pip install --quiet "/usr/src/autoflow[examples]"
    touch /opt/autoflow/.libraries
' >"$work/pip.log" 2>&1 || { tail -n 20 "$work/pip.log"; echo "0 passed, 1 failed"; exit 1; }

# as docs/how-to/systemd.md says, and the check itself as a unit that ends the machine
install -D -m 0644 "$REPOSITORY/config/autoflow.service" "$root/etc/systemd/system/autoflow.service"
install -D -m 0644 "$REPOSITORY/tests/deployment/systemd/selftest.service" "$root/etc/systemd/system/selftest.service"
install -D -m 0644 "$REPOSITORY/tests/deployment/systemd/flowapi.service" "$root/etc/systemd/system/flowapi.service"

echo "booting ..."
rm -f "$work/results"
touch "$work/results"
export REPOSITORY root work
# a control group of its own, outside of which nothing is touched
timeout -k 10 600 unshare --mount --propagation private bash -c '
    mount -t cgroup2 none /sys/fs/cgroup || exit 77
    # nspawn removes its own directory only where that is no disk
    mkdir -p /run/systemd/nspawn && mount -t tmpfs none /run/systemd/nspawn || exit 77
    group=/sys/fs/cgroup/autoflow-test-$$
    mkdir "$group" && echo $$ >"$group/cgroup.procs"
    SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1 systemd-nspawn --quiet --directory="$root" --volatile=overlay --boot \
        --register=no --keep-unit --settings=no --private-network --link-journal=no --console=pipe \
        --bind="$work/results":/results systemd.unit=selftest.service </dev/null >"$work/boot.log" 2>&1
    code=$?
    echo $$ >/sys/fs/cgroup/cgroup.procs
    # with what systemd made below it
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null
    exit $code
'
code=$?
cat "$work/results"
if ! tail -n 1 "$work/results" | grep -q ' passed, 0 failed$'; then
    echo "--- the end of the boot's log (exit code $code)"
    tail -n 40 "$work/boot.log"
    exit 1
fi
