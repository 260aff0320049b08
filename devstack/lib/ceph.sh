# A small real Ceph cluster in wk-ctl, on the underlay address so that hypervisors reach it. Sourced by stack.sh.
# env, first run only: WOLKE_OSDS (1), WOLKE_OSD_GB (20, sparse). Its folder stays short: unix sockets hold 107 bytes.
# shellcheck shell=bash
CEPH=$S/ceph CEPH_PORT=16789 OSDS=${WOLKE_OSDS:-1} OSD_GB=${WOLKE_OSD_GB:-20} POOLS="images volumes vms"
ceph_ids() { find "$CEPH/osd" -name "*.uuid" -printf "%f\n" 2>/dev/null | sed "s/\.uuid$//" | sort -n || true; }

ceph_services() {
    local id osds; osds=$(ceph_ids)
    service ceph-mon <<<"exec nsenter --net=/run/netns/wk-ctl -- ceph-mon -f -i a -c $CEPH/ceph.conf"
    service ceph-mgr <<<"exec nsenter --net=/run/netns/wk-ctl -- ceph-mgr -f -i x -c $CEPH/ceph.conf"
    for id in ${osds:-$(seq 0 $((OSDS - 1)))}; do
        service "ceph-osd$id" <<<"exec nsenter --net=/run/netns/wk-ctl -- ceph-osd -f -i $id -c $CEPH/ceph.conf"
    done
}

ceph_conf() { # ceph_conf FSID
    local off
    off=$(cd /usr/share/ceph/mgr && printf '%s\n' */ | tr -d / | grep -vx rbd_support | paste -sd,)
    sed -e "s|@FSID@|$1|g; s|@ADDR@|$CTL_IP|g; s|@PORT@|$CEPH_PORT|g; s|@D@|$CEPH|g; s|@MGR_OFF@|$off|g" \
        -e "s|@OSD_PORT@|$((CEPH_PORT + 1))|g; s|@OSD_PORT_MAX@|$((CEPH_PORT + 99))|g" \
        -e "s|@SIZE@|$((OSDS >= 3 ? 2 : 1))|g; s|@OSD_BYTES@|$((OSD_GB * 1024 ** 3))|g" "$DEVSTACK/lib/ceph.conf.in"
}

# What an entity may do: `profile rbd` on our pools. Its mon part lets a client blocklist only the one whose lock it
# breaks; fencing a host means any client of its address, hence the command for the controllers.
ceph_caps() { # ceph_caps NAME
    local pool p=
    for pool in $POOLS; do p="$p${p:+, }profile rbd pool=$pool"; done
    case $1 in
        client.wolke) echo "mon=profile rbd, allow command \"osd blocklist\""; echo "osd=$p"; echo "mgr=$p";;
        client.*) echo "mon=profile rbd"; echo "osd=$p"; echo "mgr=$p";;
    esac
}

ceph_key() { ceph-authtool -c /dev/null --gen-print-key; }
ceph_ring() { printf '[%s]\n\tkey = %s\n' "$1" "$2"; }

ceph_mkfs() {
    [ ! -s "$CEPH/ceph.conf" ] || return 0
    local fsid conf=$CEPH/ceph.conf.new id key name pids=() seed=$CEPH/seed
    rm -rf "$CEPH"; mkdir -p "$CEPH"/{run,log,mon,mgr,osd}
    fsid=$(cat /proc/sys/kernel/random/uuid); ceph_conf "$fsid" >"$conf"
    umask 077; : >"$seed"
    cap() { printf '\tcaps %s = "allow %s"\n' "$1" "$2"; }
    for name in mon. client.admin mgr.x; do ceph_ring "$name" "$(ceph_key)" >"$CEPH/${name%.}.keyring"; done
    { cat "$CEPH/mon.keyring"; cap mon '*'
      cat "$CEPH/client.admin.keyring"; for id in mon osd mgr mds; do cap $id '*'; done
      cat "$CEPH/mgr.x.keyring"; cap mon 'profile mgr'; cap osd '*'; cap mds '*'
      for id in $(seq 0 $((OSDS - 1))); do
          key=$(ceph_key); mkdir "$CEPH/osd/$id"; ceph_ring "osd.$id" "$key" | tee "$CEPH/osd.$id.keyring"
          cap mon 'profile osd'; cap mgr 'profile osd'; cap osd '*'
          cat /proc/sys/kernel/random/uuid >"$CEPH/osd/$id.uuid"
      done; } >"$seed"
    monmaptool --create --clobber --fsid "$fsid" --addv a "[v2:$CTL_IP:$CEPH_PORT/0]" "$CEPH/monmap"
    ceph-mon --mkfs -i a -c "$conf" --monmap "$CEPH/monmap" --keyring "$seed" & pids+=($!)
    for id in $(seq 0 $((OSDS - 1))); do
        ceph-osd --mkfs -i "$id" -c "$conf" --no-mon-config --osd-uuid "$(cat "$CEPH/osd/$id.uuid")" --monmap "$CEPH/monmap" & pids+=($!)
    done
    for id in "${pids[@]}"; do wait "$id"; done
    rm "$seed"; mv "$conf" "$CEPH/ceph.conf"
}

# A client's folder: its own ceph.conf and its own key, nothing of the cluster's.
ceph_client() { # ceph_client NAME DIR SEEN_AS: the folder is called SEEN_AS where its user runs
    local caps=(); mapfile -t caps < <(ceph_caps "client.$1")
    mkdir -p "$2"
    put "$2/ceph.conf" <<E
[global]
mon host = [v2:$CTL_IP:$CEPH_PORT/0]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
ms bind msgr1 = false
rbd default features = 61
rbd default clone format = 2
[client]
keyring = $3/ceph.client.$1.keyring
log file = /dev/null
admin socket =
E
    in_ctl /usr/bin/python3 "$DEVSTACK/lib/ceph_cluster.py" "$CEPH/ceph.conf" user "client.$1" "${caps[@]}" | (umask 077; put "$2/ceph.client.$1.keyring" 600)
}

ceph_cluster() {
    local id daemons=()
    ceph_mkfs
    up ceph-mon
    in_ctl /usr/bin/python3 "$DEVSTACK/lib/ceph_cluster.py" "$CEPH/ceph.conf" osds "$CEPH/osd"
    for id in $(ceph_ids); do daemons+=("ceph-osd$id"); done
    up ceph-mgr "${daemons[@]}"
    # shellcheck disable=SC2086
    in_ctl /usr/bin/python3 "$DEVSTACK/lib/ceph_cluster.py" "$CEPH/ceph.conf" ready $POOLS
}

ceph_clients() { # ceph_clients HOST…
    local host
    ceph_client wolke "$S/etc/ceph" "$S/etc/ceph"
    for host in "$@"; do ceph_client "$host" "$S/hosts/$host/ceph" /etc/ceph; done
}
