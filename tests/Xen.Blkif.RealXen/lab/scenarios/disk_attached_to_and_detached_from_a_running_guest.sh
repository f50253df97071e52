disk=$(image disk 8M)
sum=$(md5 "$disk")
guest g <<'JOB'
echo READY
wait_disk xvdb
echo "MD5 $(md5sum </dev/xvdb)"
tries=300
while [ -b /dev/xvdb ] && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
[ ! -b /dev/xvdb ]
JOB
id=$(xl domid g)
go g
says g READY
attach g xvdb "$disk"
says g "MD5 $sum"
xen-blkif list
xen-blkif detach g xvdb
finishes g
attached_ends g xvdb
if xenstore-exists "/local/domain/0/backend/blkif/$id"; then fail "nodes are left"; fi
