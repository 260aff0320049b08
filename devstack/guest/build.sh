#!/bin/bash
# build.sh [-o OUTDIR] [--with-agent]: the embedded test guest, a whole disk made from Debian packages.
#
# Makes in OUTDIR (default ./guest-image):
#   guest.raw      SYSLINUX (BIOS) and GRUB (UEFI) on one FAT partition, ext4 root as the last one
#   guest.qcow2    the same, compressed: the file to publish
#   vmlinuz, initrd.img   for direct kernel boot
#
# No loop device, no mount, no chroot: mkfs.ext4 -d fills the root file system, mtools and syslinux write the
# FAT image as a file. The kernel's package is unpacked, never installed: the machine's own boot stays as it is.
# env: GUEST_USER, GUEST_PASSWORD (console log-in), DISK_MB, GUEST_DEBUG (kernel command line instead of `quiet`).
set -euo pipefail

HERE=$(cd "$(dirname "$0")" && pwd)
OUT=./guest-image AGENT=0 DISK_MB=${DISK_MB:-48} BOOT_MB=18
USER_NAME=${GUEST_USER:-guest} USER_PASS=${GUEST_PASSWORD:-openguest}
args=("$@")
while [ $# -gt 0 ]; do case $1 in
    -o) OUT=$2; shift 2;;
    -q|--with-agent) AGENT=1; shift;;
    -h|--help) sed -n '2,12s/^# \{0,1\}//p' "$0"; exit;;
    *) echo "unknown option $1" >&2; exit 2;;
esac; done
if [ "$(id -u)" != 0 ]; then exec unshare -r -- "$0" "${args[@]}"; fi
export PATH=$PATH:/sbin:/usr/sbin LC_ALL=C SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
export E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH
umask 022
mkdir -p "$OUT"; OUT=$(cd "$OUT" && pwd)
W=$(mktemp -d "${TMPDIR:-/tmp}/build-guest.XXXXXX"); trap 'rm -rf "$W"' EXIT
R=$W/root I=$W/initrd

fetch() { # fetch PACKAGE DIR: unpack a package without installing it
    (cd "$W" && apt-get -qq -o APT::Sandbox::User=root -o Acquire::Retries=5 download "$1" >/dev/null && dpkg-deb -x "$1"_*.deb "$2")
}
put() { install -D -m"$1" "$HERE/files/$2" "$3"; }   # put MODE NAME TARGET

# --------------------------------------------------------------------- kernel
K=$W/kernel
fetch "$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image/{print $2; exit}')" "$K"
KVER=$(ls "$K/lib/modules"); MODULES=$K/lib/modules/$KVER
depmod -b "$K" "$KVER"
echo "kernel $KVER"

# ------------------------------------------------------------------ root tree
mkdir -p "$R"/{bin,sbin,usr/bin,usr/sbin,etc/acpi/PWRF,etc/dropbear,lib/x86_64-linux-gnu,lib64} \
    "$R"/{proc,sys,dev,run,tmp,mnt,boot,root/.ssh,home/$USER_NAME/.ssh,var/log,var/lib/guest-init,lib/modules}
chmod 1777 "$R/tmp"; chmod 700 "$R/root" "$R"/root/.ssh "$R"/home/$USER_NAME/.ssh
ln -s /run "$R/var/run"

BB=/bin/busybox; install -m755 "$BB" "$R/bin/busybox"
install -m4755 "$BB" "$R/bin/su"                      # the one set-uid applet
for a in $("$BB" --list-full); do
    case $a in bin/su|bin/busybox|usr/bin/\[*|*/dpkg*|*/rpm*) continue;; esac
    mkdir -p "$R/$(dirname "$a")"; [ -e "$R/$a" ] || ln -s /bin/busybox "$R/$a"
done
ln -sf /bin/busybox "$R/usr/bin/["; ln -sf /bin/busybox "$R/usr/bin/[["

