#!/usr/bin/env bash
# usage: image.sh FOLDER
# Makes, from Debian packages, the machine that the scenarios run on: the hypervisor, the kernel, the root file system of domain 0 and
# the ramdisks. FOLDER gets: xen, vmlinux, dom0.cpio.gz, root.img. Needs Debian's apt, dpkg-deb, mke2fs, cpio, depmod, xz, gcc,
# and the libraries of libxen-dev; no root, no Xen.
set -euo pipefail
export PATH="$PATH:/usr/sbin:/sbin"
recipe=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
out=$(realpath -m "$1")
root=$out/root
boot=$out/boot

# Modules of domain 0's ramdisk, in the order of their dependencies: enough to mount its root.
early_modules="virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk crc16 crc32c_generic libcrc32c mbcache jbd2 ext4"
guest_modules="xen-blkfront xen-evtchn xen-gntalloc crc16 crc32c_generic libcrc32c mbcache jbd2 ext4"
module_folders="drivers/xen drivers/virtio drivers/block fs/ext4 fs/jbd2 fs/mbcache.ko lib/crc16.ko lib/libcrc32c.ko crypto/crc32c_generic.ko"

# What domain 0 runs, with everything that these depend on. What only installs or starts services is left out of the closure.
wanted="bash coreutils grep sed gawk findutils tar util-linux mount kmod procps iproute2 diffutils fio e2fsprogs libicu72 libssl3 libstdc++6 zlib1g libgcc-s1"
unwanted='^(debconf|cdebconf|perl|perl-base|python3.*|libpython.*|systemd.*|udev|dpkg|init.*|grub.*|adduser|tex.*)$'

# The newest name that a pattern has in the package lists.
newest() {
    apt-cache pkgnames "$1" | grep -E "^$2\$" | sort -V | tail -n 1 | grep . || { echo "no package $2: apt-get update, on Debian 12" >&2; exit 1; }
}

closure() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances "$@" |
        grep -E '^[a-z0-9]' | grep -v ':' | sort -u | grep -vE "$unwanted"
}

download() {
    local xen_utils hypervisor kernel
    hypervisor=$(newest xen-hypervisor- 'xen-hypervisor-[0-9.]+-amd64')
    xen_utils=$(newest xen-utils- 'xen-utils-[0-9.]+')
    kernel=$(apt-cache depends linux-image-amd64 | grep -oE 'linux-image-[0-9][^ ]+' | head -n 1)
    mkdir -p "$out/packages"
    cd "$out/packages"
    # Virtual and alternative names of the closure have no package of their own.
    # shellcheck disable=SC2046
    apt-get download -q busybox-static "$hypervisor" "$kernel" \
        $(apt-cache show --no-all-versions $(closure $wanted "$xen_utils" xenstore-utils qemu-system-xen) 2>/dev/null | sed -n 's/^Package: //p' | sort -u) \
        >"$out/download.log" 2>&1 || { tail -n 5 "$out/download.log" >&2; exit 1; }
}

