#!/usr/bin/env bash
# The scripts of jobs/ pass on their arguments unchanged, and read no input that is not theirs. A program that prints its
# arguments replaces dtrain and Slurm's programs.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
jobs=$(realpath "$here/../../jobs")

mkdir bin
cat >bin/told <<'END'
#!/bin/bash
printf '%s' "${0##*/}" && printf ' <%s>' "$@" && echo
cat # some launchers read all input
END
chmod +x bin/told
for name in srun mpirun squeue scontrol; do ln -s told "bin/$name"; done
PATH=$work/bin:$PATH

# expect_words WORDS: the last line of the output.
expect_words() { [[ $(tail -n 1 out) == "$1" ]] || fail "not $1 but $(tail -n 1 out)"; }

# ---- sweep.sbatch: a line of a list ----

# sweep TASK ARGUMENT…
sweep() { SLURM_ARRAY_TASK_ID=$1 DTRAIN_SBATCH=bin/told SWEEP=list bash "$jobs/sweep.sbatch" "${@:2}"; }
printf '\xef\xbb\xbf' >list
printf '%s\r\n' "--lr 0.001" "" "--out  'a b' --ops \"+-*/\"	--train-file it\\'s\\ mine" '--ops "+' "*" >>list
expect_exit 0 sweep 1 --steps 5
expect_words "told <--steps> <5> <--lr> <0.001> <--out> <runs/sweep/1>"
expect_exit 0 sweep 3 train --steps 5
expect_words "told <train> <--steps> <5> <--out> <a b> <--ops> <+-*/> <--train-file> <it's mine> <--out> <runs/sweep/3>"
expect_exit 64 sweep 2
expect_text err "list has nothing in line 2"
expect_exit 64 sweep 4
expect_text err "list, line 4" '--ops "+'
expect_exit 0 sweep 5
expect_words "told <*> <--out> <runs/sweep/5>"
expect_exit 64 sweep 6
printf '%s\r' "--seed 1" "--seed 2" >list
expect_exit 0 sweep 2
expect_words "told <--seed> <2> <--out> <runs/sweep/2>"
rm list
expect_exit 66 sweep 1
say "lists from any system"

# ---- dtrain.sbatch: what it starts ----

# batch ARGUMENT…
batch() {
    SLURM_JOB_ID=7 SLURM_JOB_NODELIST=n1 SLURM_JOB_NUM_NODES=1 SLURM_JOB_END_TIME=0 DTRAIN=bin/told \
        bash "$jobs/dtrain.sbatch" "$@"
}
expect_exit 0 batch --out "a b" --ops '*'
expect_words "srun <--mpi=pmix> <--cpus-per-task=1> <--cpu-bind=cores> <--kill-on-bad-exit=0> <--wait=60> <bin/told> <--out> <a b> <--ops> <*>"
expect_text err "bin/told --out a\\ b --ops \\*"
expect_exit 0 batch train --steps 5
expect_words "srun <--mpi=pmix> <--cpus-per-task=1> <--cpu-bind=cores> <--kill-on-bad-exit=0> <--wait=60> <bin/told> <--steps> <5>"
DTRAIN_SBATCH=bin/told expect_exit 0 bash "$jobs/preemptible.sbatch" train --steps 5
expect_words "told <--checkpoint-every> <5m> <--steps> <5>"

# Standard input belongs to the caller.
printf '%s\n' 1 2 3 | while read -r seed; do
    batch --seed "$seed" >>seeds 2>/dev/null
done
(($(grep -c '<--seed>' seeds) == 3)) || fail "of three seeds: $(cat seeds)"
say "words and input of dtrain.sbatch"

# ---- the JSON line of training for scripts ----

# check SCRIPT: Python over the only line of the output.
check() { /usr/bin/python3 -B -c "import json; end = json.loads(open('out').read()); $1" || fail "not as expected: $1"; }
expect_exit 0 start 2 "${small[@]}" --steps 6 --eval-every 3 --metric loss --out 'a "run"' --json
check 'assert end["run"] == "a \"run\"" and end["model"] == "a \"run\"/best.h5" and end["finished"] and end["step"] == end["steps"] == 6'
check 'assert end["metric"] == "loss" and end["best"] > 1 and end["best_step"] in (3, 6)'
cp out before
expect_exit 0 start alone --out 'a "run"' --json # is finished
cmp out before || fail "another end of a finished run"
expect_exit 75 start 2 --out 'a "run"' --steps 100000 --eval-every 0 --time-limit 2s --json
check 'assert not end["finished"] and 6 < end["step"] < end["steps"] == 100000'
expect_exit 0 start alone "${small[@]}" --steps 1 --eval-every 0 --out unmeasured --json
check 'assert end["model"] == "unmeasured/latest.h5" and "best" not in end'
expect_exit 0 start alone "${small[@]}" --steps 1 --eval-every 0 --out silent
[[ ! -s out ]] || fail "without --json something is printed"
say "the line at the end of training"
