#!/usr/bin/env bash
# The OpenCL backend keeps the promises of the CPU's: the same bytes on any number of ranks, checkpoints that both can continue,
# the same answers; a failing device loses at most the step in flight.
# Usage: opencl.sh DTRAIN MPIRUN FAULT
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"
fault=$(realpath "${3:?usage: $0 DTRAIN MPIRUN FAULT}")

"$dtrain" info --devices --json >devices
grep -q '"backend":"opencl"' devices || {
    need "icd pocl"
    fail "no OpenCL device is found, though PoCL is there"
}
gpu=$(grep -c '"gpu":true' devices || true)

# ---- devices ----

expect_exit 0 "$dtrain" info --devices
expect_text out "cpu     OpenBLAS" "opencl  " " GB (" "driver "
/usr/bin/python3 -B -c 'import json
for d in json.load(open("devices"))["devices"]: assert d["name"] and (d["backend"] == "cpu" or d["memory"] > 1e8), d'

# ---- the same bytes on any number of ranks ----

# In float32, the precision of devices.
run=(--steps 6 --eval-every 3 --checkpoint-every 3 "${small[@]}" --eval-examples 70 --precision float32)
expect_exit 0 start alone "${run[@]}" --backend opencl --out alone
expect_text err "backend opencl: " "updates of weights on the CPU: OpenBLAS"
for ranks in 2 3; do
    expect_exit 0 start "$ranks" "${run[@]}" --backend opencl --out "np$ranks" --ranks-per-node $((ranks - 1))
    compare_runs alone/latest.h5 "np$ranks/latest.h5"
    say "same bytes: $ranks ranks"
done
expect_exit 0 "$dtrain" info np2
expect_text out "opencl: "
expect_exit 0 start 2 verify --backend opencl --replay alone/checkpoint-00000003.h5 alone/latest.h5
expect_text out "3 steps replayed on 2 ranks: the same bytes"

# ---- a checkpoint of one backend, continued on the other ----

mixed=(--schedule constant --layers 2 --width 32 --heads 2 --batch 16 --shards 2 --lr 2e-3 --warmup 4 --dropout 0.1 --eval-every 0 --precision float32)
expect_exit 0 start 2 "${mixed[@]}" --steps 50 --out cpu
for first in cpu opencl; do
    [[ $first == cpu ]] && second=opencl || second=cpu
    expect_exit 0 start 2 "${mixed[@]}" --steps 25 --backend $first --out "from_$first"
    expect_exit 0 start 1 "${mixed[@]}" --steps 50 --backend "$second" --out "from_$first"
    expect_text err "resuming from_$first from step 25"
done
/usr/bin/python3 -B - <<'END' || fail "the losses differ"
import h5py, numpy
def losses(run):
    return h5py.File(f"{run}/latest.h5")["metrics/train/loss"][()]
for run in "from_cpu", "from_opencl":
    off = numpy.abs(losses(run) - losses("cpu"))
    assert len(off) == 50 and off.max() < 1e-4, (run, off.max())
    # The second half came from another backend.
    assert (off[25:] > 0).any(), run
    print(f"{run}: losses of 50 steps agree to {off.max():.1e}")
END

# ---- questions and evaluations ----

settings=(--ops '+*' --digits 1 --layers 1 --width 48 --heads 2 --batch 64 --lr 1e-2 --warmup 20 --steps 200 --eval-every 200
    --eval-examples 64 --precision float32)
expect_exit 0 start 2 "${settings[@]}" --out pupil
for backend in cpu opencl; do
    expect_exit 0 "$dtrain" ask pupil 3+4 7*8 2+2 9*9 --backend $backend
    mv out "answers.$backend"
    expect_exit 0 start 2 eval pupil --count 100 --json --backend $backend
    mv out "eval.$backend"
done
cmp answers.cpu answers.opencl || fail "the backends give other answers"
/usr/bin/python3 -B - <<'END' || fail "the backends evaluate otherwise"
import json
cpu, device = (json.load(open(f"eval.{name}")) for name in ("cpu", "opencl"))
assert abs(cpu["loss"] - device["loss"]) < 1e-4 * cpu["loss"] and cpu["exact_match"] == device["exact_match"], (cpu, device)
END
expect_exit 0 start alone --check-gradients "${small[@]}" --backend opencl
expect_text out "gradients agree"
say "answers, evaluations and gradients agree"

# ---- auto ----

if ((gpu == 0)); then
    expect_exit 0 start 2 "${mixed[@]}" --steps 50 --backend auto --out auto
    expect_text err "--backend auto: not every rank has a GPU" "backend cpu: "
    compare_runs cpu/latest.h5 auto/latest.h5
fi

# ---- signals, whose handlers OpenCL's compilers may replace ----

launch alone "${run[@]}" --steps 1000000 --eval-every 0 --backend opencl --out signalled --log-level debug
wait_for 60 has_made 2
kill -USR1 "$job"
end_of_job
((code == 75)) || fail "exit code $code after USR1"
[[ $(last_stop signalled/latest.h5) == "signal USR1" ]] || fail "the history says $(last_stop signalled/latest.h5)"

# ---- failures ----

# faulty FAULT RANKS ARGUMENT...
faulty() {
    local kind=$1
    shift
    LD_PRELOAD=$fault DTRAIN_TEST_OPENCL=$kind start "$@"
}

mkdir no_drivers
OCL_ICD_VENDORS=$work/no_drivers expect_exit 69 start 2 "${run[@]}" --backend opencl --out none
expect_text err "no OpenCL device" "found: none" "--backend cpu"
expect_exit 69 faulty build 2 "${run[@]}" --backend opencl --out none
expect_text err "the kernels cannot be built" "missing_number"
expect_exit 71 faulty "memory 4000000" 2 "${run[@]}" --width 64 --backend opencl --out none
expect_text err "activations need" "gives at most" "--width" "--micro-batch"
expect_exit 0 faulty "name 1" 2 "${run[@]}" --steps 1 --backend opencl --out mixed
expect_text err "warning: not all ranks have the device of rank 0"
say "no device, broken kernels and no memory are reported"

# saved FOLDER: a start whose device failed has left a whole checkpoint, from which the run continues to the same bytes as a run
# without a failure.
saved() {
    local step
    step=$(newest_step "$1")
    expect_text err "has failed" "stopped at step $step of 6 (device failed), with a checkpoint"
    [[ $(last_stop "$1/latest.h5") == "device failed" ]] || fail "the history says $(last_stop "$1/latest.h5")"
    expect_exit 0 start 3 "${run[@]}" --backend opencl --out "$1"
    expect_text err "resuming $1 from step $step"
    compare_runs alone/latest.h5 "$1/latest.h5"
    say "a device failed: went on from step $step"
}
expect_exit 75 faulty "read 1 80" 2 "${run[@]}" --backend opencl --out lost
saved lost
# If the new weights do not reach the device, only the next step fails: this one is complete. Before them, the test of CLBlast
# queues five large writes.
expect_exit 75 faulty "push 1 10" 2 "${run[@]}" --backend opencl --checkpoint-every 50 --eval-every 0 --out unpushed
[[ $(newest_step unpushed) == 4 ]] || fail "step $(newest_step unpushed) was saved"
# If no step was made, another start would not get any further.
expect_exit 69 faulty "read 1 15" 2 "${run[@]}" --backend opencl --out never
expect_text err "rank 1 on" "has failed"
expect_exit 69 faulty "read 0 15" 1 eval pupil --backend opencl
expect_text err "has failed"
