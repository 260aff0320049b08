# Network namespaces and what joins them. Sourced by stack.sh.
#   wk-fab  bridges: brund (underlay), brext (external)      wk-ctl  controllers and engines
#   wk-hvN  hypervisors                                       wk-out  the outside, on the external network
# The machine's own namespace gets no address and no route.
# shellcheck shell=bash

namespace() { # namespace NAME: IPv6 off, loopback up
    [ -e "/run/netns/$1" ] || ip netns add "$1"
    ip netns exec "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1
    ip -n "$1" link set lo up
}

plug() { # plug NAMESPACE DEVICE BRIDGE MTU
    local peer=${1#wk-}-$2
    ip -n "$1" link show "$2" >/dev/null 2>&1 || ip link add "$2" netns "$1" mtu "$4" type veth peer name "$peer" netns wk-fab
    ip -n wk-fab link set "$peer" mtu "$4" master "$3" up
    # checksums are left to hardware that a userspace switch does not have
    ip netns exec "$1" ethtool -K "$2" tx off >/dev/null; ip netns exec wk-fab ethtool -K "$peer" tx off >/dev/null
}

# A device that Open vSwitch reads by AF_PACKET still feeds the kernel's stack as well, where a tenant could reach
# the host: dropped there, after the switch had its copy.
fence() { # fence NAMESPACE DEVICE
    ip netns exec "$1" nft -f - <<N
add table netdev wolke
add chain netdev wolke $2 { type filter hook ingress device "$2" priority 0; policy drop; }
N
}

address() { ip -n "$1" addr replace "$3" dev "$2"; ip -n "$1" link set "$2" up; }

fabric() {
    local bridge
    namespace wk-fab; namespace wk-ctl; namespace wk-out
    for bridge in brund brext; do
        ip -n wk-fab link show $bridge >/dev/null 2>&1 || ip -n wk-fab link add $bridge type bridge mcast_snooping 0
        ip -n wk-fab link set $bridge up
    done
    ip netns exec wk-fab sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true
    plug wk-ctl eth0 brund $UNDERLAY_MTU; address wk-ctl eth0 $CTL_IP/24
    plug wk-out eth0 brext 1500; address wk-out eth0 $OUT_IP/24
}

host_network() { # host_network hvN: Open vSwitch takes both devices; the address goes on br-phy (ovs.sh)
    local ns=wk-$1
    namespace "$ns"
    plug "$ns" eth0 brund $UNDERLAY_MTU; plug "$ns" eth1 brext 1500
    fence "$ns" eth0; fence "$ns" eth1
    ip -n "$ns" link set eth0 up; ip -n "$ns" link set eth1 up
}
