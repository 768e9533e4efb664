#!/usr/bin/env bash
# A process without a launcher needs nothing else: no MPI daemon, no /tmp, no PATH, no HOME.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
tiny=(--layers 1 --width 32 --heads 2 --batch 16 --shards 4 --eval-every 10 --eval-examples 32 --digits 2)
# Without any environment.
bare=(env -i PATH= "$dtrain")

expect_exit 0 "${bare[@]}" "${tiny[@]}" --steps 20 --out run
expect_exit 0 "${bare[@]}" eval run --count 8
cp out bare.out
say "an empty environment is enough"

# As in a shell under srun --pty, and in one of a job with several tasks.
slurm=(SLURM_JOB_ID=1 SLURM_JOBID=1 SLURM_NODELIST=n1 SLURM_STEP_ID=0 SLURM_STEPID=0 SLURM_PROCID=0 SLURM_NTASKS=1)
expect_exit 0 env "${slurm[@]}" SLURM_STEP_NUM_TASKS=1 "$dtrain" eval run --count 8
cmp -s out bare.out || fail "another answer under srun"
expect_exit 0 env "${slurm[@]}" SLURM_STEP_NUM_TASKS=4 SLURM_PTY_PORT=40000 PMI_RANK=0 PMI_SIZE=4 "$dtrain" eval run --count 8
cmp -s out bare.out || fail "another answer under srun --pty"
# Four tasks of one step must not become four runs: MPI says what is wrong.
expect_exit 1 env "${slurm[@]}" SLURM_STEP_NUM_TASKS=4 "$dtrain" eval run --count 8
say "a shell in a step of Slurm is no rank"

# No file is left, and nothing except the run is written.
mkdir empty
expect_exit 0 env TMPDIR="$PWD/empty" "$dtrain" eval run --count 8
[[ -z $(ls -A empty) ]] || fail "left in TMPDIR: $(ls -A empty)"
# The ranks of a launcher are still ranks.
expect_exit 0 start 2 "${tiny[@]}" --steps 20 --out two
expect_text err "2 ranks on 1 node"
compare_runs run/checkpoint-00000020.h5 two/checkpoint-00000020.h5
say "a launcher's ranks are ranks"

have "ability user-mounts" || exit 0
# without_tmp COMMAND…: /tmp and /dev/shm are read-only and empty. The folder of this test is kept open, since it is in /tmp.
without_tmp() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare -rm bash -c 'set -e
        exec 3<.
        for folder in /dev/shm /tmp; do mount -t tmpfs -o ro none "$folder"; done
        ! touch /tmp/x 2>/dev/null || exit 99
        cd /proc/self/fd/3
        exec "$@"' without_tmp "$@"
}
expect_exit 0 without_tmp env -i PATH= "$dtrain" eval run --count 8
cmp -s out bare.out || fail "another answer without /tmp"
expect_exit 0 without_tmp env -i PATH= "$dtrain" "${tiny[@]}" --steps 20 --out three
compare_runs run/checkpoint-00000020.h5 three/checkpoint-00000020.h5
if have "program gnuplot"; then
    expect_exit 0 without_tmp env TMPDIR=/nowhere "$dtrain" plot run --output picture.svg
    grep -q '<svg' picture.svg || fail "no picture"
fi
say "/tmp and /dev/shm may be read-only"
