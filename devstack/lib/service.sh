# Supervision: every process that stays runs in the foreground under runit, so that a SIGKILL is repaired at once.
# Sourced by stack.sh and by lib/*.sh.
# shellcheck shell=bash

# service NAME <<COMMANDS: define a service; standard input is the end of its run script. It stays down until `up`.
service() {
    local d=$S/sv/$1
    mkdir -p "$d"
    { printf '#!/bin/bash\nexec </dev/null >>%q 2>&1\ncd /\n' "$LOG/$1.log"; cat; } | put "$d/run" 755
    [ -e "$S/service/$1" ] || { : >"$d/down"; ln -s "$d" "$S/service/$1"; }
}

# stop_signal NAME SIGNAL: what `down` sends instead of TERM.
stop_signal() {
    mkdir -p "$S/sv/$1/control"
    printf '#!/bin/sh\nkill -%s "$(cat %q)"\n' "$2" "$S/sv/$1/supervise/pid" | put "$S/sv/$1/control/t" 755
}

# up NAME…: start services, and from now on at every start of the supervisor; one whose script changed is restarted.
up() {
    local name
    for name in "$@"; do
        rm -f "$S/sv/$name/down"
        until_ok 120 env SVDIR="$S/service" sv up "$name"   # a supervisor that has just started takes a moment
        [ "$S/sv/$name/.started" -nt "$S/sv/$name/run" ] || { [ ! -e "$S/sv/$name/.started" ] || SVDIR=$S/service sv -w 30 force-restart "$name"; }
        : >"$S/sv/$name/.started"
    done
}
# reads NAME FILE…: a service that started before one of its files was written is restarted by the next `up`.
reads() {
    local name=$1 file; shift
    for file in "$@"; do [ "$file" -ot "$S/sv/$name/.started" ] || touch "$S/sv/$name/run"; done
}

supervisor() {
    local pid
    pid=$(cat "$S/service/.pid" 2>/dev/null || true)
    [ -n "$pid" ] && grep -qsz '^runsvdir$' "/proc/$pid/cmdline" && return 0
    # in the stack's own control group, in a session of its own: it outlives this shell
    ( group_join ctl
      exec setsid env -i PATH="$PATH" LC_ALL="$LC_ALL" HOME=/root WOLKE_STATE="$S" WOLKE_CACHE="$WOLKE_CACHE" WOLKE_VENV="$WOLKE_VENV" runsvdir -P "$S/service" ) </dev/null >"$LOG/runsvdir.log" 2>&1 9>&- &
    echo $! >"$S/service/.pid"
}
