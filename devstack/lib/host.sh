# A hypervisor: private network, mount, UTS and cgroup namespaces, its own libvirtd. Sourced by stack.sh.
# The namespaces are held by files under $S/ns, not by a process that could be killed.
#   $S/hosts/hvN/{run,etc,lib,log,cache,ceph,ovs,wolke}: the host's /run, /etc/libvirt, /var/lib/libvirt, …
# shellcheck shell=bash

# Who the agent will say it is: chosen here, as the host's rights on the bus name it.
host_id_file() { echo "$S/hosts/$1/wolke/agent/host-id"; }

host_files() { # host_files hvN
    local h=$S/hosts/$1
    mkdir -p "$h"/{run/libvirt,run/lock,run/netns,etc,lib/images,lib/qemu,lib/boot,log,cache,dev,ceph,ovs,wolke/agent}
    chmod 700 "$h/wolke/agent"
    [ -s "$(host_id_file "$1")" ] || put "$(host_id_file "$1")" 600 </proc/sys/kernel/random/uuid
    [ -s "$h/chassis" ] || cat /proc/sys/kernel/random/uuid >"$h/chassis"
    [ -e "$h/etc/libvirt.conf" ] || cp -a /etc/libvirt/. "$h/etc/"
    rm -rf "$h/etc/qemu/networks" "$h/etc/nwfilter"
    # without dmidecode libvirt cannot tell hosts apart by itself
    put "$h/etc/libvirtd.conf" <<E
host_uuid = "$(cat "$h/chassis")"
unix_sock_rw_perms = "0770"
auth_unix_rw = "none"
auth_unix_ro = "none"
listen_tls = 0
listen_tcp = 0
log_outputs = "2:stderr"
max_clients = 100
E
    put "$h/etc/qemu.conf" <<E
user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
stdio_handler = "file"
migration_host = "$(host_ip "$1")"
E
    printf '127.0.0.1 localhost\n%s %s\n%s controller\n' "$(host_ip "$1")" "$1" $CTL_IP | put "$h/run/hosts"
    # libvirt's probe of QEMU takes seconds; it checks by itself whether what is kept still holds
    [ ! -d "$WOLKE_CACHE/libvirt-qemu" ] || [ -d "$h/cache/qemu" ] || cp -a "$WOLKE_CACHE/libvirt-qemu" "$h/cache/qemu"
}

host_namespaces() { # host_namespaces hvN
    local ns=$S/ns/$1 keep_kvm=
    [ "$(stat -f -c %T "$ns.mnt" 2>/dev/null)" != nsfs ] || return 0
    [ "$(virt_type_kept)" != kvm ] || keep_kvm=1
    group_make "$1"
    touch "$ns.mnt" "$ns.uts" "$ns.cgroup"
    # Kernels from 6.18 on number namespaces by processor and refuse to hold one whose number is below their own, taking it
    # for a loop: inside another mount namespace only some processor may do.
    local cpu
    for cpu in $(seq 0 $(($(nproc --all) - 1))); do
        ( group_join "$1" ""
          exec nsenter --net="/run/netns/wk-$1" -- taskset -c "$cpu" unshare --mount="$ns.mnt" --uts="$ns.uts" --cgroup="$ns.cgroup" -- \
              taskset -c "0-$(($(nproc --all) - 1))" env KEEP_KVM=$keep_kvm "$DEVSTACK/lib/host_mounts.sh" "$S/hosts/$1" "$1" ) && return 0
    done
    die "the namespaces of $1 could not be made"
}

libvirt_service() {
    service "$1-libvirtd" <<E
rm -f $S/hosts/$1/run/libvirtd.pid
exec $DEVSTACK/host-exec.sh $1 /usr/sbin/libvirtd -p /run/libvirtd.pid
E
}

host_virsh() { local host=$1; shift; virsh -q -c "qemu+unix:///system?socket=$S/hosts/$host/run/libvirt/libvirt-sock" "$@"; }

libvirt_host() { # libvirt_host hvN
    up "$1-libvirtd"
    until_ok 300 host_virsh "$1" version
    [ -d "$WOLKE_CACHE/libvirt-qemu" ] || { host_virsh "$1" domcapabilities --virttype "$(virt_type_kept)" >/dev/null
        cp -a "$S/hosts/$1/cache/qemu" "$WOLKE_CACHE/libvirt-qemu.$1" && mv -T "$WOLKE_CACHE/libvirt-qemu.$1" "$WOLKE_CACHE/libvirt-qemu" || rm -rf "$WOLKE_CACHE/libvirt-qemu.$1"; }
}
