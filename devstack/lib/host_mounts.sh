#!/bin/bash
# host_mounts.sh DIR NAME: run once inside a host's new namespaces; makes its private places. KEEP_KVM: leave /dev as it is.
set -euo pipefail
H=$1
hostname "$2"
mount --make-rprivate /
mount -t sysfs sysfs /sys   # the one of this network namespace: libvirt reads its devices there
if grep -q ' cgroup ' /proc/self/mountinfo || [ -n "$(awk -F: '$2=="pids"' /proc/self/cgroup)" ]; then
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    for c in cpu cpuacct cpuset memory devices freezer blkio pids; do
        mkdir /sys/fs/cgroup/$c; mount -t cgroup -o $c cgroup /sys/fs/cgroup/$c
    done
else
    mount -t cgroup2 cgroup /sys/fs/cgroup
fi
mount --bind "$H/run" /run
mkdir -p /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt /etc/ceph
mount --bind "$H/etc" /etc/libvirt; mount --bind "$H/lib" /var/lib/libvirt
mount --bind "$H/log" /var/log/libvirt; mount --bind "$H/cache" /var/cache/libvirt
mount --bind "$H/ceph" /etc/ceph; mount --bind /run/hosts /etc/hosts
[ -z "${KEEP_KVM:-}" ] || exit 0
# A private /dev without kvm: where the node opens but no guest runs, libvirt would probe QEMU anew at every start.
mount -t tmpfs -o mode=755 dev "$H/dev"
for n in null zero full random urandom tty; do : >"$H/dev/$n"; mount --bind /dev/$n "$H/dev/$n"; done
mkdir -p "$H"/dev/{pts,shm,net,mapper}
for n in net/tun userfaultfd loop-control vhost-net mapper/control; do
    [ ! -e /dev/$n ] || { : >"$H/dev/$n"; mount --bind /dev/$n "$H/dev/$n"; }
done
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$H/dev/pts"; mount -t tmpfs shm "$H/dev/shm"
ln -s pts/ptmx "$H/dev/ptmx"; ln -s /proc/self/fd "$H/dev/fd"
ln -s fd/0 "$H/dev/stdin"; ln -s fd/1 "$H/dev/stdout"; ln -s fd/2 "$H/dev/stderr"
mount --rbind "$H/dev" /dev
