#!/bin/bash
# host-exec.sh hvN COMMAND…: run a command on a host, in all its namespaces and its control group.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"
. "$DEVSTACK/lib/cgroup.sh"
host=${1:?a host, as hv1}; shift
[ "$(stat -f -c %T "$S/ns/$host.mnt" 2>/dev/null)" = nsfs ] || die "$host is not up: run devstack/stack.sh"
group_join "$host"
exec nsenter --mount="$S/ns/$host.mnt" --uts="$S/ns/$host.uts" --cgroup="$S/ns/$host.cgroup" --net="/run/netns/wk-$host" -- "${@:-bash}"
