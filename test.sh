#!/usr/bin/env bash
# Builds everything and runs every test. See --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
    cat <<'HELP'
usage: ./test.sh [-h|--help]

Builds Xen.Blkif.sln in Release, packs and validates the packages, and runs all tests. Ignored tests are listed at the end with their reasons.

On Debian (and what is made of it), as root, missing tools that tests compare with are installed first:
gcc and libxen-dev (Xen's own headers), e2fsprogs (file systems), strace (failing system calls), qemu-system-x86, cpio, kmod, xz-utils
and zlib1g-dev (a machine with the real hypervisor, which is made of Debian packages, and a program of native code for it). Elsewhere, tests without their tool are ignored.

Environment:
  XEN_BLKIF_REQUIRE_ALL=1   a missing tool fails the tests that need it; set by this script when all are there, or CI=true
  XEN_BLKIF_FUZZ_SECONDS=N  how long the fuzzer plays a hostile guest; 300 by default, 0 not at all
  XEN_BLKIF_RING_SEED=N     repeats a random walk over the rings; a walk prints its own seed
  XEN_BLKIF_TARGET_SEED=N   repeats a random walk over the targets; as above
  XEN_BLKIF_LAB_ONLY=WORDS  the scenarios on the real hypervisor whose names contain one of these words, which commas separate
HELP
}

has_program() { PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null; }

missing_packages() {
    has_program gcc || echo gcc
    [ -e /usr/include/xen/io/blkif.h ] || echo libxen-dev
    has_program mke2fs || echo e2fsprogs
    has_program strace || echo strace
    has_program qemu-system-x86_64 || echo qemu-system-x86
    has_program cpio || echo cpio
    has_program depmod || echo kmod
    has_program xz || echo xz-utils
    [ -e /usr/include/zlib.h ] || echo zlib1g-dev
}

install_missing_packages() {
    local -a packages
    mapfile -t packages < <(missing_packages)
    if [ "${#packages[@]}" -eq 0 ]; then
        return
    fi
    if ! has_program apt-get || [ "$(id -u)" -ne 0 ]; then
        echo "Not installed: ${packages[*]} (Debian, as root: apt-get install ${packages[*]})"
        return
    fi

    echo "Installing: ${packages[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log"
        echo "Could not install: ${packages[*]}"
    fi
    rm -f "$log"
}

# Name and reason of every test that was not run, from the result files; the cases of one test in one line.
list_ignored() {
    local file
    for file in "$1"/*.trx; do
        [ -e "$file" ] || continue
        awk -v RS='<UnitTestResult ' '
            /outcome="NotExecuted"/ {
                name = $0; sub(/.*testName="/, "", name); sub(/[("].*/, "", name)
                reason = $0
                if (reason ~ /<Message>/) { sub(/.*<Message>/, "", reason); sub(/<\/Message>.*/, "", reason) } else reason = "no reason given"
                gsub(/[ \n\r\t]+/, " ", reason); sub(/^ignored: /, "", reason)
                print "  ignored: " name ": " reason
            }' "$file"
    done | sed -e 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&apos;/'"'"'/g; s/&#x[0-9A-Fa-f]*;/ /g; s/&amp;/\&/g' | sort | uniq -c | sed -e 's/^ *\([0-9]*\) \(.*\)/\2 (\1 cases)/; s/ (1 cases)$//'
}

case "${1:-}" in
    -h | --help) usage; exit 0 ;;
    "") ;;
    *) usage >&2; exit 2 ;;
esac

install_missing_packages
is_bookworm() { grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release; }

if [ "${CI:-}" = true ] || { [ -z "$(missing_packages)" ] && is_bookworm; }; then
    export XEN_BLKIF_REQUIRE_ALL=1
fi
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

dotnet build Xen.Blkif.sln -c Release -v quiet

results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT

# Package validation: what compiles against one target framework of a package runs on the others.
dotnet pack Xen.Blkif.sln -c Release --no-build -v quiet -o "$results/packages"

status=0
run_tests() {
    set +e
    dotnet test "$@" -c Release --no-build --logger 'trx;LogFilePrefix=tests' --results-directory "$results" |
        grep -v --line-buffered -e '^Results File:' -e '^Test run for' -e '^A total of' -e '^ *Skipped ' -e '^No test matches' -e '^$'
    [ "${PIPESTATUS[0]}" -eq 0 ] || status=1
    set -e
}

# A hostile guest against the backend. Says how many moves it made, or what it found and the moves that it takes.
run_fuzzer() {
    local seconds=${XEN_BLKIF_FUZZ_SECONDS:-300} log=$results/fuzzer.log
    if [ "$seconds" -eq 0 ]; then
        return
    fi
    if dotnet tests/Xen.Blkif.Fuzz/bin/Release/net10.0/Xen.Blkif.Fuzz.dll --seconds "$seconds" >"$log" 2>&1; then
        echo "Fuzzer: $(grep '^seed ' "$log"), $(tail -n 1 "$log" | sed 's/^ *//')"
    else
        cat "$log"
        echo "Fuzzer: failed."
        status=1
    fi
}

# The real hypervisor comes last and alone: it wants all processors.
run_tests Xen.Blkif.sln --filter 'TestCategory!=RealXen'
run_fuzzer
run_tests tests/Xen.Blkif.RealXen

ignored=$(list_ignored "$results")
if [ -n "$ignored" ]; then
    echo "Tests that did not run:"
    echo "$ignored"
fi
if [ "$status" -eq 0 ]; then
    echo "Tests passed."
else
    echo "Tests failed."
fi
exit "$status"
