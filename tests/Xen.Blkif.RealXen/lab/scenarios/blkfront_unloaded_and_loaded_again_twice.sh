# The guest's driver lets the disk go when it is unbound. Linux binds it again only as a new device (dev->state stays Closed else), so the
# toolstack offers it anew, each time to the same process.
disk=$(image disk 8M)
sum=$(md5 "$disk")
guest g <<'JOB'
for life in 1 2 3; do
    wait_disk xvda
    echo "LIFE $life MD5 $(md5sum </dev/xvda)"
    [ $life -lt 3 ] || break
    echo vbd-51712 >/sys/bus/xen/drivers/vbd/unbind
    rmmod xen_blkfront
    echo "UNLOADED $life"
    while [ -e /sys/bus/xen/devices/vbd-51712 ]; do sleep 0.1; done
    load_blkfront
done
JOB
serve
id=$(xl domid g)
backend=/local/domain/0/backend/blkif/$id/51712
vbd blkif "$id" 51712 dev xvda params "aio:$disk"
go g
for life in 1 2; do
    says g "LIFE $life MD5 $sum"
    says g "UNLOADED $life"
    node_says "$backend/state" 6
    xenstore-rm "/local/domain/$id/device/vbd/51712" "$backend"
    log_says /run/serve.log "ended" $life
    vbd blkif "$id" 51712 dev xvda params "aio:$disk"
done
finishes g
console g | grep "LIFE 3 MD5 $sum"
