disk=/dev/shm/disk.img
truncate -s 64M "$disk"
guest g <<'JOB'
wait_disk xvda
load_ext4
/bin/mke2fs -q -t ext4 /dev/xvda # by its path: the shell has a lesser one built in
mount -t ext4 /dev/xvda /mnt
head -c 20000000 /dev/urandom >/mnt/random
md5sum </mnt/random >/mnt/random.md5
for i in $(seq 200); do echo "file $i" >"/mnt/small-$i"; done
sync
umount /mnt
JOB
go g
attach g xvda "$disk"
finishes g
attached_ends g xvda
e2fsck -fn "$disk"
mount -o loop,ro "$disk" /mnt
[ "$(md5sum </mnt/random)" = "$(cat /mnt/random.md5)" ] || fail "the file's content is not what the guest wrote"
[ "$(cat /mnt/small-200)" = "file 200" ] || fail "small files are missing"
umount /mnt
