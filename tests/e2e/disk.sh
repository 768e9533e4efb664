#!/usr/bin/env bash
# Disks that fail during a run: it goes on with a warning, and ends with an error if the last checkpoint cannot be written.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
readonly CREATE=73 IO=74
shim=$(realpath "${3:?usage: $0 DTRAIN MPIRUN SHIM}")
run=(--eval-every 0 --checkpoint-every 1s --keep 2 "${small[@]}" --layers 1 --batch 16 --micro-batch 16)

has_checkpoint() { compgen -G "$1/checkpoint-*.h5" >/dev/null; }
says() { grep -qF -e "$1" err; }

# begin FOLDER OPTION…: alone, in the background. The log goes through a pipe, to which file size limits do not apply.
begin() {
    local folder=$1
    shift
    rm -f out err
    timeout -k 5 60 "$dtrain" "${run[@]}" --out "$folder" "$@" >out 2> >(cat >err) &
    job=$!
    wait_for 30 has_checkpoint "$folder"
    process=$(pgrep -P "$job" -x dtrain)
}

# end CODE: stop it, and see how it ends.
end() {
    local code=0
    kill -TERM "$process"
    wait "$job" || code=$?
    ((code == $1)) || fail "exit code $code instead of $1"
}

# ---- the folder is deleted ----

begin gone --steps 100000000
rm -rf gone
wait_for 20 has_checkpoint gone
wait_for 20 test -s gone/.lock
end 75
expect_text err "the folder gone was deleted" "stopped at step"
expect_exit 0 "$dtrain" verify gone
[[ -s gone/config.ini && ! -e gone/.lock ]] || fail "in gone: $(ls -A gone)"
say "a deleted folder is created again"

begin moved --steps 100000000
mv moved elsewhere
touch moved
wait_for 20 says "cannot create moved/checkpoint"
end $CREATE
expect_text err "the run goes on" "error: cannot create moved/checkpoint" "a part of the path is a file"
expect_exit 0 "$dtrain" verify elsewhere
[[ -f moved && ! -s moved ]] || fail "the file in the way was changed"
say "a folder that cannot be created again is an error at the end"

# ---- files that may not grow ----

begin limited --steps 100000000
prlimit --pid "$process" --fsize=10000:unlimited
wait_for 20 says "the file would be larger than is allowed"
kill -0 "$process" || fail "a size limit ended the run"
prlimit --pid "$process" --fsize=unlimited:unlimited
end 75
expect_exit 0 "$dtrain" verify limited
# Every step wants a checkpoint, and one sentence is enough.
begin often --steps 100000000 --checkpoint-every 1 --log-level debug
prlimit --pid "$process" --fsize=10000:unlimited
wait_for 20 says "the file would be larger than is allowed"
made() { sed -n 's/.*debug: step \([0-9]*\) is complete$/\1/p' err | tail -n 1; }
has_made() { (($(made) >= $1)); }
at=$(made)
wait_for 20 has_made $((at + 100))
[[ $(grep -c "the run goes on and tries again" err) == 1 ]] || fail "the failure is not said once"
prlimit --pid "$process" --fsize=unlimited:unlimited
kill -USR2 "$process"
wait_for 20 says "checkpoints can be written again"
end 75
say "a disk that fails and one that works again are said once"
begin limited2 --steps 100000000
prlimit --pid "$process" --fsize=10000:unlimited
wait_for 20 says "the file would be larger than is allowed"
end $IO
expect_text err "trying again in 1 s" "trying again in 3 s" "error: cannot write"
expect_exit 0 "$dtrain" verify limited2
! compgen -G "limited2/.*tmp*" >/dev/null || fail "half-written files are left: $(ls -A limited2)"
expect_exit 75 timeout 20 "$dtrain" "${run[@]}" --out limited2 --steps 100000000 --time-limit 1s
expect_text err "resuming limited2"
say "a limit gives a warning, and an error only at the end"

# ---- names in the way ----

