# shellcheck shell=bash
# What the scripts of this folder share: packages, building, and the environment of MPI. To be sourced.

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# shellcheck source=jobs/there.sh
. "$repo/jobs/there.sh"

# say LINE…: to people, on standard error.
say() { printf '%s\n' "$@" >&2; }

# find_missing PURPOSE…: fills missing_packages and missing_things.
find_missing() {
    missing_packages=() missing_things=()
    local purpose way packages thing
    while IFS='|' read -r purpose way packages thing; do
        read -r purpose <<<"$purpose"
        read -r way <<<"$way"
        [[ -z $purpose || $purpose == \#* || " $* " != *" $purpose "* ]] && continue
        is_there "$way" && continue
        read -ra packages <<<"$packages"
        missing_packages+=("${packages[@]}")
        missing_things+=("${thing# } ($way)")
    done <"$repo/jobs/packages.txt"
}

# apt_install PACKAGE…: as root, or through sudo where that needs no question or there is somebody to answer it. A package that
# this release does not have keeps none of the others away.
apt_install() {
    local as_root=() known=() package
    if ((EUID != 0)); then
        command -v sudo >/dev/null || return 1
        [[ -t 0 ]] || sudo -n true 2>/dev/null || return 1
        as_root=(sudo)
    fi
    say "Looking for these with apt-get: $*"
    "${as_root[@]}" apt-get update -qq </dev/null || return
    for package; do
        if [[ -n $(apt-cache show "$package" 2>/dev/null) ]]; then known+=("$package"); else say "apt-get knows no package $package"; fi
    done
    ((${#known[@]})) || return 0
    say "Installing with apt-get: ${known[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install \
        -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${known[@]}" </dev/null >&2
}

# ensure_packages PURPOSE…: install what is missing, or say what it is and fail.
ensure_packages() {
    find_missing "$@"
    ((${#missing_things[@]} == 0)) && return
    if command -v apt-get >/dev/null && apt_install "${missing_packages[@]}"; then
        find_missing "$@"
        ((${#missing_things[@]} == 0)) && return
    fi
    say "" "Missing:"
    printf '  - %s\n' "${missing_things[@]}" >&2
    if command -v apt-get >/dev/null; then
        say "Ask an administrator for: apt-get install ${missing_packages[*]}"
    else
        say "Install these with your system's packages (often named …-devel), or on a cluster load the" \
            "modules that hold them. pkg-config finds a module through PKG_CONFIG_PATH, the compiler" \
            "a header through CPATH, a program is found through PATH. Then run this again."
    fi
    return 1
}

# build FOLDER OPTION…: configure and build.
build() {
    local folder=$1 generator=()
    shift
    [[ -e $folder/CMakeCache.txt ]] || ! command -v ninja >/dev/null || generator=(-G Ninja)
    cmake -S "$repo" -B "$folder" "${generator[@]}" "$@" >"$folder.log" 2>&1 || {
        cat "$folder.log" >&2
        return 1
    }
    rm -f "$folder.log"
    cmake --build "$folder" --parallel "$(nproc)"
}

physical_cores() {
    local cores
    cores=$(lscpu -p=Core,Socket 2>/dev/null | grep -v '^#' | sort -u | wc -l)
    ((cores > 0)) || cores=$(nproc)
    echo $((cores < $(nproc) ? cores : $(nproc)))
}

# keep_alive: mpirun notices after 12 s that a host has gone away, and ends the job; otherwise it waits for ever.
keep_alive() {
    export OMPI_MCA_oob_tcp_keepalive_{time=4,intvl=2,probes=3} # Open MPI 4
    export PRTE_MCA_oob_tcp_keepalive_{time=4,intvl=2,probes=3} # Open MPI 5
}

# mpi_environment RANKS: what mpirun needs to start so many ranks on this machine. What is set already stays.
mpi_environment() {
    # One thread each: the ranks share the cores among them.
    export OPENBLAS_NUM_THREADS=${OPENBLAS_NUM_THREADS:-1}
    # Where PoCL is installed, hwloc's OpenCL plugin takes the signal USR1 away.
    export HWLOC_COMPONENTS=${HWLOC_COMPONENTS:--opencl}
    keep_alive
    # odls_base_sigkill_timeout stays at its one second: a longer time delays the very signal that asks ranks to stop by as much,
    # and the end of every job that fails by about twice as much.
    if ((EUID == 0)); then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
        export PRTE_ALLOW_RUN_AS_ROOT=1 PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1 # Open MPI 5
    fi
    if (($1 > $(physical_cores))); then
        export OMPI_MCA_rmaps_base_oversubscribe=1
        export PRTE_MCA_rmaps_default_mapping_policy=${PRTE_MCA_rmaps_default_mapping_policy:-:oversubscribe}
        export OMPI_MCA_mpi_yield_when_idle=1
    fi
}
