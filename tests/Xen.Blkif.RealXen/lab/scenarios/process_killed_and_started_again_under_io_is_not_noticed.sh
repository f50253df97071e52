# One disk of "serve", one of "attach", under fio: each process is killed KILLS times, with requests under way, and started again.
KILLS=${KILLS:-1}
rounds=$((3 * KILLS + 1))
served=$(image served 16M)
attached=$(image attached 16M)
FIO=1 guest g "rounds=$rounds" <<'JOB'
wait_disk xvda
wait_disk xvdb
for round in $(seq "$(sed -n 's/.*rounds=\([0-9]*\).*/\1/p' /proc/cmdline)"); do
    fio --rw=randrw --iodepth=32 --ioengine=libaio --direct=1 --size=4M --bs=4k --verify=crc32c --verify_fatal=1 --do_verify=1 \
        --name=served --filename=/dev/xvda --name=attached --filename=/dev/xvdb --output-format=terse >/tmp/out
    [ "$(grep -c ';0;' /tmp/out)" -eq 2 ]
    echo "VERIFIED $round"
done
dmesg | grep -E 'I/O error|blkfront.*(bad|error)' && exit 1
echo "MD5 xvda $(md5sum </dev/xvda)"
echo "MD5 xvdb $(md5sum </dev/xvdb)"
JOB

start_serve() {
    xen-blkif serve --log-level Debug >>/run/serve.log 2>&1 &
    echo $! >/run/serve.pid
}
start_attach() { # of a backend type of its own, so that "serve" leaves the disk alone
    xen-blkif attach g xvdb "$attached" --backend-type attached --log-level Debug >>/run/attach-g-xvdb.log 2>&1 &
    echo $! >/run/attach-g-xvdb.pid
}
killed() { # killed PID-FILE: SIGKILL, and nothing of the process is left
    local pid
    pid=$(cat "$1")
    kill -KILL "$pid"
    wait "$pid" || true
}

start_serve
vbd blkif "$(xl domid g)" 51712 dev xvda params "$served"
start_attach
log_says /run/serve.log 'state InitWait'
log_says /run/attach-g-xvdb.log 'state InitWait'
go g
for kill in $(seq "$KILLS"); do
    says g "VERIFIED $((kill * 3 - 2))\b" 240
    pause 0.7 # into the next round
    killed /run/serve.pid
    start_serve
    log_says /run/serve.log 'taken back' $kill
    says g "VERIFIED $((kill * 3))\b" 240
    pause 0.7
    killed /run/attach-g-xvdb.pid
    start_attach
    log_says /run/attach-g-xvdb.log 'taken back' $kill
done
xen-blkif list
finishes g 400
attached_ends g xvdb
console g | grep -q "VERIFIED $rounds" || fail "fio did not verify $rounds rounds"
console g | grep "MD5 xvda $(md5 "$served")" || fail "what the guest reads of the served disk is not what the file has"
console g | grep "MD5 xvdb $(md5 "$attached")" || fail "what the guest reads of the attached disk is not what the file has"
[ -z "$(ls /run/xen-blkif/*.attached 2>/dev/null)" ] || fail "the attached disk's file is left"
