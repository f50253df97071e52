serve
for guest in one two; do
    for vdev in xvda xvdb; do image "$guest-$vdev" 12M >/dev/null; done
    guest $guest <<'JOB'
wait_disk xvda
wait_disk xvdb
md5sum </dev/xvda >/tmp/a &
md5sum </dev/xvdb >/tmp/b
wait
echo "MD5 xvda $(cat /tmp/a)"
echo "MD5 xvdb $(cat /tmp/b)"
dd if=/dev/xvda of=/dev/xvdb bs=64k count=64 oflag=direct 2>/dev/null
JOB
    vbd blkif "$(xl domid $guest)" 51712 dev xvda params "aio:/dev/shm/$guest-xvda.img"
    vbd blkif "$(xl domid $guest)" 51728 dev xvdb params "raw:/dev/shm/$guest-xvdb.img"
done
declare -A sums
for image in one-xvda one-xvdb two-xvda two-xvdb; do sums[$image]=$(md5 "/dev/shm/$image.img"); done
go one
go two
xen-blkif list
for guest in one two; do
    finishes $guest
    for vdev in xvda xvdb; do console $guest | grep "MD5 $vdev ${sums[$guest-$vdev]}" || fail "$guest read another $vdev"; done
    cmp -n 4194304 "/dev/shm/$guest-xvda.img" "/dev/shm/$guest-xvdb.img" || fail "the copy that $guest made is another"
done
[ "$(pgrep -cx xen-blkif)" -eq 1 ]
