# Sourced by the commands of bench/run: finding programs, taking times, medians, and leaving nothing behind.

bench_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
bin_dir=${NBD_BENCH_BIN:-$bench_dir/../build/bin}
servers=() # process ids
read -r load_before _ </proc/loadavg

fail() {
    printf 'bench/run: %s\n' "$*" >&2
    exit 1
}

# program NAME: its path, from build/bin or PATH; empty if there is none.
program() {
    if [ -x "$bin_dir/$1" ]; then
        realpath "$bin_dir/$1"
    else
        command -v "$1" || true
    fi
}

# need NAME...: ends the script if a program is missing.
need() {
    local name
    for name; do
        [ -n "$(program "$name")" ] || fail "$name is not installed: apt install $(package_of "$name")"
    done
}

package_of() {
    case $1 in
    nbdcopy | nbdinfo) echo libnbd-bin ;;
    qemu-nbd | qemu-io) echo qemu-utils ;;
    nbd-resize-server | nbd-interop) echo "nothing, but build the project first" ;;
    *) echo "$1" ;;
    esac
}

# A folder in memory, gone at the end, as are the servers.
make_work_dir() {
    work=$(mktemp -d "${TMPDIR:-/dev/shm}/nbd-bench.XXXXXX")
    trap clean_up EXIT
    trap 'exit 130' INT TERM
}

clean_up() {
    local pid
    for pid in "${servers[@]}"; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$work"
}

# start_server SOCKET COMMAND...: returns when the socket is there; the process id is in $server.
start_server() {
    local socket=$1 i
    shift
    "$@" >"$socket.log" 2>&1 &
    server=$!
    servers+=("$server")
    for ((i = 0; i < 1000; i++)); do
        [ -S "$socket" ] && return
        kill -0 "$server" 2>/dev/null || fail "$1 ended: $(cat "$socket.log")"
        sleep 0.01
    done
    fail "$1 made no socket within 10 seconds"
}

# seconds COMMAND...: how long it takes; its output is shown only if it fails.
seconds() {
    local from=$EPOCHREALTIME to
    "$@" >"$work/output" 2>&1 || fail "failed: $*: $(cat "$work/output")"
    to=$EPOCHREALTIME
    awk -v from="$from" -v to="$to" 'BEGIN { printf "%.6f\n", to - from }'
}

# median < numbers, one a line
median() {
    sort -g | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'
}

# middle FORMAT < numbers: "median (lowest to highest)", each written with FORMAT
middle() {
    sort -g | awk -v f="$1" '{ v[NR] = $1 }
        END { printf f " (" f " to " f ")\n", NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2, v[1], v[NR] }'
}

# ratio A B: the median of the quotients of two files of numbers, line by line
ratio() {
    paste "$1" "$2" | awk '{ print $1 / $2 }' | median | awk '{ printf "%.2f\n", $1 }'
}

# The machine, in one line; a warning on standard error if it has other work to do.
machine() {
    if awk -v load="$load_before" -v n="$(nproc)" 'BEGIN { exit !(load > n / 4) }'; then
        echo "bench/run: the machine was not idle before (load $load_before): do not trust the numbers" >&2
    fi
    printf '%s, %s processors, Linux %s, %s\n' "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)" \
        "$(nproc)" "$(uname -r)" "$(. /etc/os-release && echo "$PRETTY_NAME")"
}
