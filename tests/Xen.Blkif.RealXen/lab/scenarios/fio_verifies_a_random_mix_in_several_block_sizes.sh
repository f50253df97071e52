disk=/dev/shm/disk.img
truncate -s 48M "$disk"
FIO=1 guest g <<'JOB'
wait_disk xvda
for size in 512 4k 44k 64k; do
    fio --name=mix --filename=/dev/xvda --rw=randrw --bs=$size --iodepth=32 --ioengine=libaio --direct=1 --size=12M \
        --verify=crc32c --verify_fatal=1 --do_verify=1 --output-format=terse >/dev/null
    echo "VERIFIED $size"
done
JOB
attach g xvda "$disk"
go g
finishes g 240
[ "$(console g | grep -c VERIFIED)" -eq 4 ]
attached_ends g xvda