unpack() {
    local package
    mkdir -p "$root" "$boot"
    for package in "$out"/packages/*.deb; do
        case ${package##*/} in
            linux-image-* | xen-hypervisor-*) dpkg-deb -x "$package" "$boot" ;;
            *) dpkg-deb -x "$package" "$root" ;;
        esac
    done
    rm -rf "$out/packages" "$root"/usr/share/{doc,man,locale,i18n} "$root"/usr/share/qemu/*.fd
    zcat "$boot"/boot/xen-*-amd64.gz >"$out/xen"
    unpack_kernel "$boot"/boot/vmlinuz-*
}

# What is in a vmlinuz: each start of a guest would unpack it again, which takes an emulated processor five seconds.
unpack_kernel() {
    local offset
    offset=$(LC_ALL=C grep -abom1 $'\xFD7zXZ' "$1" | cut -d: -f1)
    tail -c "+$((offset + 1))" "$1" | xz -dc >"$out/vmlinux" 2>/dev/null || true # complains of what follows the kernel
    [ -s "$out/vmlinux" ] || { echo "$1 has no kernel packed with xz" >&2; exit 1; }
}

install_modules() {
    local version folder
    version=$(basename "$boot"/lib/modules/*)
    modules=$root/lib/modules/$version
    for folder in $module_folders; do
        mkdir -p "$modules/kernel/$(dirname "$folder")"
        cp -a "$boot/lib/modules/$version/kernel/$folder" "$modules/kernel/$folder"
    done
    cp "$boot/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$modules/"
    depmod -b "$root" "$version"
}

install_dotnet() {
    local dotnet
    dotnet=$(dirname "$(realpath "$(command -v dotnet)")")
    mkdir -p "$root/usr/share/dotnet/shared"
    cp -a "$dotnet"/{dotnet,host} "$root/usr/share/dotnet/"
    cp -a "$dotnet/shared/Microsoft.NETCore.App" "$root/usr/share/dotnet/shared/"
    ln -sf /usr/share/dotnet/dotnet "$root/usr/bin/dotnet"
    ln -sf /app/xen-blkif "$root/usr/bin/xen-blkif"
}

pack() { (cd "$1" && find . | cpio --quiet -o -H newc); }

# Domain 0 starts in a ramdisk that only finds its root file system.
make_dom0_ramdisk() {
    local ramdisk=$out/dom0-ramdisk name
    mkdir -p "$ramdisk"/{bin,lib,dev,proc,sys,mnt}
    cp "$root/bin/busybox" "$ramdisk/bin/"
    for name in $early_modules; do cp "$(find "$modules" -name "$name.ko")" "$ramdisk/lib/"; done
    sed "s/@MODULES@/$early_modules/" "$recipe/dom0-ramdisk-init" >"$ramdisk/init"
    chmod +x "$ramdisk/init"
    pack "$ramdisk" | gzip -1 >"$out/dom0.cpio.gz"
}

# What programs of the ramdisk in $1 need, of libraries.
add_libraries() {
    local folder=$1 libraries
    shift
    mkdir -p "$folder/lib"
    libraries=$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu:$(dirname "$(find "$root" -name libceph-common.so.2 | head -n 1)")
    LD_LIBRARY_PATH=$libraries ldd "$@" | awk '/=> \//{print $3}' | sort -u | xargs -I{} cp -L {} "$folder/lib/"
}

# A guest is a ramdisk and nothing else: busybox, blkfront and the tools of ext4 with their libraries. fio comes in a second one, laid
# over the first where a guest asks for it: it has a hundred megabytes of libraries, which cost each start three seconds.
make_guest_ramdisks() {
    local ramdisk=$out/guest-ramdisk fio=$out/fio-ramdisk tool
    mkdir -p "$ramdisk"/{bin,lib,lib64,dev,proc,sys,mnt,tmp} "$fio/bin" "$root/lab"
    cp "$root/bin/busybox" "$ramdisk/bin/"
    for tool in $guest_modules; do cp "$(find "$modules" -name "$tool.ko")" "$ramdisk/lib/"; done
    for tool in sbin/mke2fs sbin/e2fsck sbin/blkdiscard usr/sbin/blkdiscard; do
        [ ! -e "$root/$tool" ] || cp -L "$root/$tool" "$ramdisk/bin/"
    done
    add_libraries "$ramdisk" "$ramdisk"/bin/{mke2fs,e2fsck,blkdiscard}
    cp -L "$root"/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 "$ramdisk/lib64/"
    gcc -O2 -static -o "$ramdisk/bin/hostile-guest" "$recipe/hostile-guest.c" -lxengnttab -lxenevtchn -lxenstore -lxentoolcore -lxentoollog -lxencall -lpthread
    cp "$recipe/guest-init" "$ramdisk/init"
    chmod +x "$ramdisk/init"
    pack "$ramdisk" >"$root/lab/guest.cpio"
    cp "$root/usr/bin/fio" "$fio/bin/"
    add_libraries "$fio" "$fio/bin/fio"
    pack "$fio" >"$root/lab/fio.cpio"
    make_boot_ramdisk "$ramdisk"
}

# The ramdisk of a guest that boots from its disk: what distributions call the initrd, as short as can be.
make_boot_ramdisk() {
    local ramdisk=$out/boot-ramdisk
    mkdir -p "$ramdisk"/{bin,lib,dev,proc,sys,mnt} "$root/boot"
    cp "$root/bin/busybox" "$ramdisk/bin/"
    cp "$1"/lib/*.ko "$ramdisk/lib/"
    cp "$recipe/boot-init" "$ramdisk/init"
    chmod +x "$ramdisk/init"
    pack "$ramdisk" >"$root/boot/initrd-guest"
    cp "$out/vmlinux" "$root/boot/vmlinuz-guest"
}

make_root() {
    cp "$recipe"/{dom0-init,dom0.sh,leaks.sh,job-of-data} "$root/lab/"
    chmod +x "$root/lab/dom0-init"
    mkdir -p "$root"/{proc,sys,dev,run,tmp,mnt,srv,app,root,var/lib/xen,var/log/xen/console,var/lib/xenstored}
    echo 'root:x:0:0:root:/root:/bin/bash' >"$root/etc/passwd"
    echo 'root:x:0:' >"$root/etc/group"
    echo '127.0.0.1 localhost' >"$root/etc/hosts"
    touch "$root/etc/fstab"
    rm -f "$out/root.img"
    mke2fs -q -t ext4 -d "$root" "$out/root.img" 1500M
}

rm -rf "$out"
mkdir -p "$out"
# Package lists that are missing, or older than what the archive has, are fetched anew; where that may not be, the second attempt says so.
(download) 2>/dev/null || { apt-get update -qq; download; }
unpack
install_modules
install_dotnet
make_dom0_ramdisk
make_guest_ramdisks
make_root
rm -rf "$root" "$boot" "$out"/*-ramdisk