mkdir -p taken/checkpoint-00000005.h5
expect_exit $CREATE "$dtrain" "${run[@]}" --out taken --steps 5 --checkpoint-every 0
expect_text err "a folder of that name is in the way" "trying again in 3 s"
rmdir taken/checkpoint-00000005.h5
ln -sfn nowhere taken/checkpoint-00000005.h5
ln -sfn nowhere taken/best.h5
ln -sfn nowhere taken/config.ini
expect_exit 0 "$dtrain" "${run[@]}" --out taken --steps 5 --checkpoint-every 0 --eval-every 5
[[ ! -e taken/nowhere && ! -L taken/checkpoint-00000005.h5 && ! -L taken/config.ini ]] || fail "a dangling link was followed"
expect_exit 0 "$dtrain" verify taken
mkdir linked linked/latest.h5
expect_exit $IO "$dtrain" "${run[@]}" --out linked --steps 5 --checkpoint-every 0
expect_text err "linked/latest.h5: a folder of that name is in the way"
expect_exit 0 "$dtrain" verify linked/checkpoint-00000005.h5
say "names in the way are named"

# ---- no symbolic links ----

# without_links ERRNO COMMAND…
without_links() { LD_PRELOAD=$shim FAULT_UNDER=plain FAULT_LINKS=$1 "${@:2}"; }
plain=("$dtrain" "${run[@]}" --out plain --eval-every 5 --checkpoint-every 5 --metric loss)
for errno in 1 95 38; do # EPERM, EOPNOTSUPP, ENOSYS
    rm -rf plain
    expect_exit 0 without_links $errno "${plain[@]}" --steps 20
    [[ $(grep -c 'warning' err) == 1 ]] || fail "not one warning about links"
    expect_text err "warning: symbolic links cannot be made in plain: latest.txt and best.txt"
done
[[ $(<plain/latest.txt) == checkpoint-00000020.h5 ]] || fail "latest.txt holds $(<plain/latest.txt)"
best=$(<plain/best.txt)
[[ -z $(find plain -type l) && -f plain/$best ]] || fail "in plain: $(ls -A plain)"
for name in plain plain/best.h5; do
    expect_exit 0 "$dtrain" eval "$name" --count 8
done
expect_exit 0 "$dtrain" info plain
expect_text out "plain/checkpoint-00000020.h5"
expect_exit 0 "$dtrain" verify plain
say "text files replace links"

without_links 1 "${plain[@]}" --steps 20 --fresh --keep 0 >/dev/null 2>&1 || fail "no new run"
printf 'checkpoint-00000005.h5\n' >plain/mine.txt # pins it, as a link does
[[ $(<plain/best.txt) == checkpoint-00000020.h5 ]] || fail "best.txt holds $(<plain/best.txt)"
expect_exit 0 without_links 1 "${plain[@]}" --steps 40 --keep 1 --eval-every 0
kept=$(cd plain && echo checkpoint-*.h5)
[[ $kept == "checkpoint-00000005.h5 checkpoint-00000020.h5 checkpoint-00000040.h5" ]] || fail "kept: $kept"
say "rotation keeps what texts name"

printf 'checkpoint-00000099.h5\n' >plain/best.txt
expect_exit 65 "$dtrain" verify plain
expect_text out "plain/best.h5" "points to something that is not there"
expect_exit 0 "$dtrain" eval plain --count 8
printf 'checkpoint-00000005.h5\n' >plain/best.txt
cp plain/checkpoint-00000040.h5 plain/best.h5 # as cp -L leaves it
expect_exit 0 "$dtrain" eval plain --count 8 --json
expect_text out '"step":5,'
rm plain/best.h5
expect_exit 0 "${plain[@]}" --steps 60 # moved to a file system with links
[[ $(readlink plain/latest.h5) == checkpoint-00000060.h5 && ! -e plain/latest.txt ]] || fail "in plain: $(ls -A plain)"
[[ ! -L plain/best.h5 || ! -e plain/best.txt ]] || fail "best.h5 and best.txt"
say "links come back where they can be made"

# ---- no reader ----

set +o pipefail
"$dtrain" "${run[@]}" --out unheard --steps 2000 --checkpoint-every 0 2>&1 | head -n 1 >/dev/null
[[ -e unheard/checkpoint-00002000.h5 ]] || fail "a closed pipe ended the run"
say "a closed pipe does not end a run"
