# What scenarios call in domain 0. Each scenario is a script of its own, run with "set -e": the first command that fails fails it.

# pause SECONDS: waits, without a process of its own: what asks again and again must not slow down what it asks for.
exec {never}<> <(:)
pause() { read -rt "$1" -u "$never" || true; }

# fail WORDS: ends the scenario, with what the backends said and what xenstore holds.
fail() {
    tail -n 30 /run/attach-*.log /run/serve.log 2>/dev/null || true
    xenstore-ls -f /local/domain/0/backend/blkif 2>/dev/null || true
    echo "FAILED: $*"
    exit 1
}

# image NAME SIZE: a disk image of random bytes in memory; prints its path.
image() {
    head -c "$2" /dev/urandom >"/dev/shm/$1.img"
    echo "/dev/shm/$1.img"
}

# guest NAME [CMDLINE] <<<'what it runs': starts a PV guest that is paused until "go NAME". It has no disk: attach one.
# Before it: FIO=1 (the guest has fio), VCPUS, MEMORY (MiB), DISK (a disk of another backend, as xl's configuration has it).
guest() {
    local name=$1 extra=${2:-} folder
    folder=$(mktemp -d)
    cat >"$folder/job"
    (cd "$folder" && echo job | busybox cpio -o -H newc 2>/dev/null) >"$folder/job.cpio"
    cat /lab/guest.cpio ${FIO:+/lab/fio.cpio} "$folder/job.cpio" >"$folder/ramdisk"
    cat >"$folder/config" <<CONFIG
name = "$name"
type = "pv"
kernel = "/boot/vmlinuz-guest"
ramdisk = "$folder/ramdisk"
extra = "console=hvc0 quiet mitigations=off rodata=off cryptomgr.notests $extra"
memory = ${MEMORY:-$([ -n "${FIO:-}" ] && echo 512 || echo 256)}
vcpus = ${VCPUS:-1}
disk = [ ${DISK:-} ]
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
CONFIG
    timeout 120 xl create -q -p "$folder/config" || { rm -rf "$folder"; fail "the guest $name cannot be made"; }
    rm -rf "$folder" # loaded by now, and large
}

# vbd TYPE DOMID DEVID KEY VALUE …: both halves of a disk in xenstore, as a toolstack writes them, for the backends of TYPE.
vbd() {
    local backend=/local/domain/0/backend/$1/$2/$3 frontend=/local/domain/$2/device/vbd/$3 id=$2 number=$3
    local -a more=()
    shift 3
    while [ $# -gt 1 ]; do
        more+=("$backend/$1" "$2")
        shift 2
    done
    xenstore-write "$backend" "" "$frontend" ""
    xenstore-chmod "$backend" n0 "r$id"
    xenstore-chmod "$frontend" "n$id" r0
    # One call is one transaction: a backend that sees its half before the frontend's state takes the device for gone.
    xenstore-write "$backend/frontend" "$frontend" "$backend/frontend-id" "$id" "$backend/online" 1 "$backend/removable" 0 \
        "$backend/bootable" 1 "$backend/type" phy "$backend/mode" w "$backend/device-type" disk "$backend/discard-enable" 1 \
        "${more[@]}" "$backend/state" 1 "$frontend/backend" "$backend" "$frontend/backend-id" 0 \
        "$frontend/virtual-device" "$number" "$frontend/device-type" disk "$frontend/state" 1
}

go() { xl unpause "$1"; }

# type_at GUEST WORDS: types a line on the guest's console.
type_at() { echo "$2" >"$(xenstore-read "/local/domain/$(xl domid "$1")/console/tty")"; }

console() { cat "/var/log/xen/console/guest-$1.log"; }

# await SECONDS COMMAND…: until the command succeeds; fails when the time is over. What asks is best done by the shell itself: each process
# takes an emulated processor from what is waited for.
await() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        pause 0.1
    done
}

# has FILE PATTERN: whether the text of the file matches.
has() {
    local text
    read -rd '' text <"$1"
    [[ $text =~ $2 ]]
} 2>/dev/null

