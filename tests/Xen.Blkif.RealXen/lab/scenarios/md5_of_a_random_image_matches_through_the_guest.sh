disk=$(image disk 32M)
sum=$(md5 "$disk")
guest g <<'JOB'
wait_disk xvda
dmesg | grep 'blkfront: xvda: flush diskcache: enabled'
echo "MD5 $(md5sum </dev/xvda)"
JOB
go g
attach g xvda "$disk"
finishes g
console g | grep "MD5 $sum" || fail "the guest read something else than $sum"
attached_ends g xvda
