# One guest, its disks on one RAM disk: QEMU's qdisk, Linux's blkback and ours, with each of $VARIANTS, take turns, in one boot.
# Says for each run of fio: "@@ row ROUND WORKLOAD BACKEND BUSY TERSE", where BUSY is how many microseconds domain 0's processors worked in
# each second, and TERSE what fio printed.
modprobe brd rd_nr=1 rd_size=262144
modprobe xen-blkback
dd if=/dev/urandom of=/dev/ram0 bs=1M count=256 status=none

DISK="'format=raw,vdev=xvdb,access=rw,backendtype=qdisk,target=/dev/ram0'" FIO=1 guest g "blkfront=$BLKFRONT" <<'JOB'
for disk in xvdb xvdc xvdd; do wait_disk $disk; done
dmesg | grep blkfront:
echo READY
# One line on the console, one run of fio: "NUMBER DISK SECONDS OPTIONS".
while read -r number disk seconds options; do
    [ "$number" != end ] || break
    wait_disk $disk
    fio --name=f --filename=/dev/$disk --ioengine=libaio --direct=1 --time_based --runtime=$seconds --ramp_time=1 $options --output-format=terse --terse-version=3 >/tmp/out
    echo "RESULT $number $(head -n 1 /tmp/out)"
done
JOB
id=$(xl domid g)
vbd vbd "$id" 51744 dev xvdc params /dev/ram0 physical-device 1:0 hotplug-status connected
backends="qdisk:xvdb blkback:xvdc"
IFS='|' read -ra variants <<<"$VARIANTS"
letters=(d e f g h i j k)
for i in "${!variants[@]}"; do
    disk=xvd${letters[i]}
    mknod "/dev/$disk" b 1 0 # the RAM disk by another name, for a process locks what it serves
    attach g "$disk" "/dev/$disk" ${variants[i]}
    backends+=" ours$i:$disk"
done
go g
says g READY
console g | grep blkfront:

# What the processors of domain 0 have worked so far, in hundredths of a second.
used() {
    read -r _ user nice system idle wait irq soft _ </proc/stat
    echo $((user + nice + system + irq + soft))
}

number=0
measure() { # measure ROUND WORKLOAD BACKEND DISK OPTIONS
    local round=$1 workload=$2 backend=$3 disk=$4 before after line
    shift 4
    number=$((number + 1))
    type_at g "$number $disk $SECONDS_EACH $*"
    sleep 1.5
    before=$(used)
    sleep "$SECONDS_EACH"
    after=$(used)
    says g "RESULT $number " 60
    line=$(console g | grep "RESULT $number " | tr -d '\r')
    echo "@@ row $round $workload $backend $(((after - before) * 10000 / SECONDS_EACH)) ${line#RESULT * }"
}

for round in $(seq "$ROUNDS"); do
    order=$backends
    [ $((round % 2)) -eq 1 ] || order=$(tr ' ' '\n' <<<"$backends" | tac)
    for workload in $WORKLOADS; do
        IFS=- read -r pattern size depth <<<"$workload"
        for pair in $order; do
            measure "$round" "$workload" "${pair%:*}" "${pair#*:}" "--rw=$pattern --bs=$size --iodepth=$depth"
        done
    done
done
type_at g end
finishes g
