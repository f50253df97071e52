disk=$(image disk 1M)
guest g <<<'sleep 60'
refused() { # refused WORDS ARGUMENTS: the attach ends with exit code 2 or 1 and a sentence with these words
    local words=$1 said status=0
    shift
    said=$(xen-blkif attach "$@" 2>&1) || status=$?
    echo "$said"
    [ $status -ne 0 ] || fail "attach $* succeeded"
    echo "$said" | grep -qE "^(error|failed): .*$words" || fail "attach $* did not say $words"
}
refused 'does not exist' g xvda /dev/shm/missing.img &
missing=$!
refused 'no domain' nobody xvda "$disk" &
unknown=$!
refused 'names no virtual disk' g disk1 "$disk"
wait $missing
wait $unknown
if xenstore-exists "/local/domain/0/backend/blkif/$(xl domid g)"; then fail "nodes are left"; fi
attach g xvda "$disk"
refused 'already' g xvda memory:1M
xenstore-exists "/local/domain/$(xl domid g)/device/vbd/51712"
