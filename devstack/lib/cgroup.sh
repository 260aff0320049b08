# Control groups: `wolke/ctl` holds the supervisor and all it starts, `wolke/hvN` a host and its guests, so that unstack
# finds every process whatever became of its parents. Version 1 (one tree a controller) and version 2.
# shellcheck shell=bash
CG=/sys/fs/cgroup CG_V1="cpu cpuacct cpuset memory devices freezer blkio pids"
if [ -e $CG/cgroup.controllers ]; then CG_V2=1; else CG_V2=; fi

group_trees() {
    local c
    if [ $CG_V2 ]; then echo $CG; else for c in $CG_V1; do [ ! -d $CG/"$c" ] || echo $CG/"$c"; done; fi
}

group_make() { # group_make NAME
    local tree dir f
    for tree in $(group_trees); do
        mkdir -p "$tree/wolke/$1"
        if [ $CG_V2 ]; then
            # version 2: a group with processes cannot hand controllers down, so a host's daemons sit one level lower
            mkdir -p "$tree/wolke/$1/daemons"
            for dir in "$tree" "$tree/wolke" "$tree/wolke/$1"; do
                for f in cpu cpuset io memory pids; do echo "+$f" >"$dir/cgroup.subtree_control" || true; done
            done
        elif [ "${tree##*/}" = cpuset ]; then
            for dir in "$tree/wolke" "$tree/wolke/$1"; do
                for f in cpus mems; do [ -n "$(cat "$dir/cpuset.$f")" ] || cat "$(dirname "$dir")/cpuset.$f" >"$dir/cpuset.$f"; done
            done
        fi
    done
}

group_join() { # group_join NAME [inner]: this shell and what it starts; `inner` for daemons (see group_make)
    local tree
    for tree in $(group_trees); do
        if [ $CG_V2 ]; then echo $BASHPID >"$tree/wolke/$1/${2-daemons}/cgroup.procs"; else echo $BASHPID >"$tree/wolke/$1/cgroup.procs"; fi
    done
}

group_pids() {
    local tree
    for tree in $(group_trees); do
        [ ! -d "$tree/wolke" ] || find "$tree/wolke" -name cgroup.procs -exec cat {} + 2>/dev/null || true   # a guest's group may go meanwhile
    done | sort -un
}

# A group whose last process is still on its way out is busy for a moment.
group_tree_gone() { [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +; }

group_remove() {
    local tree
    for tree in $(group_trees); do
        [ ! -d "$tree/wolke" ] || until_ok 60 group_tree_gone "$tree/wolke"
    done
}