copy_elf() {    # copy_elf SOURCE TARGET: a program and the libraries it needs
    local lib
    rm -f "$R$2"; install -D -m755 "$1" "$R$2"
    ldd "$1" | awk '$3 ~ /^\// {print $3} $1 ~ /^\// {print $1}' | while read -r lib; do
        case $lib in
            */ld-linux*) [ -e "$R/lib64/${lib##*/}" ] || install -m755 "$(readlink -f "$lib")" "$R/lib64/${lib##*/}";;
            *) [ -e "$R/lib/x86_64-linux-gnu/${lib##*/}" ] ||
               install -m644 "$(readlink -f "$lib")" "$R/lib/x86_64-linux-gnu/${lib##*/}";;
        esac
    done
}
copy_elf "$(command -v dropbear)" /usr/sbin/dropbear
copy_elf "$(command -v dropbearkey)" /usr/bin/dropbearkey
copy_elf "$(command -v resize2fs)" /usr/sbin/resize2fs
copy_elf "$(command -v mke2fs)" /usr/sbin/mke2fs
ln -s mke2fs "$R/usr/sbin/mkfs.ext4"; rm -f "$R/sbin/mke2fs" "$R/sbin/mkfs.ext2"
if [ $AGENT = 1 ]; then
    qga=$(command -v qemu-ga || true)
    if [ -z "$qga" ]; then
        fetch qemu-guest-agent "$W/qga"
        qga=$W/qga/usr/sbin/qemu-ga
    fi
    copy_elf "$qga" /usr/sbin/qemu-ga
fi

# -------------------------------------------------------------------- modules
ROOT_MODS="virtio_net virtio_balloon virtio_console virtio-rng virtio_input virtio_mem vmw_vsock_virtio_transport
  isofs sr_mod vfat nls_cp437 nls_ascii nls_iso8859-1 nls_utf8 evdev button softdog fw_cfg qemu_fw_cfg
  8021q virtiofs 9p 9pnet_virtio"
INITRD_MODS="virtio_pci virtio_blk virtio_scsi sd_mod"
mod_paths() { # the .ko files, dependencies first
    local m; for m in "$@"; do modprobe -d "$K" -S "$KVER" --show-depends "$m" 2>/dev/null | awk '$1=="insmod"{print $2}' || true; done | awk '!s[$0]++'
}
mkdir -p "$R/lib/modules/$KVER"
for f in $(mod_paths $INITRD_MODS $ROOT_MODS); do
    install -D -m644 "$f" "$R/lib/modules/$KVER/${f#"$MODULES"/}"
done
cp "$MODULES"/modules.{builtin,order} "$R/lib/modules/$KVER/"
[ ! -e "$MODULES/modules.builtin.modinfo" ] || cp "$MODULES/modules.builtin.modinfo" "$R/lib/modules/$KVER/"
depmod -b "$R" "$KVER"
rm -f "$R/lib/modules/$KVER"/modules.{builtin,order,builtin.modinfo,softdep,symbols,symbols.bin,devname,dep.bin,alias.bin,builtin.bin,builtin.alias.bin}

# ---------------------------------------------------------------- configuration
hash=$("$BB" mkpasswd -m sha512 -S openguestsalt "$USER_PASS")
cat > "$R/etc/passwd" <<E
root:x:0:0:root:/root:/bin/sh
$USER_NAME:x:1000:1000:$USER_NAME:/home/$USER_NAME:/bin/sh
E
printf 'root:x:0:\ntty:x:5:\n%s:x:1000:\n' $USER_NAME > "$R/etc/group"
printf 'root:*:19000:0:99999:7:::\n%s:%s:19000:0:99999:7:::\n' $USER_NAME "$hash" > "$R/etc/shadow"; chmod 600 "$R/etc/shadow"
echo "$USER_NAME" > "$R/etc/guest-user"
echo guest > "$R/etc/hostname"; printf '127.0.0.1 localhost\n::1 localhost\n' > "$R/etc/hosts"
echo 'hosts: files dns' > "$R/etc/nsswitch.conf"; printf '/bin/sh\n/bin/ash\n' > "$R/etc/shells"
put 644 profile "$R/etc/profile"
printf 'ttyS0\ntty1\nhvc0\nttyS1\n' > "$R/etc/securetty"
: > "$R/etc/resolv.conf"
cat > "$R/etc/issue" <<E

  guest (test image) \\n \\l
  login as '$USER_NAME', password '$USER_PASS'; su needs no password

E
# su without a password for the one user: root has an empty password, but no
# remote log-in with it (dropbear -g refuses root passwords).
sed -i 's/^root:\*:/root::/' "$R/etc/shadow"
put 644 inittab "$R/etc/inittab"
# no acpid.conf, not even an empty one: without it acpid maps the power key to PWRF/00000080
printf '#!/bin/sh\necho "guest: ACPI power button" > /dev/console\nexec /sbin/poweroff\n' > "$R/etc/acpi/PWRF/00000080"
chmod 755 "$R/etc/acpi/PWRF/00000080"

for f in rcS rcK hotplug net-up udhcpc.script guest-init; do put 755 $f "$R/etc/$f"; done
ln -sf /bin/busybox "$R/sbin/init"

