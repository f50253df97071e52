disk=$(image disk 8M)
guest g <<'JOB'
wait_disk xvda
echo "SIZE $(blockdev --getsize64 /dev/xvda)"
tries=600
while [ "$(blockdev --getsize64 /dev/xvda)" -ne 16777216 ] && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
echo "SIZE $(blockdev --getsize64 /dev/xvda)"
echo "MD5 $(md5sum </dev/xvda)"
dd if=/dev/zero of=/dev/xvda bs=1M seek=15 count=1 oflag=direct
JOB
go g
attach g xvda "$disk"
says g 'SIZE 8388608'
head -c 8M /dev/urandom >>"$disk"
sum=$(md5 "$disk")
kill -HUP "$(cat /run/attach-g-xvda.pid)"
says g 'SIZE 16777216'
finishes g
attached_ends g xvda
console g | grep "MD5 $sum" || fail "the guest read something else in the new half"
cmp -n 1048576 <(tail -c 1M "$disk") /dev/zero
