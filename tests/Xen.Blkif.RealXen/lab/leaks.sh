# Attaches a disk to a running guest ATTACHES times, and destroys DESTROYS guests while they write. What the process that serves them
# holds afterwards must be what it held before: mapped grants, event channels, watches, threads of its queues, open files.

# holdings: what the process and the hypervisor have of it, one line.
holdings() {
    local pid threads
    pid=$(</run/serve.pid)
    threads=$(cat /proc/"$pid"/task/*/syscall | grep -c '^7 ') # in poll(2), where a queue's thread waits
    echo "mappings $(grep -c gntdev "/proc/$pid/maps") channels $(lsevtchn 0 | wc -l) watches $(xenstore-control watches | tr -d '\0' | wc -l)" \
        "threads $threads files $(ls "/proc/$pid/fd" | wc -l) domains $(xl list | wc -l)"
}

# settles WORDS: waits until the holdings are the words.
settles() {
    holds() { [ "$(holdings)" = "$1" ]; }
    await 20 holds "$1" || fail "held before: $1; held now: $(holdings)"
}

serve Information
disk=$(image disk 8M)
guest g <<'JOB'
while :; do sleep 1; done
JOB
go g
says g GUEST-UP
id=$(xl domid g)
attach_disk() {
    vbd blkif "$id" 51712 dev xvda params "aio:$disk"
    node_says "/local/domain/$id/device/vbd/51712/state" 4
}
attach_and_detach() {
    attach_disk
    withdraw "$id" 51712
}

# What is counted is there while a disk is attached: otherwise counting it shows nothing.
idle=$(holdings)
attach_disk
read -r _ mappings _ channels _ watches _ threads _ files _ <<<"$(holdings)"
read -r _ mappings_idle _ channels_idle _ watches_idle _ threads_idle _ files_idle _ <<<"$idle"
for held in mappings channels watches threads files; do
    idle_one=${held}_idle
    [ "${!held}" -gt "${!idle_one}" ] || fail "an attached disk holds no $held: idle $idle; attached $(holdings)"
done
withdraw "$id" 51712

# The first ones make what is kept for the next: pools, sockets, compiled code.
for _ in 1 2; do attach_and_detach; done
before=$(holdings)
echo "before: $before"
for n in $(seq "$ATTACHES"); do
    attach_and_detach
    [ $((n % 10)) -ne 0 ] || echo "$n attached and detached: $(holdings)"
done
settles "$before"
xl destroy g
xenstore-rm "/local/domain/0/backend/blkif/$id"

before=$(holdings)
echo "before: $before"
for n in $(seq "$DESTROYS"); do
    guest victim <<'JOB'
wait_disk xvda
echo WRITING
while :; do dd if=/dev/zero of=/dev/xvda bs=64k count=100 oflag=direct 2>/dev/null; done
JOB
    id=$(xl domid victim)
    vbd blkif "$id" 51712 dev xvda params "aio:$disk"
    go victim
    says victim WRITING
    pause 0.3
    xl destroy victim
    log_says /run/serve.log "$id/xvda: ended"
    xenstore-rm "/local/domain/0/backend/blkif/$id"
    rm -f /var/log/xen/console/guest-victim.log
    [ $((n % 10)) -ne 0 ] || echo "$n destroyed: $(holdings)"
done
settles "$before"
echo "after: $(holdings)"
