#!/usr/bin/env bash
# Jobs that Slurm warns before their time limit: they write a checkpoint, queue themselves again and end with the same bytes as a
# run without a stop. The second time, one of them reads the limit itself; so does dtrain without a script.
export CPUS=6
# shellcheck source=tests/slurm/lib.sh
. "$(dirname "$0")/lib.sh"

# Slurm counts in minutes, so the job sleeps until the last seconds of one.
alone=$(submit --time=1 --output=alone.out --wrap "sleep 45; exec build/dtrain ${run[*]} --steps 1000000 --out alone")

# Of a limit of two minutes, this reserve leaves four seconds for training.
export RESERVE=116
declare -A job out=([dtrain]=run [preemptible]=spare [sweep]=runs/sweep/1)
job[dtrain]=$(submit --nodes=2 --ntasks-per-node=2 --time=10 jobs/dtrain.sbatch "${run[@]}" --out run)
job[preemptible]=$(LAUNCHER=mpirun submit --ntasks-per-node=2 --time=10 jobs/preemptible.sbatch "${run[@]}" --out spare)
job[sweep]=$(submit --array=1 --ntasks-per-node=2 --time=10 jobs/sweep.sbatch "${run[@]}")_1
freeze 10 "${out[@]}"
for script in "${!job[@]}"; do
    # Slurm sends the warning within 30 s.
    scontrol update JobId="${job[$script]}" EndTime=now+65
done
train_whole whole
for script in "${!job[@]}"; do
    wait_for 60 has "$(job_field "${job[$script]}" StdOut)" "signal USR1: dtrain is asked"
    sleep 2 # until the signal has arrived: otherwise the run could end first
    # The limit of the next start.
    [[ $script == dtrain ]] && minutes=2 || minutes=10
    scontrol update JobId="${job[$script]}" TimeLimit="$minutes"
    thaw "${out[$script]}"
done

output=dtrain-${job[dtrain]}.out
stops() { sed -n 's/.* stopped at step \([0-9]*\) of .*/\1/p' "$output"; }
wait_for 60 has "$output" "the job is queued again"
first=$(stops)
say "warned by Slurm: stopped at step $first"
freeze $((first + 5)) run
sleep 4
scontrol update JobId="${job[dtrain]}" TimeLimit=10
thaw run
wait_for 60 has "$output" "(time limit), with a checkpoint"
second=$(stops | tail -n 1)
say "time limit: stopped at step $second"

for script in "${!job[@]}"; do expect_end "${job[$script]}" COMPLETED; done
# The output of all starts is kept.
expect "$output" "start 1," "new run in run" "the job is queued again" "start 2," "from step $first" "start 3," \
    "from step $second" "the run is finished"
expect_history run step 0 "$first" "$second"
expect_history run stopped "signal USR1" "time limit" finished
expect_history spare stopped "signal USR1" finished
expect_history runs/sweep/1 stopped "signal USR1" finished
for script in "${!job[@]}"; do
    expect "$(job_field "${job[$script]}" StdOut)" "start 1," "start 2," "the run is finished"
    expect_same whole "${out[$script]}"
done
say "same bytes after all starts"

expect_end "$alone" FAILED 75
expect_history alone stopped "end of the Slurm allocation"
say "without a script: stopped at step $(newest alone)"
