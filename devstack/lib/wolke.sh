# Wolke's own processes: configuration, migrations, services, the enrolment of hosts. Sourced by stack.sh.
# shellcheck shell=bash
ETC=$S/etc
export OS_CLIENT_CONFIG_FILE=$DEVSTACK/clouds.yaml
manage() { in_ctl "$WOLKE_VENV/bin/wolke-manage" --config-file "$ETC/wolke.conf" --config-file "$ETC/wolke-manage.conf" "$@"; }
sql_url() { echo "postgresql+psycopg://$1@/wolke?host=$S/pg"; }
rabbit_url() { echo "rabbit://$1:$(secret "rabbit-$1")@$CTL_IP:5672/"; }

wolke_conf() { # one file for all controllers' processes, and one each with its role in the database
    local name role port
    put "$ETC/wolke.conf" 600 <<E
[DEFAULT]
host = controller
state_path = $S/controller
transport_url = $(rabbit_url wolke)
[oslo_messaging_rabbit]
use_queue_manager = true
hostname = controller
[oslo_concurrency]
lock_path = $S/controller/locks
[ceph]
conf = $ETC/ceph/ceph.conf
user = wolke
[ovn]
northbound = unix:$OVN/nb.sock
southbound = unix:$OVN/sb.sock
underlay_mtu = $((UNDERLAY_MTU - 42))
physical_networks = ext:1500
E
    mkdir -p "$S/controller"
    # metrics are on 127.0.0.1 of wk-ctl; the APIs serve theirs on their own ports
    while read -r name role port; do
        put "$ETC/wolke-$name.conf" 600 <<C
[database]
connection = $(sql_url "$role")
[oslo_messaging_rabbit]
processname = wolke-$name
[api]
metrics_port = $port
C
    done <<E
identity wolke_identity 0
api wolke_api 0
worker wolke_worker 9401
ovn wolke_ovn 9402
E
    printf '[database]\nconnection = %s\nowner_connection = %s\n' "$(sql_url wolke_owner)" "$(sql_url wolke_owner)" | put "$ETC/wolke-manage.conf" 600
}

wolke_host_conf() { # wolke_host_conf hvN
    put "$S/hosts/$1/wolke/wolke.conf" 600 <<E
[DEFAULT]
host = $1
state_path = $S/hosts/$1/wolke
transport_url = $(rabbit_url "$1")
[oslo_messaging_rabbit]
use_queue_manager = true
hostname = $1
processname = wolke-agent
[oslo_concurrency]
lock_path = $S/hosts/$1/wolke/locks
[ceph]
conf = /etc/ceph/ceph.conf
user = $1
[agent]
address = $(host_ip "$1")
virt_type = $(virt_type_kept)
E
}

# The API's sockets belong to the machine's own namespace, the processes behind them to the controllers'.
wolke_services() { # wolke_services hvN…
    local ctl="nsenter --net=/run/netns/wk-ctl --" bin=$WOLKE_VENV/bin conf="--config-file $ETC/wolke.conf --config-file" host name
    service wolke-identity <<E
exec chpst -P $DEVSTACK/listen.py identity:5000 -- $ctl $bin/wolke-api $conf $ETC/wolke-identity.conf identity
E
    service wolke-api <<E
exec chpst -P $DEVSTACK/listen.py image:9292 volume:8776 network:9696 compute:8774 -- \\
    $ctl $bin/wolke-api $conf $ETC/wolke-api.conf image volume network compute
E
    for name in worker ovn; do
        service "wolke-$name" <<E
exec chpst -P $ctl $bin/wolke-$name $conf $ETC/wolke-$name.conf
E
    done
    for host in "$@"; do
        for name in agent metadata; do
            service "$host-$name" <<E
exec chpst -P $DEVSTACK/host-exec.sh $host $bin/wolke-$name --config-file $S/hosts/$host/wolke/wolke.conf
E
        done
    done
}

wolke_migrations() { wolke_conf; manage db upgrade; }

wolke_identity() {
    [ ! -e "$ETC/bootstrapped" ] || return 0
    WOLKE_ADMIN_PASSWORD=secretadmin manage identity bootstrap --region RegionOne --public-url-base http://127.0.0.1
    : >"$ETC/bootstrapped"
}

answers() { curl -sf -o /dev/null --max-time 10 "http://127.0.0.1:$1/healthcheck"; }
wolke_apis() {
    local port name
    for name in identity api worker ovn; do reads "wolke-$name" "$ETC/wolke.conf" "$ETC/wolke-$name.conf"; done
    up wolke-identity wolke-api wolke-worker wolke-ovn
    (for port in 5000 8774 9696 8776 9292; do until_ok 300 answers $port; done) ||
        { tail -n 5 "$LOG/wolke-identity.log" "$LOG/wolke-api.log"; return 1; }
}

wolke_enrol() { # wolke_enrol hvN: the agent makes its key on the host; the operator tells the controllers
    local said id key name
    wolke_host_conf "$1"
    if [ ! -e "$S/hosts/$1/enrolled" ]; then
        said=$("$DEVSTACK/host-exec.sh" "$1" "$WOLKE_VENV/bin/wolke-agent" --config-file "$S/hosts/$1/wolke/wolke.conf" --generate-key)
        read -r id key <<<"${said//$'\n'/ }"
        manage host add "$1" --id "$id" --public-key "$key" --chassis "$(cat "$S/hosts/$1/chassis")"
        echo "$id" >"$S/hosts/$1/enrolled"
    fi
    for name in agent metadata; do reads "$1-$name" "$S/hosts/$1/wolke/wolke.conf"; done
    up "$1-agent" "$1-metadata"
}

wolke_resources() { "$PY" "$DEVSTACK/resources.py" resources --image "$WOLKE_CACHE/guest/guest.qcow2"; }
wolke_boot() { "$PY" "$DEVSTACK/resources.py" boot --hosts "$HOSTS" --reach "$S/reach.txt"; }

wolke_up() {
    local host chains=("try apis wolke_apis && try resources wolke_resources")
    for host in "$@"; do chains+=("try $host-agent wolke_enrol $host"); done
    together "${chains[@]}"
}
