#!/bin/bash
# stack.sh [OPTION]…: the whole cloud on this machine, as root. Idempotent.
#
#   --hosts N        hypervisors (default 2)
#   --prepare        only packages, virtual environment and guest image
#   --engines-only   stop before Wolke's own processes
#   --skip STEP      leave a step out, named as it is printed
#   --no-boot        do not boot a server at the end
# env: WOLKE_STATE (/var/lib/wolke), WOLKE_CACHE (/var/cache/wolke), WOLKE_VENV, WOLKE_OSDS, WOLKE_PG_DURABLE. See README.md.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"
for part in cgroup service packages netns postgres rabbit ceph ovn host wolke; do . "$DEVSTACK/lib/$part.sh"; done

HOSTS=2 PREPARE='' ENGINES_ONLY='' BOOT=1 SKIP=" "
while [ $# -gt 0 ]; do case $1 in
    --hosts) HOSTS=${2:?--hosts wants a number}; shift 2;;
    --prepare) PREPARE=1; shift;;
    --engines-only) ENGINES_ONLY=1; shift;;
    --no-boot) BOOT=''; shift;;
    --skip) SKIP="$SKIP${2:?--skip wants the name of a step} "; shift 2;;
    -h|--help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit;;
    *) die "unknown option $1 (--help lists them)";;
esac; done
[ "$(id -u)" = 0 ] || die "stack.sh must run as root"
[[ $HOSTS =~ ^[1-9][0-9]?$ ]] || die "--hosts $HOSTS: a number from 1 to 99 is wanted"
NAMES=$(seq -f 'hv%g' "$HOSTS")

ours; mkdir -p "$S"; touch "$S/.devstack"
mkdir -p "$S"/{log,service,sv,hosts,etc/secrets,ns} "$WOLKE_CACHE"; chmod 755 "$S"; chmod 700 "$S/etc/secrets"
exec 9>"$S/lock"; flock -n 9 || die "another stack.sh is at work on $S"
BEGIN=$(now)

try() { case $SKIP in *" $1 "*) printf '  %-14s skipped\n' "$1";; *) step "$@";; esac; }

define_services() {
    local host
    postgres_service; rabbit_service; ceph_services; ovn_services
    for host in $NAMES; do ovs_services "$host"; libvirt_service "$host"; done
    [ $ENGINES_ONLY ] || wolke_services $NAMES
}

# a mount namespace can only be held below a mount that is not shared with others
hold_place() { mountpoint -q "$S/ns" || { mount --bind "$S/ns" "$S/ns"; mount --make-private "$S/ns"; }; }
supervise() { hold_place; group_make ctl; define_services; supervisor; }
hosts_files() { local host; for host in $NAMES; do host_files "$host"; done; }

chain_sql() { try postgres postgres; [ $ENGINES_ONLY ] || { try migrations wolke_migrations; try identity wolke_identity; }; }
chain_bus() { try rabbit rabbit $NAMES; }
chain_ceph() { try ceph ceph_cluster; try ceph-clients ceph_clients $NAMES; }
chain_ovn() { try ovn ovn_central; }
host_up() { host_network "$1"; host_namespaces "$1"; ovs_host "$1"; }
chain_hosts() {
    local host pids=()
    try virt-type virt_type
    for host in $NAMES; do (try "$host" host_up "$host"; try "$host-libvirtd" libvirt_host "$host") & pids+=($!); done
    for host in "${pids[@]}"; do wait "$host"; done
}
chassis_registered() { local host; for host in $NAMES; do until_ok 300 chassis_known "$host"; done; }

echo "Wolke in $S"
try packages packages
together "try venv venv" "try guest-image guest_image"
[ ! $PREPARE ] || exit 0
try fabric fabric
try host-files hosts_files
try supervisor supervise
together chain_sql chain_bus chain_ceph chain_ovn chain_hosts
try chassis chassis_registered
if [ $ENGINES_ONLY ]; then echo "engines are up after $(since "$BEGIN")"; exit 0; fi
wolke_up $NAMES
[ ! $BOOT ] || try boot wolke_boot
echo "READY after $(since "$BEGIN")"
[ ! $BOOT ] || cat "$S/reach.txt"
