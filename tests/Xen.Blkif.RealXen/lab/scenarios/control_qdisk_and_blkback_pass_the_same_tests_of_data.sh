# The same as ours must pass, on QEMU's qdisk and on Linux's blkback: where this fails, the laboratory is at fault.
modprobe xen-blkback
qdisk=$(image qdisk 32M)
blkback=$(image blkback 32M)
sum_of_qdisk=$(md5 "$qdisk")
sum_of_blkback=$(md5 "$blkback")
DISK="'format=raw,vdev=xvda,access=rw,backendtype=qdisk,target=$qdisk'" FIO=1 guest qdisk <"$job_of_data"
go qdisk
FIO=1 guest blkback <"$job_of_data"
loop=$(losetup -f --show "$blkback")
vbd vbd "$(xl domid blkback)" 51712 dev xvda params "$loop" physical-device "7:${loop#/dev/loop}" hotplug-status connected
go blkback
finishes qdisk 240
keeps_its_data qdisk "$sum_of_qdisk"
finishes blkback 240
keeps_its_data blkback "$sum_of_blkback"
