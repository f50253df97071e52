disk=$(image disk 16M)
guest g <<'JOB'
wait_disk xvda
echo WRITING
while :; do dd if=/dev/urandom of=/dev/xvda bs=64k count=256 oflag=direct 2>/dev/null; done
JOB
go g
attach g xvda "$disk"
says g WRITING
sleep 1
xl destroy g
attached_ends g xvda
sum=$(md5 "$disk")
guest next <<<'wait_disk xvda; echo "MD5 $(md5sum </dev/xvda)"'
go next
attach next xvda "$disk"
finishes next
console next | grep "MD5 $sum" || fail "the next guest read something else"
