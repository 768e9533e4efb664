#!/usr/bin/env bash
# An array of three runs, of which one is stopped and queues itself again; and an array with settings from a list.
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

# Slurm gives the last task of an array the number of the array itself: there a mistake would affect all tasks.
array=$(submit --ntasks-per-node=2 jobs/sweep.sbatch "${run[@]}")
freeze 10 runs/sweep/3
train_whole whole --seed 3
scancel --batch --signal=USR1 "${array}_3"
wait_for 60 has "dtrain-sweep-${array}_3.out" "signal USR1"
thaw runs/sweep/3
wait_for 60 job_is "${array}_3" PENDING
stopped=$(newest runs/sweep/3)
for task in 1 2 3; do
    expect_end "${array}_$task" COMPLETED
    expect "dtrain-sweep-${array}_$task.out" "seed $task" "the run is finished"
done
[[ $(job_field "${array}_1" Restarts)$(job_field "${array}_2" Restarts)$(job_field "${array}_3" Restarts) == 001 ]] ||
    fail "not only the third task was started again"
expect_history runs/sweep/1 step 0
expect_history runs/sweep/2 step 0
expect_history runs/sweep/3 step 0 "$stopped"
expect_same whole runs/sweep/3
say "three seeds; the one stopped at step $stopped ended with the same bytes"

printf '\xef\xbb\xbf%s\r\n%s\r\n' "--lr 0.001" "--lr '0.003' --width 48 --ops \"+-*\"" >list # with a byte order mark and CR LF
array=$(SWEEP=list RUNS=runs/rates submit --array=2,3 --ntasks-per-node=2 jobs/sweep.sbatch "${run[@]:4}" --lr 1 --heads 2 --steps 5)
expect_end "${array}_2" COMPLETED
build/dtrain info --json runs/rates/2 >info.out
expect info.out '"width":48' '"lr":0.003' '"ops":"+-*"'
expect_end "${array}_3" FAILED 64
expect "dtrain-sweep-${array}_3.out" "list has nothing in line 3"
say "settings from a list"
