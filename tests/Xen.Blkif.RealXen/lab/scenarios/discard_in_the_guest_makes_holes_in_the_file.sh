disk=$(image disk 16M)
before=$(stat -c %b "$disk")
guest g <<'JOB'
wait_disk xvda
blkdiscard -o 4194304 -l 8388608 /dev/xvda
JOB
go g
attach g xvda "$disk"
finishes g
attached_ends g xvda
after=$(stat -c %b "$disk")
[ $((before - after)) -eq 16384 ] || fail "8 MiB were discarded, the file lost $(((before - after) / 2)) KiB"
cmp -n 8388608 <(dd if="$disk" bs=1M skip=4 count=8 status=none) /dev/zero
