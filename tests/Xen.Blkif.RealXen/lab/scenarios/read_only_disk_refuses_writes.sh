disk=$(image disk 8M)
sum=$(md5 "$disk")
guest g <<'JOB'
wait_disk xvda
[ "$(cat /sys/block/xvda/ro)" = 1 ]
if dd if=/dev/zero of=/dev/xvda bs=4k count=1 oflag=direct; then exit 1; fi
blockdev --setrw /dev/xvda || true
dd if=/dev/zero of=/dev/xvda bs=4k count=1 oflag=direct || true
JOB
go g
attach g xvda "$disk" --read-only
finishes g
attached_ends g xvda
[ "$(md5 "$disk")" = "$sum" ] || fail "the image changed"