# runs FILE: whether the process whose number is in the file is still there.
runs() {
    local number
    read -r number <"$1"
    [ -d "/proc/$number" ]
}

# attach GUEST VDEV TARGET [OPTIONS]: our backend, in the background; its words go to /run/attach-GUEST-VDEV.log.
attach() {
    local it=/run/attach-$1-$2
    : >"$it.log" # what an earlier one said is not an answer
    xen-blkif attach "$@" --log-level Debug >"$it.log" 2>&1 &
    echo $! >"$it.pid"
    offered_or_ended() { has "$it.log" 'state InitWait' || ! runs "$it.pid"; }
    await 60 offered_or_ended && has "$it.log" 'state InitWait' || fail "xen-blkif attach $* did not offer the disk"
}

# attached_ends GUEST VDEV: waits until that backend has ended by itself.
attached_ends() {
    ended() { ! runs "$1"; }
    await 60 ended "/run/attach-$1-$2.pid" || fail "the backend of $1 $2 still runs"
}

# serve [LEVEL [OPTIONS]]: our backend for all disks of backend/blkif, in the background; its words go to /run/serve.log.
serve() {
    xen-blkif serve --log-level "${1:-Debug}" "${@:2}" >/run/serve.log 2>&1 &
    echo $! >/run/serve.pid
}

# log_says FILE PATTERN [TIMES]: waits until as many of its lines match.
log_says() {
    said_so() { [ "$(grep -cE "$2" "$1")" -ge "$3" ]; }
    await 60 said_so "$1" "$2" "${3:-1}" || fail "$1 does not say $2 as often as ${3:-1}"
}

# withdraw GUEST-ID NUMBER: asks for a disk back, waits until it is closed, and removes its nodes, as a toolstack does.
withdraw() {
    local backend=/local/domain/0/backend/blkif/$1/$2
    xenstore-write "$backend/online" 0 "$backend/state" 5
    node_says "$backend/state" 6
    xenstore-rm "$backend" "/local/domain/$1/device/vbd/$2"
}

# node_says PATH VALUE: waits until the node of xenstore has the value.
node_says() {
    node_is() { [ "$(xenstore-read "$1" 2>/dev/null)" = "$2" ]; }
    await 60 node_is "$1" "$2" || fail "$1 did not become $2"
}

# says GUEST PATTERN [SECONDS]: waits until the guest's console matches; gives up when its job has ended without that.
says() {
    local log=/var/log/xen/console/guest-$1.log
    await "${3:-120}" has "$log" "$2|GUEST-(DONE|FAILED)" && has "$log" "$2" && return
    console "$1"
    fail "the guest $1 never said $2"
}

# finishes GUEST [SECONDS]: waits until the guest's job has ended and all of its commands have succeeded.
finishes() {
    gone() { ! xl domid "$1" >/dev/null 2>&1; }
    says "$1" 'GUEST-DONE' "${2:-120}"
    await 60 gone "$1" || fail "the guest $1 does not end"
}

md5() { md5sum <"$1" | cut -d' ' -f1; }

# Between scenarios: no guest, no backend, no image.
clean_up() {
    pkill -TERM -x xen-blkif
    pkill -KILL -f Xen.Blkif.RealXen.dll
    xl list | tail -n +2 | while read -r _ id _; do [ "$id" = 0 ] || xl destroy "$id"; done
    losetup -D
    none_left() { ! pgrep -x xen-blkif >/dev/null; }
    await 5 none_left
    pkill -KILL -x xen-blkif
    rm -rf /tmp/* /dev/shm/* /run/attach-* /run/serve.* /var/log/xen/console/*
}

# What a guest does to show that its disk keeps its data: it reads all of it, and then fio verifies what it wrote itself.
job_of_data=/lab/job-of-data

# keeps_its_data GUEST MD5: whether the guest's job of data went well.
keeps_its_data() {
    console "$1" | grep "MD5 $2" || fail "the guest $1 read something else than $2"
    console "$1" | grep 'VERIFIED 4' || fail "fio in the guest $1 did not verify 4 block sizes"
}
