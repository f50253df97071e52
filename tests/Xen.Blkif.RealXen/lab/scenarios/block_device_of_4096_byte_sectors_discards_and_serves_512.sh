# A loop device is the block device at hand whose sectors can be large, and that gives storage back.
disk=$(image disk 32M)
loop=$(losetup -f --show -b 4096 "$disk")
[ "$(blockdev --getss "$loop")" = 4096 ] || fail "$loop has no sectors of 4096 bytes"

# lost COMMAND…: what the file has lost, in KiB, when the command has ended.
lost() {
    local before after
    before=$(stat -c %b "$disk")
    "$@"
    after=$(stat -c %b "$disk")
    echo "$disk lost $(((before - after) / 2)) KiB"
    lost=$(((before - after) / 2))
}

as_it_is() {
    guest whole <<'JOB'
wait_disk xvda
echo "SECTORS $(cat /sys/block/xvda/queue/logical_block_size)"
blkdiscard -o 4194304 -l 8388608 /dev/xvda
JOB
    go whole
    attach whole xvda "$loop"
    backend=/local/domain/0/backend/blkif/$(xl domid whole)/51712
    [ "$(xenstore-read "$backend/sector-size")" = 4096 ] || fail "the disk does not have the sectors of its device"
    [ "$(xenstore-read "$backend/discard-secure")" = 0 ] || fail "a loop device cannot erase, the disk says that it can"
    finishes whole
    attached_ends whole xvda
    console whole | grep 'SECTORS 4096' || fail "the guest sees other sectors than 4096"
}
lost as_it_is
[ "$lost" -eq 8192 ] || fail "8 MiB were discarded, the file lost $lost KiB"
cmp -n 8388608 <(dd if="$disk" bs=1M skip=4 count=8 status=none) /dev/zero

# 1023 sectors of the device long, from the middle of one to the middle of another: the 1022 between them can go.
in_pieces() {
    guest halves <<'JOB'
wait_disk xvda
echo "SECTORS $(cat /sys/block/xvda/queue/logical_block_size)"
blkdiscard -o 16779264 -l 4190208 /dev/xvda
JOB
    go halves
    attach halves xvda "$loop" --sector-size 512
    finishes halves
    attached_ends halves xvda
    console halves | grep 'SECTORS 512' || fail "the guest sees other sectors than 512"
}
sum=$(dd if="$disk" bs=512 skip=32768 count=4 status=none | md5sum)
lost in_pieces
[ "$lost" -eq 4088 ] || fail "4092 KiB were discarded from the middle of a sector, the file lost $lost KiB"
[ "$(dd if="$disk" bs=512 skip=32768 count=4 status=none | md5sum)" = "$sum" ] || fail "the sectors before what was discarded have changed"

sum=$(md5 "$disk")
FIO=1 guest data <"$job_of_data"
go data
attach data xvda "$loop" --sector-size 512
finishes data 240
keeps_its_data data "$sum"
attached_ends data xvda
