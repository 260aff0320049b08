#!/bin/bash
# unstack.sh: end everything that stack.sh started and remove all it made but the caches.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"
. "$DEVSTACK/lib/cgroup.sh"
[ "$(id -u)" = 0 ] || die "unstack.sh must run as root"

# PostgreSQL gives its shared memory back only when it may stop by itself.
stop_postgres() { [ ! -e "$S/service/postgres" ] || SVDIR=$S/service sv -w 5 force-stop postgres >/dev/null || true; }

# Everything in our control groups, the supervisor first of all: nothing of it is wanted again.
end_processes() {
    local pids
    for _ in $(seq 600); do
        pids=$(group_pids); [ -n "$pids" ] || return 0
        # shellcheck disable=SC2086
        kill -KILL $pids 2>/dev/null || true
        sleep 0.1
    done
    die "still alive: $pids"
}

release_namespaces() {
    local name file
    for file in "$S"/ns/*.mnt "$S"/ns/*.uts "$S"/ns/*.cgroup; do [ ! -e "$file" ] || umount -l "$file" 2>/dev/null || true; done
    while mountpoint -q "$S/ns"; do umount -l "$S/ns"; done
    for name in $(ip netns list | awk '$1 ~ /^wk-(fab|ctl|out|hv[0-9]+)$/ {print $1}'); do ip netns del "$name"; done
}

ours
stop_postgres
end_processes
release_namespaces
group_remove
[ ! -d "$S" ] || find "$S" -mindepth 1 -maxdepth 1 ! -name .devstack -exec rm -rf --one-file-system {} +   # the mark goes last
rm -rf --one-file-system "$S"
rm -f /dev/shm/controller_wolke-*   # oslo.messaging counts its reply queues there
echo "nothing of $S is left; the caches stay in $WOLKE_CACHE"
