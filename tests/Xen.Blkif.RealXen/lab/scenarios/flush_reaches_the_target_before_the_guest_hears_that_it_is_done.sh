# The target says when each write and flush comes, and takes a second for a flush: the guest must not have its answer before.
guest g <<'JOB'
hundredths() { read -r up _ </proc/uptime; echo "${up%.*}${up#*.}"; } # of a second since the start
wait_disk xvda
for i in 1 2 3; do
    before=$(hundredths)
    dd if=/dev/zero of=/dev/xvda bs=4k count=1 seek=$i oflag=direct conv=fsync 2>/dev/null
    after=$(hundredths)
    echo "SYNCED $i $((after - before))"
done
JOB
go g
dotnet /run/load/lab/Xen.Blkif.RealXen.dll record "$(xl domid g)" xvda >/run/attach-g-xvda.log 2>&1 &
echo $! >/run/attach-g-xvda.pid
finishes g
attached_ends g xvda
cat /run/attach-g-xvda.log
for i in 1 2 3; do
    hundredths=$(console g | tr -d '\r' | sed -n "s/^SYNCED $i //p")
    [ "$hundredths" -ge 95 ] || fail "fsync $i was answered after $hundredths hundredths of a second, before the flush was done"
done
# In the target's order: the write, its flush, the end of the flush, and only then the next write.
order=$(sed -n -e 's/.* wrote \(4096\|8192\|12288\)$/write/p' -e 's/.* flush \([0-9]*\) reached.*/flush/p' -e 's/.* flush \([0-9]*\) is done/done/p' /run/attach-g-xvda.log | tr '\n' ' ')
case $order in "write flush done write flush done write flush done "*) ;; *) fail "the order was $order" ;; esac
