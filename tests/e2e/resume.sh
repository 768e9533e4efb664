#!/usr/bin/env bash
# A run that is stopped and continued with other numbers of ranks ends with the bytes of a run that was never stopped.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# Validation after every step: the row of the step at which it stops must not be lost.
run=(--steps 200 --eval-every 1 --checkpoint-every 10 --keep 0 "${small[@]}" --eval-examples 32)

newest_step() {
    local file step=0
    for file in "$1"/checkpoint-*.h5; do
        [[ ! -e $file ]] || { step=${file##*checkpoint-} && step=${step%.h5}; }
    done
    echo $((10#$step))
}
is_past() { (($(newest_step "$1") > $2)); }

# stop CODE SIGNAL RANKS FOLDER STEP: continue the run in FOLDER, and send the signal once there is a checkpoint after STEP.
stop() {
    local wanted=$1 signal=$2 ranks=$3 folder=$4 step=$5 code=0
    start "$ranks" "${run[@]}" --out "$folder" >out 2>err &
    local job=$!
    wait_for 60 is_past "$folder" "$step"
    # Not to timeout, but to its child: mpirun, or dtrain itself.
    pkill -"$signal" -P "$(pgrep -P "$job" -x timeout || echo "$job")"
    wait "$job" || code=$?
    ((code == wanted)) || fail "exit code $code instead of $wanted after signal $signal to $ranks ranks"
    say "stopped by $signal on $ranks ranks at step $(newest_step "$folder")"
}

expect_exit 0 start 2 "${run[@]}" --out whole

# ---- 4 ranks, then 1, then 3 ----

stop 75 USR1 4 parts 0
expect_text err "stopped at step" "start dtrain again"
first=$(newest_step parts)
stop 75 TERM alone parts $((first + 5))
expect_text err "resuming parts from step $first" "was 4 ranks, now 1"
second=$(newest_step parts)
# mpirun gives its ranks one second, and has its own exit code.
stop 1 TERM 3 parts $((second + 5))
expect_text err "resuming parts from step $second" "was 1 rank, now 3"
third=$(newest_step parts)
cp -a parts branch
expect_exit 0 start 3 "${run[@]}" --out parts
expect_text err "resuming parts from step $third" "finished 200 steps"
compare_runs whole/latest.h5 parts/latest.h5
/usr/bin/python3 -B - "$first" "$second" "$third" <<'END' || fail "the history is not that of four starts"
import sys, h5py
history = h5py.File("parts/latest.h5")["metrics/history"]
def column(name):
    return [v.decode().rstrip("\0") if isinstance(v, bytes) else int(v) for v in history[name][()]]
assert column("step") == [0, *map(int, sys.argv[1:])], column("step")
assert column("ranks") == [4, 1, 3, 3], column("ranks")
stopped = column("stopped")
assert stopped[:2] + stopped[3:] == ["signal USR1", "signal TERM", "finished"], stopped
END
say "same bytes: 4, 1 and 3 ranks"

# ---- a finished run ----

checksums parts >before
expect_exit 0 start 2 "${run[@]}" --out parts
expect_text err "parts is finished: 200 steps"
checksums parts >after
cmp before after || fail "starting a finished run touched it"
say "a finished run stays as it is"

# ---- another folder, damaged files ----

expect_exit 0 start 2 "${run[@]}" --resume "branch/$(printf 'checkpoint-%08d.h5' "$first")" --out elsewhere
compare_runs whole/latest.h5 elsewhere/latest.h5
# The resumed file is copied only if it is the best one so far.
file=$(printf 'checkpoint-%08d.h5' "$first")
[[ ! -e elsewhere/$file ]] || cmp "elsewhere/$file" "branch/$file" || fail "the file resumed from was changed on the way"
say "same bytes: resumed into another folder"

newest=branch/$(printf 'checkpoint-%08d.h5' "$third")
cp -a branch flipped
truncate -s -1000 "$newest"
before=$(find branch -name 'checkpoint-*.h5' ! -name "${newest#*/}" | sort | tail -n 1)
good=$before
before=${before##*checkpoint-} before=$((10#${before%.h5}))
# Commands that read the run behave the same way; a file that has just been removed causes no message.
ln -s removed "branch/checkpoint-99999999.h5"
for command in "info branch" "plot --ascii branch"; do
    # shellcheck disable=SC2086 # words
    expect_exit 0 "$dtrain" $command
    expect_text err "warning: $newest" "trying the one before it"
    (($(wc -l <err) == 1)) || fail "more than one message: $(cat err)"
    expect_text out "step $before of"
done
expect_exit 0 "$dtrain" info branch --json
expect_text out "\"checkpoint\":\"$good\""
rm "branch/checkpoint-99999999.h5"
expect_exit 0 start 2 "${run[@]}" --out branch
expect_text err "warning: $newest" "trying the one before it" "resuming branch from step $before "
compare_runs whole/latest.h5 branch/latest.h5
say "same bytes: around a truncated file"

newest=flipped/${newest#*/}
/usr/bin/python3 -B - "$newest" <<'END'
import sys, h5py
with h5py.File(sys.argv[1]) as file:
    offset = file["weights/layers/1/mlp_in/weight"].id.get_offset()
with open(sys.argv[1], "r+b") as file:
    file.seek(offset + 100)
    byte = file.read(1)[0]
    file.seek(offset + 100)
    file.write(bytes([byte ^ 1]))
END
expect_exit 0 start 2 "${run[@]}" --out flipped
expect_text err "warning: $newest" "trying the one before it"
compare_runs whole/latest.h5 flipped/latest.h5
say "same bytes: around a file with one wrong bit"

# ---- changed settings ----

checksums whole >before
expect_exit 64 start 2 "${run[@]}" --out whole --steps 210 --width 64
expect_text err "--width 32" "cannot become 64"
checksums whole >after
cmp before after || fail "a refused start touched the run"
expect_exit 0 start 2 "${run[@]}" --out whole --steps 210 --lr 0.001
expect_text err "changed: " "steps 200 -> 210" "lr 0.002 -> 0.001"
[[ $(newest_step whole) == 210 ]] || fail "the longer run ended at step $(newest_step whole)"
say "changed settings are named"

# ---- a fresh start ----

checksums whole >before
expect_exit 0 start 2 "${run[@]}" --out whole --fresh --steps 10
expect_text err "new run in whole: 10 steps"
aside=$(find . -maxdepth 1 -name 'whole.*')
[[ -d $aside ]] || fail "the old folder is gone"
checksums "$aside" >after
cmp before after || fail "--fresh changed the folder it set aside"
[[ $(newest_step whole) == 10 ]] || fail "the fresh run ended at step $(newest_step whole)"
say "--fresh sets the old run aside"
