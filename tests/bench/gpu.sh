#!/usr/bin/env bash
# Tests and measures dtrain on an OpenCL device, in at most 8 minutes, without a network; writes one report.
#
#   tests/bench/gpu.sh [REPORT]                    REPORT: build/gpu/REPORT.md unless said
#   DTRAIN_LIBRARIES=FOLDER tests/bench/gpu.sh     where nothing may be installed: FOLDER has what `dpkg -x` unpacks of the packages of
#                                                  jobs/packages.txt
#
# SECONDS_ALL=480: the time for all. BUILD=build/gpu: where it builds; what is there already is not built again. Exit code 1 if a
# test failed; what there was no time for is named. On a device that is no GPU (PoCL) the sizes are small.
set -euo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$(realpath -m "${BUILD:-$repo/build/gpu}")
report=$(realpath -m "${1:-$build/REPORT.md}")
[[ -z ${DTRAIN_LIBRARIES:-} ]] || DTRAIN_LIBRARIES=$(realpath "$DTRAIN_LIBRARIES")
cd "$repo"
end=$((SECONDS + ${SECONDS_ALL:-480}))
mkdir -p "$build"
work=$(mktemp -d "${TMPDIR:-/tmp}/dtrain-gpu.XXXXXX")
trap 'rm -rf "$work"' EXIT

# ---- the environment ----

if [[ -n ${DTRAIN_LIBRARIES:-} ]]; then
    root=$DTRAIN_LIBRARIES/usr
    libraries=$root/lib/$(uname -m)-linux-gnu
    export PATH=$root/bin:$PATH CMAKE_PREFIX_PATH=$root${CMAKE_PREFIX_PATH:+:$CMAKE_PREFIX_PATH}
    export PKG_CONFIG_PATH=$libraries/pkgconfig:$root/share/pkgconfig PKG_CONFIG_SYSROOT_DIR=${root%/usr}
    export CPATH=$root/include:$root/include/hdf5/serial${CPATH:+:$CPATH} LIBRARY_PATH=$libraries${LIBRARY_PATH:+:$LIBRARY_PATH}
    export LD_LIBRARY_PATH=$libraries:$libraries/openblas-pthread${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
    export OPAL_PREFIX=$libraries/openmpi
fi
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export OMPI_MCA_mpi_yield_when_idle=1 OPENBLAS_NUM_THREADS=1 HWLOC_COMPONENTS=-opencl
export POCL_MAX_PTHREAD_COUNT=${POCL_MAX_PTHREAD_COUNT:-1} # of PoCL: each rank has a core

# ---- the report ----

failures=0
: >"$report"
write() { printf '%s\n' "$*" | tee -a "$report"; }

# left: the seconds that are left.
left() { echo $((end - SECONDS)); }

# row WHAT RESULT
row() { write "| $1 | $2 |"; }

# timed SECONDS COMMAND…: at most so long, and no longer than there is time; its output is in $work/out. $took: the seconds.
timed() {
    local most=$1 begin=$EPOCHREALTIME code=0
    shift
    (($(left) >= most)) || most=$(left)
    ((most > 0)) || return 124
    timeout -k 5 "$most" "$@" >"$work/out" 2>&1 || code=$?
    took=$(awk "BEGIN { printf \"%.1f\", ${EPOCHREALTIME/,/.} - ${begin/,/.} }")
    return "$code"
}

# test_row WHAT SECONDS COMMAND…: a row that says whether it passed.
test_row() {
    local what=$1 code=0
    shift
    timed "$@" || code=$?
    case $code in
    0) row "$what" "passed in $took s" ;;
    124 | 137) row "$what" "no time for it" ;;
    *)
        failures=$((failures + 1))
        row "$what" "**FAILED**, exit code $code: $(tail -n 1 "$work/out" | tr '|' '/' | cut -c 1-200)"
        sed 's/^/    /' "$work/out" | tail -n 30 >&2
        ;;
    esac
    return 0
}

# number NAME FILE: of a line of JSON.
number() { sed -n "s/.*\"$1\":\"\{0,1\}\([^,\"}]*\).*/\1/p" "$2" | head -n 1; }

# ---- building ----

begin=$SECONDS
if [[ ! -e $build/build.ninja && ! -e $build/Makefile ]]; then
    generator=()
    [[ -e $build/CMakeCache.txt ]] || ! command -v ninja >/dev/null || generator=(-G Ninja)
    cmake -S . -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release -DDTRAIN_OPENCL=ON >"$build/configure.log" 2>&1 || {
        cat "$build/configure.log" >&2
        exit 1
    }
fi
targets=(dtrain bench_opencl grad_{operations,attention,dropout,model,frozen,generation})
cmake --build "$build" --parallel "$(nproc)" --target "${targets[@]}" >"$build/build.log" 2>&1 || {
    tail -n 30 "$build/build.log" >&2
    exit 1
}
built=$((SECONDS - begin))
dtrain=$(realpath "$build/dtrain")
train=("$dtrain" --log-level warn --keep 1 --eval-every 0 --checkpoint-every never)

