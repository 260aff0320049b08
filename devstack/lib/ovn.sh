# OVN: the central databases and northd in wk-ctl, Open vSwitch and ovn-controller in each host. Sourced by stack.sh.
# The userspace datapath (netdev) needs no kernel module; in production the same model runs on the kernel's.
# shellcheck shell=bash
OVN=$S/ovn
nb() { ovn-nbctl --timeout=60 --db="unix:$OVN/nb.sock" "$@"; }
sb() { ovn-sbctl --timeout=60 --db="unix:$OVN/sb.sock" "$@"; }
host_vsctl() { local host=$1; shift; ovs-vsctl --timeout=60 --db="unix:$S/hosts/$host/run/openvswitch/db.sock" "$@"; }

ovn_services() {
    local logs="-vconsole:info -vsyslog:off -vfile:off" db
    local -A more=([nb]='' [sb]="--remote=ptcp:6642:$CTL_IP")   # hosts read and write the southbound one, none the northbound one
    for db in nb sb; do
        service "ovn-$db" <<E
exec nsenter --net=/run/netns/wk-ctl -- ovsdb-server $OVN/$db.db --remote=punix:$OVN/$db.sock ${more[$db]} --unixctl=$OVN/$db.ctl $logs
E
    done
    service ovn-northd <<E
exec nsenter --net=/run/netns/wk-ctl -- ovn-northd --ovnnb-db=unix:$OVN/nb.sock --ovnsb-db=unix:$OVN/sb.sock --unixctl=$OVN/northd.ctl $logs
E
}

ovn_central() {
    local db
    mkdir -p "$OVN"
    for db in nb sb; do
        [ -s "$OVN/$db.db" ] || { rm -f "$OVN/$db.new"; ovsdb-tool create "$OVN/$db.new" "/usr/share/ovn/ovn-$db.ovsschema"; mv "$OVN/$db.new" "$OVN/$db.db"; }
    done
    up ovn-nb ovn-sb ovn-northd
    until_ok 120 nb show
    until_ok 120 sb show
    # a gateway that fails is left after a second
    nb set NB_Global . options:bfd-min-rx=200 options:bfd-min-tx=200 options:bfd-mult=3
}

ovs_services() { # ovs_services hvN
    local h=$S/hosts/$1 inside="exec $DEVSTACK/host-exec.sh $1" logs="-vconsole:info -vsyslog:off -vfile:off" wait_db
    wait_db="until [ -S $h/run/openvswitch/db.sock ]; do sleep 0.1; done"
    service "$1-ovsdb" <<E
rm -f $h/run/openvswitch/db.sock $h/run/openvswitch/ovsdb-server.*.ctl
$inside ovsdb-server $h/ovs/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile $logs
E
    # the switch's internal ports live as long as its process: each start gives br-phy its address again
    service "$1-vswitchd" <<E
$wait_db
rm -f $h/run/openvswitch/ovs-vswitchd.*.ctl
$DEVSTACK/lib/underlay_address.sh wk-$1 $(host_ip "$1")/24 $UNDERLAY_MTU &
$inside ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile $logs
E
    service "$1-ovn-controller" <<E
$wait_db
rm -f $h/run/ovn/ovn-controller.*.ctl
$inside ovn-controller unix:/run/openvswitch/db.sock --pidfile $logs
E
}

ovs_configure() { # ovs_configure hvN: everything in one transaction, as ovn-controller must not see half of it
    local ip; ip=$(host_ip "$1")
    host_vsctl "$1" --no-wait init -- set open . "external-ids:system-id=$(cat "$S/hosts/$1/chassis")" \
        "external-ids:hostname=$1" "external-ids:ovn-remote=tcp:$CTL_IP:6642" external-ids:ovn-encap-type=geneve \
        "external-ids:ovn-encap-ip=$ip" external-ids:ovn-bridge-datapath-type=netdev external-ids:ovn-bridge-mappings=ext:br-ex \
        external-ids:ovn-monitor-all=false \
        -- --may-exist add-br br-phy -- set bridge br-phy datapath_type=netdev fail_mode=standalone -- --may-exist add-port br-phy eth0 \
        -- --may-exist add-br br-ex -- set bridge br-ex datapath_type=netdev fail_mode=standalone -- --may-exist add-port br-ex eth1
}

ovs_host() { # ovs_host hvN
    local d=$S/hosts/$1/ovs
    mkdir -p "$d" "$S/hosts/$1/run/openvswitch" "$S/hosts/$1/run/ovn"
    [ -s "$d/conf.db" ] || { rm -f "$d/new"; ovsdb-tool create "$d/new" /usr/share/openvswitch/vswitch.ovsschema; mv "$d/new" "$d/conf.db"; }
    up "$1-ovsdb"
    until_ok 120 host_vsctl "$1" --no-wait show
    ovs_configure "$1"
    up "$1-vswitchd" "$1-ovn-controller"
    until_ok 180 in_host_net "$1" ping -c1 -W1 $CTL_IP
}
in_host_net() { local host=$1; shift; nsenter --net="/run/netns/wk-$host" -- "$@"; }

chassis_known() { [ "$(sb --bare --columns=name find chassis "name=$(cat "$S/hosts/$1/chassis")")" ]; }
