# One process serves both guests. The hostile one is a frontend of its own making, which no driver would be; see lab/hostile-guest.c.
serve Information
disk=$(image victim 16M)
sum=$(md5 "$disk")
image hostile 4M >/dev/null
guest hostile noblkfront <<'JOB'
insmod /lib/xen-evtchn.ko
insmod /lib/xen-gntalloc.ko
hostile-guest 8
JOB
guest victim <<'JOB'
wait_disk xvda
for i in 1 2 3; do echo "MD5 $i $(dd if=/dev/xvda iflag=direct bs=64k 2>/dev/null | md5sum)"; done
JOB
vbd blkif "$(xl domid hostile)" 51712 dev xvda params /dev/shm/hostile.img
vbd blkif "$(xl domid victim)" 51712 dev xvda params "$disk"
go hostile
log_says /run/serve.log 'connected'
go victim
finishes victim 240
for i in 1 2 3; do console victim | grep "MD5 $i $sum" || fail "the victim read something else"; done
finishes hostile 60
console hostile | grep -E 'HOSTILE [0-9]+ events, [1-9][0-9]* writes'
runs /run/serve.pid
tail -n 5 /run/serve.log
if grep '^gnttab' /run/serve.log; then fail "a library writes what no one counts"; fi
lines=$(wc -l </run/serve.log)
[ "$lines" -lt 300 ] || fail "the hostile guest made $lines lines of log"