"$build/bench_opencl" >"$work/device" || exit
gpu=$(number gpu "$work/device")
peak=$(number gflops "$work/device")
write "# dtrain on $(number device "$work/device")"
write
write "| | |"
write "|---|---|"
row "device, driver" "$(number device "$work/device"), $(number driver "$work/device"); a GPU: $gpu"
row "processor" "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1), $(nproc) cores"
row "commit" "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)"
row "building" "$built s"
row "the device's peak, float32 in registers" "$peak GFLOP/s"
row "the device's memory, copying" "$(number gbytes "$work/device") GB/s"

# ---- is it right? ----

for name in operations attention dropout model frozen generation; do
    DTRAIN_TEST_BACKEND=opencl test_row "grad_$name on the device" 60 "$build/grad_$name"
done
small=(--layers 2 --width 32 --heads 2 --batch 16 --shards 4 --schedule constant --warmup 4 --dropout 0.1)
test_row "--check-gradients on the device" 60 "$dtrain" --check-gradients "${small[@]}" --backend opencl --out "$work/none"

# The steps of one rank, repeated by four on the same device.
cd "$work"
timed 60 "${train[@]}" "${small[@]}" --keep 0 --checkpoint-every 5 --steps 10 --backend opencl --out one || row "a short run" "**FAILED**"
test_row "the same bits: 5 steps of 1 rank again on 4 ranks, one device" 90 \
    mpirun -np 4 "$dtrain" verify --replay one/checkpoint-00000005.h5 one/checkpoint-00000010.h5 --backend opencl

# A checkpoint from one to the other and back; the loss is that of a run on the processor alone, but for rounding.
cat >interchange <<END
set -euo pipefail
train() { ${train[*]@Q} ${small[*]@Q} --precision float32 "\$@"; }
loss() { ${dtrain@Q} info "\$1" | sed -n 's/^last step *loss \([0-9.]*\),.*/\1/p'; }
train --steps 30 --backend cpu --out alone
train --steps 10 --backend cpu --out mixed
train --steps 20 --backend opencl --out mixed
train --steps 30 --backend cpu --out mixed
awk "BEGIN { a = \$(loss alone); b = \$(loss mixed); print \"loss alone\", a, \"mixed\", b; exit !(a > 0 && (a - b) ^ 2 < 1e-8) }"
END
test_row "a checkpoint from the processor to the device and back" 60 bash interchange

# ---- how fast is it? ----

# rate FOLDER: tokens a second, from its settings and times.
rate() {
    "$dtrain" info "$1" --json >"$work/info"
    awk "BEGIN { printf \"%.0f\", $(number tokens "$work/info") / $(number seconds "$work/info") }"
}
# share FOLDER LAYERS WIDTH: GFLOP/s of the model's products and attention, and their share of the device's peak; a backward pass
# counts twice its forward pass.
share() {
    "$dtrain" info "$1" --json >"$work/info"
    awk -v tokens="$(number tokens "$work/info")" -v problems="$(number problems "$work/info")" \
        -v seconds="$(number seconds "$work/info")" -v vocabulary="$(number vocabulary "$work/info")" \
        -v L="$2" -v C="$3" -v peak="$peak" 'BEGIN {
        m = tokens / problems
        flop = 3 * tokens * (2 * (12 * L * C * C + C * vocabulary) + 2 * L * C * (m + 1))
        printf "%.1f GFLOP/s, %.3f of the peak", 1e-9 * flop / seconds, 1e-9 * flop / seconds / peak }'
}

if [[ $gpu == true ]]; then
    wide=(--layers 8 --width 1024 --heads 16 --batch 2048 --micro-batch 256 --shards 8 --steps 20) layers=8 steps=4800
else
    wide=(--layers 1 --width 1024 --heads 16 --batch 8 --micro-batch 8 --shards 1 --steps 2) layers=1 steps=20
fi
if timed 120 "${train[@]}" "${wide[@]}" --backend opencl --out wide; then
    row "width 1024, $layers layers (${wide[*]:6})" "$(rate wide) tokens/s: $(share wide $layers 1024)"
else
    row "width 1024, $layers layers" "no time for it, or failed: $(tail -n 1 out | tr '|' '/' | cut -c 1-200)"
fi
if timed 200 "$dtrain" --log-level warn --steps "$steps" --backend opencl --out default; then
    "$dtrain" info default --json >default.json
    row "the default job, $steps of 4800 steps, 1 rank" \
        "$(rate default) tokens/s, $(number seconds default.json) s; exact match $(number best default.json)"
else
    row "the default job, $steps steps" "no time for it, or failed: $(tail -n 1 out | tr '|' '/' | cut -c 1-200)"
fi
if timed 30 "${train[@]}" --steps 100 --backend cpu --precision float32 --out processor; then
    row "the default job on one core of the processor" "$(rate processor) tokens/s"
fi

row "all in all" "$SECONDS s, $failures failures"
((failures == 0))
