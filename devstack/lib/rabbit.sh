# RabbitMQ in wk-ctl: AMQP on the underlay only, Erlang's own ports on that namespace's loopback. Sourced by stack.sh.
# Users are made from a definitions file at boot: the command line tool takes seconds a call.
# shellcheck shell=bash
RABBIT=$S/rabbit
AS_RABBIT="nsenter --net=/run/netns/wk-ctl -- setpriv --reuid=rabbitmq --regid=rabbitmq --clear-groups --"

rabbit_env() { # what the broker and its tool must agree on
    cat <<E
export HOME=$RABBIT RABBITMQ_NODENAME=wolke@localhost ERL_EPMD_ADDRESS=127.0.0.1
export RABBITMQ_MNESIA_BASE=$RABBIT/mnesia RABBITMQ_LOG_BASE=$RABBIT/log RABBITMQ_LOGS=- RABBITMQ_PID_FILE=$RABBIT/pid
export RABBITMQ_CONFIG_FILE=$RABBIT/rabbitmq.conf RABBITMQ_ENABLED_PLUGINS_FILE=$RABBIT/enabled_plugins RABBITMQ_CONF_ENV_FILE=/dev/null
E
}

rabbit_service() {
    service epmd <<E
exec $AS_RABBIT epmd -address 127.0.0.1 -relaxed_command_check
E
    # RUNNING_UNDER_SYSTEMD: the virtual machine replaces the shell, so that a signal to the service is one to it
    service rabbit <<E
$(rabbit_env)
export RUNNING_UNDER_SYSTEMD=1
export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+S 2:2 +sbwt none +sbwtdcpu none +sbwtdio none -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}'
exec $AS_RABBIT /usr/lib/rabbitmq/bin/rabbitmq-server
E
}

rabbitmqctl() { (eval "$(rabbit_env)"; cd /; $AS_RABBIT /usr/lib/rabbitmq/bin/rabbitmqctl -q "$@"); }

rabbit_definitions() { # one user for the controllers, one a host
    local name
    for name in wolke "$@"; do echo "$name $(secret "rabbit-$name") $(cat "$(host_id_file "$name")" 2>/dev/null)"; done | /usr/bin/python3 "$DEVSTACK/lib/rabbit_definitions.py"
}

rabbit_users() { # rabbit_users HOST…: written again when a host is new, and told to a broker that runs already
    local host new=
    [ -s "$RABBIT/definitions.json" ] || new=1
    for host in "$@"; do [ -s "$S/etc/secrets/rabbit-$host" ] || new=1; done
    [ $new ] || return 0
    rabbit_definitions "$@" | put "$RABBIT/definitions.json" 640
    chown rabbitmq:rabbitmq "$RABBIT/definitions.json"
    [ ! -e "$RABBIT/started" ] || rabbitmqctl import_definitions "$RABBIT/definitions.json"
}

rabbit() { # rabbit HOST…
    install -d -o rabbitmq -g rabbitmq -m 750 "$RABBIT" "$RABBIT/log" "$RABBIT/mnesia"
    rabbit_users "$@"
    put "$RABBIT/rabbitmq.conf" <<E
listeners.tcp.default = $CTL_IP:5672
load_definitions = $RABBIT/definitions.json
log.console = true
log.console.level = warning
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 100MB
heartbeat = 20
E
    echo '[].' | put "$RABBIT/enabled_plugins"
    up epmd rabbit
    until_ok 300 rabbit_answers
    : >"$RABBIT/started"
}

# AMQP's own greeting: the port alone is open before the broker answers.
rabbit_answers() {
    # shellcheck disable=SC2016
    in_ctl timeout 10 bash -c 'exec 3<>/dev/tcp/$0/5672; printf "AMQP\0\0\11\1" >&3; head -c 1 <&3 | od -An -tx1 | grep -q 01' $CTL_IP
}
