# What scenarios call in domain 0. Each scenario is a script of its own, run with "set -e": the first command that fails fails it.

# pause SECONDS: waits, without a process of its own: what asks again and again must not slow down what it asks for.
exec {never}<> <(:)
pause() { read -rt "$1" -u "$never" || true; }

# fail WORDS: ends the scenario, with what the backends said and what xenstore holds.
fail() {
    tail -n 30 /run/attach-*.log /run/serve.log 2>/dev/null
    xenstore-ls -f /local/domain/0/backend/blkif 2>/dev/null
    echo "FAILED: $*"
    exit 1
}

# image NAME SIZE: a disk image of random bytes in memory; prints its path.
image() {
    head -c "$2" /dev/urandom >"/dev/shm/$1.img"
    echo "/dev/shm/$1.img"
}

# guest NAME [CMDLINE] <<<'what it runs': starts a PV guest that is paused until "go NAME". It has no disk: attach one.
# Before it: FIO=1 (the guest has fio), VCPUS, DISK (a disk of another backend, as xl's configuration has it).
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
extra = "console=hvc0 quiet mitigations=off cryptomgr.notests $extra"
memory = $([ -n "${FIO:-}" ] && echo 512 || echo 256)
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

# attach GUEST VDEV TARGET [OPTIONS]: our backend, in the background; its words go to /run/attach-GUEST-VDEV.log.
attach() {
    local guest=$1 vdev=$2 log=/run/attach-$1-$2.log
    xen-blkif attach "$@" --log-level Debug >"$log" 2>&1 &
    echo $! >"/run/attach-$guest-$vdev.pid"
    for _ in {1..300}; do
        grep -q 'state InitWait' "$log" && return
        kill -0 "$(cat "/run/attach-$guest-$vdev.pid")" 2>/dev/null || break
        pause 0.1
    done
    cat "$log"
    fail "xen-blkif attach $* did not offer the disk"
}

# attached_ends GUEST VDEV: waits until that backend has ended by itself.
attached_ends() {
    local pid
    pid=$(cat "/run/attach-$1-$2.pid")
    for _ in {1..300}; do
        kill -0 "$pid" 2>/dev/null || return 0
        pause 0.1
    done
    cat "/run/attach-$1-$2.log"
    fail "the backend of $1 $2 still runs"
}

# serve [LEVEL]: our backend for all disks of backend/blkif, in the background; its words go to /run/serve.log.
serve() {
    xen-blkif serve --log-level "${1:-Debug}" >/run/serve.log 2>&1 &
    echo $! >/run/serve.pid
}

# serve_says PATTERN [TIMES]: waits until it has said so as often as that.
serve_says() {
    for _ in {1..300}; do
        [ "$(grep -cE "$1" /run/serve.log)" -ge "${2:-1}" ] && return
        pause 0.1
    done
    cat /run/serve.log
    fail "serve did not say $1"
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
    for _ in {1..300}; do
        [ "$(xenstore-read "$1" 2>/dev/null)" = "$2" ] && return
        pause 0.1
    done
    fail "$1 did not become $2"
}

# says GUEST PATTERN [SECONDS]: waits until the guest's console has a line that matches.
says() {
    local id
    id=$(xl domid "$1" 2>/dev/null) || id=gone
    for _ in $(seq $((${3:-90} * 5))); do
        grep -qE "$2" "/var/log/xen/console/guest-$1.log" 2>/dev/null && return
        xenstore-exists "/local/domain/$id" || break
        pause 0.2
    done
    grep -qE "$2" "/var/log/xen/console/guest-$1.log" && return
    console "$1"
    fail "the guest $1 never said $2"
}

# finishes GUEST [SECONDS]: waits until the guest's job has ended and all of its commands have succeeded.
finishes() {
    says "$1" 'GUEST-(DONE|FAILED)' "${2:-120}"
    if grep -q GUEST-FAILED "/var/log/xen/console/guest-$1.log"; then
        console "$1"
        fail "the job of the guest $1 failed"
    fi
    for _ in {1..100}; do
        xl domid "$1" >/dev/null 2>&1 || return 0
        pause 0.3
    done
    fail "the guest $1 does not end"
}

md5() { md5sum <"$1" | cut -d' ' -f1; }

# Between scenarios: no guest, no backend, no image.
clean_up() {
    pkill -TERM -f xen-blkif.dll
    pkill -KILL -f Xen.Blkif.RealXen.dll
    xl list | tail -n +2 | while read -r _ id _; do [ "$id" = 0 ] || xl destroy "$id"; done
    losetup -D
    for _ in {1..50}; do
        pgrep -f xen-blkif.dll >/dev/null || break
        pause 0.1
    done
    pkill -KILL -f xen-blkif.dll
    rm -rf /tmp/* /dev/shm/* /run/attach-* /run/serve.* /var/log/xen/console/*
}

# What a guest does to show that its disk keeps its data: it reads all of it, and then fio verifies what it wrote itself.
job_of_data=/lab/job-of-data

# keeps_its_data GUEST MD5: whether the guest's job of data went well.
keeps_its_data() {
    console "$1" | grep "MD5 $2" || fail "the guest $1 read something else than $2"
    console "$1" | grep 'VERIFIED 4' || fail "fio in the guest $1 did not verify 4 block sizes"
}
