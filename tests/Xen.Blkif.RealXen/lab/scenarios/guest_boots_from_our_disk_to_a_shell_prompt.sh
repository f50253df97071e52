# Kernel and initrd from domain 0, the root file system on xvda; what is typed at the prompt is done.
root=$(mktemp -d)
mkdir "$root"/{bin,sbin,dev,proc,etc}
cp /bin/busybox "$root/bin/"
for name in sh ls cat mount md5sum poweroff; do ln -s busybox "$root/bin/$name"; done
printf '#!/bin/sh\nmount -t proc proc /proc\nmount -t devtmpfs devtmpfs /dev\nexec sh </dev/hvc0 >/dev/hvc0 2>&1\n' >"$root/sbin/init"
chmod +x "$root/sbin/init"
head -c 4M /dev/urandom >"$root/etc/payload"
truncate -s 32M /dev/shm/root.img
mke2fs -q -t ext4 -d "$root" /dev/shm/root.img
sum=$(md5 "$root/etc/payload")
rm -r "$root"
cat >/tmp/config <<'CONFIG'
name = "g"
type = "pv"
kernel = "/boot/vmlinuz-guest"
ramdisk = "/boot/initrd-guest"
cmdline = "root=/dev/xvda console=hvc0 quiet"
memory = 256
CONFIG
xl create -q -p /tmp/config
attach g xvda /dev/shm/root.img
go g
says g '/ # '
type_at g 'echo "the answer is $((6 * 7))"'
says g 'the answer is 42'
type_at g 'md5sum /etc/payload; cat /proc/mounts; ls /'
says g "$sum"
says g '/dev/(xvda|root) / ext4'
console g
type_at g 'poweroff -f'
attached_ends g xvda