put 755 chpasswd "$R/usr/sbin/chpasswd"

# -------------------------------------------------------------------- initrd
mkdir -p "$I"/{bin,dev,proc,sys,new,mod}
install -m755 "$BB" "$I/bin/busybox"
n=10; for f in $(mod_paths $INITRD_MODS); do cp "$f" "$I/mod/$n-${f##*/}"; n=$((n+1)); done
put 755 initrd-init "$I/init"
find "$R" "$I" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
(cd "$I" && find . | sort | cpio -o -H newc -R 0:0 --reproducible --quiet | gzip -9n) > "$W/initrd.img"
cp "$K/boot/vmlinuz-$KVER" "$W/vmlinuz"

# ------------------------------------------------------------------------ disk
# sector 0: MBR code; 2048..: FAT with kernel and initrd (partition 2, active; the
# ESP as well), then the root (partition 1, last on the disk: it grows).
# BIOS boots through SYSLINUX: it reads the 15 MB under TCG in 0.3 s, GRUB needs 5.
CMDLINE="root=auto console=tty0 console=ttyS0,115200n8 no_timer_check tsc=reliable mitigations=off nokaslr cryptomgr.notests net.ifnames=0 ${GUEST_DEBUG:-quiet loglevel=4}"
boot_s=2048 boot_n=$((BOOT_MB*2048)); root_s=$((boot_s+boot_n)); root_n=$((DISK_MB*2048-root_s))
D=$W/guest.raw; truncate -s ${DISK_MB}M "$D"

mke2fs -q -t ext4 -L guestroot -U 6f70656e-6775-6573-7400-000000000001 -b 4096 -m 0 -I 256 \
    -O ^metadata_csum_seed,^orphan_file,^64bit,resize_inode -J size=4 \
    -E hash_seed=6f70656e-6775-6573-7400-000000000002,resize=67108864,root_owner=0:0,lazy_itable_init=1 \
    -d "$R" "$W/root.img" $((root_n/2))k >/dev/null
dd if="$W/root.img" of="$D" bs=1M seek=$((root_s/2048)) conv=notrunc,sparse status=none

cat > "$W/syslinux.cfg" <<E
DEFAULT guest
PROMPT 0
TIMEOUT 0
LABEL guest
 LINUX /vmlinuz
 INITRD /initrd.img
 APPEND $CMDLINE
E
printf 'linux /vmlinuz %s\ninitrd /initrd.img\nboot\n' "$CMDLINE" > "$W/efi.cfg"
grub-mkimage -O x86_64-efi -p /EFI/BOOT -c "$W/efi.cfg" -o "$W/bootx64.efi" part_msdos fat linux
touch -d "@$SOURCE_DATE_EPOCH" "$W/vmlinuz" "$W/initrd.img" "$W/syslinux.cfg" "$W/bootx64.efi"
mkfs.vfat -F 16 -s 8 -n BOOT -i 6f706e67 --invariant -C "$W/boot.img" $((BOOT_MB*1024)) >/dev/null
mmd -i "$W/boot.img" ::/EFI ::/EFI/BOOT
mcopy -m -i "$W/boot.img" "$W/vmlinuz" "$W/initrd.img" "$W/syslinux.cfg" ::/
mcopy -m -i "$W/boot.img" "$W/bootx64.efi" ::/EFI/BOOT/BOOTX64.EFI
syslinux --install "$W/boot.img"
dd if="$W/boot.img" of="$D" bs=1M seek=$((boot_s/2048)) conv=notrunc,sparse status=none
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$D" bs=440 count=1 conv=notrunc status=none

le32() { printf "$(printf '\\x%02x\\x%02x\\x%02x\\x%02x' $(($1&255)) $(($1>>8&255)) $(($1>>16&255)) $(($1>>24&255)))"; }
part() { printf "$1\xfe\xff\xff$2\xfe\xff\xff"; le32 "$3"; le32 "$4"; }
{ le32 $((0x6f70656e)); printf '\0\0'
  part '\x00' '\x83' $root_s $root_n; part '\x80' '\xef' $boot_s $boot_n
  head -c 32 /dev/zero; printf '\x55\xaa'; } | dd of="$D" bs=1 seek=440 conv=notrunc status=none

qemu-img convert -f raw -O qcow2 -c "$D" "$W/guest.qcow2"
mv "$D" "$OUT/guest.raw"; mv "$W/guest.qcow2" "$W/vmlinuz" "$W/initrd.img" "$OUT/"
(cd "$OUT" && ls -l guest.raw guest.qcow2 vmlinuz initrd.img && sha256sum guest.raw)
