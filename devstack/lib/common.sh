# Where things are, and how a step runs. Sourced by every script here.
# shellcheck shell=bash
WOLKE_STATE=${WOLKE_STATE:-/var/lib/wolke}
WOLKE_CACHE=${WOLKE_CACHE:-/var/cache/wolke}
WOLKE_VENV=${WOLKE_VENV:-$WOLKE_CACHE/venv}
S=$WOLKE_STATE
LOG=$S/log
DEVSTACK=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CHECKOUT=$(dirname "$DEVSTACK")
PY=$WOLKE_VENV/bin/python
export PATH=/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin:$PATH LC_ALL=C.UTF-8
unset CEPH_CONF CEPH_ARGS OVS_RUNDIR OVN_RUNDIR PYTHONPATH

# The address plan. Underlay: the controllers' node and one address a host, which is its geneve endpoint and the
# address that Ceph and RabbitMQ see. External: what `public` is wired to; .1 is the outside.
UNDERLAY=172.31.0 CTL_IP=172.31.0.10 OUT_IP=198.51.100.1 UNDERLAY_MTU=1600
host_ip() { echo "$UNDERLAY.$((10 + ${1#hv}))"; }

# The state folder is removed whole: it is ours, or new, or nobody touches it.
ours() { [ -e "$S/.devstack" ] || [ -z "$(ls -A "$S" 2>/dev/null)" ] || die "$S holds other things: set WOLKE_STATE to a folder of its own"; }

die() { echo "$*" >&2; exit 1; }
now() { echo "${EPOCHREALTIME/./}"; }
since() { printf '%d.%d s' $((($(now) - $1) / 1000000)) $((($(now) - $1) / 100000 % 10)); }

# step NAME FUNCTION [ARG…]: run it in a shell of its own, its output in a log, one line on the terminal.
step() {
    local name=$1 start rc=0 log=$LOG/step-$1.log; shift
    start=$(now)
    (set -euo pipefail; "$@") </dev/null >"$log" 2>&1 9>&- &
    wait $! || rc=$?
    if [ $rc = 0 ]; then printf '  %-14s ok      %s\n' "$name" "$(since "$start")"; return 0; fi
    printf '  %-14s FAILED  %s (exit %s), log: %s\n' "$name" "$(since "$start")" $rc "$log"
    tail -n 8 "$log" | sed 's/^/      | /'
    return 1
}

# together CHAIN…: run shell functions side by side; each is a chain of steps and stops at its first failure.
together() {
    local chain failed=0 pids=()
    for chain in "$@"; do (set -e; eval "$chain") & pids+=($!); done
    for chain in "${pids[@]}"; do wait "$chain" || failed=1; done
    [ $failed = 0 ] || die "a step failed: see above; a second run goes on from there"
}

# until_ok SECONDS COMMAND…: repeat a command until it succeeds, else say which never did.
until_ok() {
    local end=$(($(now) + $1 * 1000000)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now)" -lt $end ] || die "still failing after its time: $*"
        sleep 0.05
    done
}

# put FILE [MODE]: standard input becomes FILE, whole or not at all; it is left alone where it says the same.
put() {
    local new; new=$(mktemp "$1.XXXXXX"); cat >"$new"; chmod "${2:-644}" "$new"
    if cmp -s "$new" "$1"; then rm "$new"; else mv "$new" "$1"; fi
}

# secret NAME: a random word, made once.
secret() {
    local file=$S/etc/secrets/$1 new
    if [ ! -s "$file" ]; then
        new=$(mktemp "$file.XXXXXX"); openssl rand -hex 16 >"$new"
        ln "$new" "$file" 2>/dev/null || true; rm "$new"
    fi
    cat "$file"
}
in_ctl() { nsenter --net=/run/netns/wk-ctl -- "$@"; }
