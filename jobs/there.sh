# shellcheck shell=bash
# Tells whether something is on this machine. To be sourced: by setup.sh for packages, by tests for what they need.

# is_there WAYS: whether something is there. The ways of packages.txt, with "and" or "or" between them, and:
#   processor avx2 | avx512 | x86_64
#   digests KERNELS              e2e.before knows the bits with these kernels
#   ability root                 to be root
#   ability mounts               to mount file systems, at least in a namespace of one's own
#   ability user-mounts          to mount them in a namespace of users as well
#   ability control-groups       to make a control group whose memory is limited
#   ability namespaces           to make namespaces with their own host name and mounts
#   ability network-namespaces   with their own network and processes as well
#   ability network-cards        and to have network cards there whose other end is a program (TAP)
#   ability cores                to bind ranks: at least two cores
#   ability disk                 temporary files lie on a disk, not in memory
#   ability libfuzzer            clang has libFuzzer and the address sanitizer
#   ability openmpi              the MPI launcher is Open MPI's
#   ability pypi                 pip reaches PyPI, or what stands for it
#   ability worktree             the sources stand in a work tree of git
is_there() {
    if [[ $1 == *" or "* ]]; then
        is_there "${1%% or *}" || is_there "${1#* or }"
        return
    fi
    if [[ $1 == *" and "* ]]; then
        is_there "${1%% and *}" && is_there "${1#* and }"
        return
    fi
    local kind=${1%% *} name=${1#* } least preprocessor
    case $kind in
    program)
        least=${name#*>=}
        name=${name%%>=*}
        command -v "$name" >/dev/null || return 1
        [[ $least == "$name" ]] || sort -C -V <<<"$least"$'\n'"$("$name" --version | grep -oE '[0-9]+(\.[0-9]+)+' | head -n 1)"
        ;;
    header)
        read -ra preprocessor <<<"${CC:-cc}" # may be "ccache gcc"
        "${preprocessor[@]}" -E -x c - <<<"#include <$name>" >/dev/null 2>&1
        ;;
    module) pkg-config --exists "$name" 2>/dev/null ;;
    icd) [[ -e ${OCL_ICD_VENDORS:-/etc/OpenCL/vendors}/$name.icd ]] ;;
    python) /usr/bin/python3 -c "import $name" 2>/dev/null ;;
    digests) grep -qF "\"$name\": {" "$(dirname "${BASH_SOURCE[0]}")/../tests/e2e/before/expected.json" ;;
    processor) is_processor "$name" ;;
    ability) is_able "$name" ;;
    *)
        echo "\"$1\": no such way of looking" >&2
        return 2
        ;;
    esac
}

# has_flags FLAG…: the processor has all of them.
has_flags() {
    local flags flag
    flags=" $(sed -n 's/^flags[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1) "
    for flag in "$@"; do [[ $flags == *" $flag "* ]] || return 1; done
}

is_processor() {
    case $1 in
    x86_64) [[ $(uname -m) == x86_64 ]] ;;
    avx2) has_flags avx2 fma ;;
    avx512) has_flags avx2 fma avx512f avx512vl avx512bw avx512dq ;;
    *)
        echo "processor $1: not known" >&2
        return 2
        ;;
    esac
}

reaches_pypi() {
    local folder code=0
    folder=$(mktemp -d)
    timeout 60 python3 -m pip download --quiet --no-deps --dest "$folder" safetensors >/dev/null 2>&1 || code=$?
    rm -rf "$folder"
    return "$code"
}

# memory_group NAME: makes a control group whose memory can be limited; prints the file that takes the limit.
memory_group() {
    local parent file
    for parent in /sys/fs/cgroup/memory /sys/fs/cgroup; do
        mkdir "$parent/$1" 2>/dev/null || continue
        for file in memory.limit_in_bytes memory.max; do
            [[ ! -w $parent/$1/$file ]] || {
                echo "$parent/$1/$file"
                return
            }
        done
        rmdir "$parent/$1"
    done
    return 1
}

can_limit_memory() {
    local file
    file=$(memory_group "dtrain-there.$$") && rmdir "${file%/*}"
}

is_able() {
    case $1 in
    root) ((EUID == 0)) ;;
    mounts) unshare -m mount -t tmpfs tmpfs /mnt 2>/dev/null ;;
    user-mounts) unshare -rm mount -t tmpfs tmpfs /mnt 2>/dev/null ;;
    control-groups) can_limit_memory ;;
    namespaces) unshare -u -m true 2>/dev/null ;;
    network-namespaces)
        unshare --mount --uts --net --pid --fork --kill-child=KILL --mount-proc ip link set lo up 2>/dev/null
        ;;
    network-cards) unshare --net ip tuntap add dev eth0 mode tap 2>/dev/null ;;
    cores) (($(nproc) >= 2)) ;;
    disk) [[ $(stat -f -c %T "${TMPDIR:-/tmp}") != tmpfs ]] ;;
    libfuzzer)
        echo 'int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return !data && size; }' |
            "$(command -v clang-14 || command -v clang)" -fsanitize=fuzzer,address -x c -o /dev/null - 2>/dev/null
        ;;
    openmpi) mpirun --version 2>/dev/null | grep -q 'Open MPI\|OpenRTE' ;;
    pypi) reaches_pypi ;;
    worktree) git -C "$(dirname "${BASH_SOURCE[0]}")" rev-parse 2>/dev/null ;;
    *)
        echo "ability $1: not known" >&2
        return 2
        ;;
    esac
}

# have WAYS: for what a part of a test needs. If it is not there it says so, for skipped.sh.
have() {
    is_there "$1" || {
        echo "SKIPPED: needs $1"
        return 1
    }
}

# need WAYS…: for what a test needs. Ends it as skipped unless all of them are there; 77 is how ctest knows.
need() {
    local ways
    for ways in "$@"; do have "$ways" || exit 77; done
}
