# Debian's packages, the virtual environment, the guest image. Sourced by stack.sh.
# shellcheck shell=bash

packages_wanted() { grep -v '^#' "$DEVSTACK/packages.txt"; }

# Debian starts what it installs: a policy-rc.d that refuses keeps the machine's own PostgreSQL and RabbitMQ away.
packages() {
    local missing policy=/usr/sbin/policy-rc.d
    # shellcheck disable=SC2046
    missing=$(comm -23 <(packages_wanted | tr ' ' '\n' | sed '/^$/d' | sort -u) \
        <(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' | awk '$1=="ii"{print $2}' | sort -u))
    [ -n "$missing" ] || return 0
    echo "missing: $missing"
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' >$policy; chmod 755 $policy
        trap "rm -f $policy" EXIT
    fi
    mkdir -p /etc/postgresql-common/createcluster.d
    [ -d /etc/postgresql ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/wolke.conf
    export DEBIAN_FRONTEND=noninteractive
    # shellcheck disable=SC2086
    again apt_install $missing
}
apt_install() { # with the lists: an update that misses one still succeeds
    apt-get -q -o Acquire::Retries=5 update &&
        apt-get -q -y -o Acquire::Retries=5 -o DPkg::Lock::Timeout=300 --no-install-recommends install "$@"
}

# again COMMAND…: a mirror may fail once, and a new machine's own first update may hold apt's locks.
again() {
    local pause
    for pause in 5 20 60; do "$@" && return 0; sleep $pause; done
    "$@"
}

# The stamp names what an editable install depends on: its metadata, the checkout's place, the interpreter.
venv_stamp() { { cat "$CHECKOUT/setup.cfg"; echo "$CHECKOUT"; "$PY" -V; } | sha256sum | cut -d' ' -f1; }

venv() {
    [ -x "$PY" ] || /usr/bin/python3 -m venv "$WOLKE_VENV"
    if [ "$(cat "$WOLKE_VENV/.wolke-stamp" 2>/dev/null)" != "$(venv_stamp)" ] || [ ! -x "$WOLKE_VENV/bin/wolke-api" ]; then
        mkdir -p "$WOLKE_CACHE/wheels"
        # libvirt-python has no wheel to fetch: one is built and kept
        ls "$WOLKE_CACHE"/wheels/libvirt_python-*.whl >/dev/null 2>&1 || "$PY" -m pip -q show libvirt-python >/dev/null 2>&1 ||
            again "$PY" -m pip -q --retries 5 --timeout 30 wheel --no-deps -w "$WOLKE_CACHE/wheels" libvirt-python
        again "$PY" -m pip -q --retries 5 --timeout 30 install --find-links "$WOLKE_CACHE/wheels" -e "${CHECKOUT}[test]"
        venv_stamp >"$WOLKE_VENV/.wolke-stamp"
    fi
    venv_bindings
}

# rados and rbd are not on PyPI; Debian's files serve any CPython of the same version.
venv_bindings() {
    local suffix site module from
    suffix=$("$PY" -c 'import sysconfig; print(sysconfig.get_config_var("EXT_SUFFIX"))')
    site=$("$PY" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    for module in rados rbd; do
        from=/usr/lib/python3/dist-packages/$module$suffix
        [ -e "$from" ] || die "$from is missing: apt-get install python3-rados python3-rbd, and use Debian's CPython version"
        ln -sfn "$from" "$site/$module$suffix"
    done
}

guest_image() {
    local stamp dir=$WOLKE_CACHE/guest
    stamp=$(cat "$DEVSTACK/guest/build.sh" "$DEVSTACK"/guest/files/* | sha256sum | cut -d' ' -f1)
    [ -s "$dir/guest.qcow2" ] && [ "$(cat "$dir/stamp" 2>/dev/null)" = "$stamp" ] && return 0
    GUEST_USER=cirros GUEST_PASSWORD=gocubsgo "$DEVSTACK/guest/build.sh" -o "$dir"
    echo "$stamp" >"$dir/stamp"
}

# kvm or qemu: only a guest that really runs decides, as a node can open and its guests still hang. Kept per boot.
virt_type() {
    local verdict=qemu out kept=$WOLKE_CACHE/virt_type boot
    boot=$(cat /proc/sys/kernel/random/boot_id)
    if [ "$(awk '{print $1}' "$kept" 2>/dev/null)" != "$boot" ]; then
        out=$(mktemp)
        if [ -c /dev/kvm ]; then
            timeout -s KILL 5 qemu-system-x86_64 -accel kvm -m 96 -display none -nic none -no-reboot -serial "file:$out" \
                -kernel "$WOLKE_CACHE/guest/vmlinuz" -append 'console=ttyS0 panic=-1' || true
            # without a root file system the kernel panics and the machine ends: it got all the way
            grep -q 'Linux version' "$out" && grep -qi 'panic' "$out" && verdict=kvm
        fi
        rm -f "$out"
        echo "$boot $verdict" >"$kept"
    fi
    echo "guests run by $(awk '{print $2}' "$kept")"
}
virt_type_kept() { awk '{print $2}' "$WOLKE_CACHE/virt_type"; }
