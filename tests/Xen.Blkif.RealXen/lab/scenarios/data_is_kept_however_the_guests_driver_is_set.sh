# Each combination of parameters of blkfront, QUEUES:RING-PAGE-ORDER:INDIRECT-SEGMENTS:PERSISTENT, in a guest of its own with two
# processors: what it says of itself is what it was set to, and it reads, writes and keeps a file system as always. One process serves all.
COMBINATIONS=${COMBINATIONS:-2:0:256:1 1:4:0:0}
disk=$(image disk 32M)
sum=$(md5 "$disk")
serve Debug --guest-memory persistent
for combination in $COMBINATIONS; do
    IFS=: read -r queues order segments persistent <<<"$combination"
    name=g${combination//:/-}
    cp "$disk" /dev/shm/copy.img
    # With persistent grants, blkfront takes the memory for all segments of all slots of all queues when it connects.
    memory=$((512 + persistent * queues * (32 << order) * (segments + 1) / 256))
    VCPUS=2 FIO=1 MEMORY=$memory \
        guest "$name" "blkfront=max_queues=$queues,max_ring_page_order=$order,max_indirect_segments=$segments,feature_persistent=$persistent" \
        < <(cat "$job_of_data" - <<'JOB'
dmesg | grep 'blkfront: xvda'
echo "QUEUES $(ls /sys/block/xvda/mq | wc -l)"
load_ext4
/bin/mke2fs -q -t ext4 /dev/xvda
mount -t ext4 /dev/xvda /mnt
head -c 8000000 /dev/urandom >/mnt/random
md5sum </mnt/random >/mnt/random.md5
umount /mnt
JOB
)
    id=$(xl domid "$name")
    vbd blkif "$id" 51712 dev xvda params aio:/dev/shm/copy.img
    go "$name"
    node_says "/local/domain/$id/device/vbd/51712/state" 4
    agreed=$(xenstore-read "/local/domain/$id/device/vbd/51712/ring-page-order" 2>/dev/null) || agreed=0
    finishes "$name" 240
    keeps_its_data "$name" "$sum"
    e2fsck -fn /dev/shm/copy.img
    mount -o loop,ro /dev/shm/copy.img /mnt
    [ "$(md5sum </mnt/random)" = "$(cat /mnt/random.md5)" ] || fail "$combination: the file's content is not what the guest wrote"
    umount /mnt
    words="persistent grants: $([ "$persistent" = 1 ] && echo enabled || echo disabled); indirect descriptors: $([ "$segments" -gt 11 ] && echo enabled || echo disabled)"
    console "$name" | grep "flush diskcache: enabled; $words" || fail "$combination: the guest does not say $words"
    console "$name" | grep "QUEUES $queues" || fail "$combination: the guest has not $queues queues"
    [ "$agreed" = "$order" ] || fail "$combination: the ring has the order $agreed"
    xenstore-rm "/local/domain/0/backend/blkif/$id"
    echo "$combination is fine"
done
