# What scenarios call in domain 0. Each scenario is a script of its own, run with "set -e": the first command that fails fails it.

# fail WORDS: ends the scenario, with what the backends said and what xenstore holds.
fail() {
    tail -n 30 /run/attach-*.log 2>/dev/null
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
kernel = "/lab/vmlinuz"
ramdisk = "$folder/ramdisk"
extra = "console=hvc0 quiet mitigations=off $extra"
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

console() { cat "/var/log/xen/console/guest-$1.log"; }

# attach GUEST VDEV TARGET [OPTIONS]: our backend, in the background; its words go to /run/attach-GUEST-VDEV.log.
attach() {
    local guest=$1 vdev=$2 log=/run/attach-$1-$2.log
    xen-blkif attach "$@" --log-level Debug >"$log" 2>&1 &
    echo $! >"/run/attach-$guest-$vdev.pid"
    for _ in {1..300}; do
        grep -q 'state InitWait' "$log" && return
        kill -0 "$(cat "/run/attach-$guest-$vdev.pid")" 2>/dev/null || break
        sleep 0.1
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
        sleep 0.1
    done
    cat "/run/attach-$1-$2.log"
    fail "the backend of $1 $2 still runs"
}

# says GUEST PATTERN [SECONDS]: waits until the guest's console has a line that matches.
says() {
    for _ in $(seq $((${3:-90} * 5))); do
        grep -qE "$2" "/var/log/xen/console/guest-$1.log" 2>/dev/null && return
        xl domid "$1" >/dev/null 2>&1 || break
        sleep 0.2
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
    for _ in {1..150}; do
        xl domid "$1" >/dev/null 2>&1 || return 0
        sleep 0.2
    done
    fail "the guest $1 does not end"
}

md5() { md5sum <"$1" | cut -d' ' -f1; }

# Between scenarios: no guest, no backend, no image.
clean_up() {
    pkill -TERM -f xen-blkif.dll
    xl list | tail -n +2 | while read -r _ id _; do [ "$id" = 0 ] || xl destroy "$id"; done
    for _ in {1..50}; do
        pgrep -f xen-blkif.dll >/dev/null || break
        sleep 0.1
    done
    pkill -KILL -f xen-blkif.dll
    rm -rf /tmp/* /dev/shm/* /run/attach-* /run/serve.log /var/log/xen/console/*
}
