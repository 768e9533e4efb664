#!/usr/bin/env bash
# Files that dtrain did not create in the folder of a run are resumed from, refused or renamed, and never lost; the best model
# is copied.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

tiny=(--layers 1 --width 16 --heads 2 --steps 20 --batch 16 --shards 4 --eval-every 10 --eval-examples 32 --digits 2)
expect_exit 0 start 2 "${tiny[@]}" --out a
cp -r a kept

# refuse CODE FOLDER TEXT… -- COMMAND…: it ends with that code and says so, and nothing in the folder is touched.
refuse() {
    local code=$1 folder=$2 texts=()
    shift 2
    while [[ $1 != -- ]]; do
        texts+=("$1")
        shift
    done
    checksums "$folder" >before
    expect_exit "$code" "${@:2}"
    expect_text err "${texts[@]}"
    checksums "$folder" >after
    cmp before after || fail "the folder was touched: ${*:2}"
}
# aside NAME: the only file that NAME was renamed to.
aside() {
    local found=("$1".*-*)
    [[ ${#found[@]} == 1 && -f ${found[0]} ]] || fail "$1 was set aside as: ${found[*]}"
    printf '%s' "${found[0]}"
}

# ---- checkpoints that were copied in ----

for name in best.h5 latest.h5 "checkpoint-00000020 (1).h5"; do
    rm -rf z
    mkdir z
    cp -L a/best.h5 "z/$name"
    refuse 64 z "\"z/$name\" looks like a checkpoint" --resume --init-from -- start 2 "${tiny[@]}" --out z
    expect_exit 0 start 2 --resume "z/$name" --out z --steps 22 --eval-every 0
    expect_text err "resuming z from step 20" "copied from z/$name" "the model is z/best.h5"
    [[ $(readlink z/best.h5) == checkpoint-00000020.h5 ]] || fail "the best model is no longer best.h5"
    cmp z/best.h5 a/checkpoint-00000020.h5 || fail "the copy is another file"
    [[ -L z/$name ]] || cmp "z/$name" a/best.h5 || fail "z/$name was replaced"
done
# A copy that follows links, as many programs make it, is the run itself.
cp -rL a flat
expect_exit 0 start 2 --out flat --steps 21
[[ -L flat/best.h5 && -L flat/latest.h5 && -z $(find flat -name '*-*-*') ]] || fail "not links again: $(ls flat)"
# A file that replaced a link is kept.
cp -r a mixed
rm mixed/best.h5
cp a/config.ini mixed/best.h5
expect_exit 0 start 2 --out mixed --steps 40 --eval-every 1 --metric token-accuracy
expect_text err "mixed/best.h5 was none of the run's"
cmp "$(aside mixed/best.h5)" a/config.ini || fail "what was best.h5 is lost"
say "checkpoints of others are kept"

# ---- settings and logs ----

mkdir f
echo 'port = 80' >f/config.ini
refuse 73 f "./config.ini is not dtrain's" --out -- env -C f "$dtrain" "${tiny[@]}" --out .
rm f/config.ini
echo '{"level":"info"}' >f/log.jsonl
refuse 73 f "f/log.jsonl is not dtrain's" -- start 2 "${tiny[@]}" --out f
refuse 73 f "f/log.jsonl is not dtrain's" -- start 2 --resume a/latest.h5 --steps 30 --out f

mkdir p
printf '# mine\n[data]\ndigits = 2\n[run]\nsteps = 7\n' >p/config.ini
cp p/config.ini mine.ini
refuse 64 p "steps 7, not 20" "--config p/config.ini" -- start 2 "${tiny[@]}" --out p
expect_exit 0 start 2 "${tiny[@]}" --config p/config.ini --out p --steps 9
expect_text err "p/config.ini, which dtrain did not write, is now"
cmp "$(aside p/config.ini)" mine.ini || fail "a person's settings are lost"
expect_text p/config.ini "steps = 9"
expect_exit 0 start 2 --config p/config.ini --out p --steps 10
[[ $(aside p/config.ini) ]]

mkdir c
cp a/config.ini c
refuse 64 c "steps 20, not 11" "--config c/config.ini" -- start 2 "${tiny[@]}" --steps 11 --out c
expect_exit 0 start 2 --config c/config.ini --out c
compare_runs a/latest.h5 c/latest.h5
expect_exit 0 start 2 "${tiny[@]}" --steps 5 --out early
rm early/*.h5 # like a start that wrote no checkpoint
expect_exit 0 start 2 "${tiny[@]}" --steps 6 --out early
expect_text err "steps 5, not 6" "which are ignored"
[[ $(aside early/config.ini) ]]
say "settings and logs of others are kept"

sed -i 's/^steps = 20/steps = 30/; s/^lr = .*/lr = 0.001/' a/config.ini
cp a/config.ini changed.ini
refuse 0 a "steps 30, not 20; lr 0.001, not 0.003" "--config a/config.ini" -- start 2 --out a
expect_exit 0 start 2 --out a --steps 22 --dropout 0.1
expect_text err "steps 30, not 22; lr 0.001, not 0.003" "changed: steps 20 -> 22, dropout 0 -> 0.1"
cmp "$(aside a/config.ini)" changed.ini || fail "changed settings are lost"
expect_exit 0 start 2 --out a --config "$(aside a/config.ini)"
expect_text err "steps 22 -> 30" "lr 0.003 -> 0.001"
[[ $(aside a/config.ini) ]] # there is no other one
echo nonsense >a/config.ini
expect_exit 0 start 2 --out a --steps 31
expect_text err "a/config.ini cannot be read"
say "settings changed in the folder of a run are reported"

# ---- the best model of a branch ----

rm -rf a
cp -r kept a
expect_exit 0 start 2 --resume a/checkpoint-00000020.h5 --out b --steps 21 --eval-every 0
expect_text err "the best checkpoint so far, of step" "copied from a/checkpoint-000000" "the model is b/best.h5"
cmp b/best.h5 a/best.h5 || fail "b has another best model"
expect_exit 0 start 2 eval b --count 5
expect_text err "model: b/best.h5, step"
mkdir lone
cp b/checkpoint-00000021.h5 lone/later.h5
expect_exit 0 start 2 --resume lone/later.h5 --out b2 --steps 22 --eval-every 0 --json
expect_text err "of step 20, is not beside lone/later.h5" "the model is b2/latest.h5"
expect_text out '"model":"b2/latest.h5"'
rm a/best.h5
expect_exit 0 "$dtrain" eval a --count 5
expect_text err "model: a/checkpoint-00000020.h5, step 20; it is the newest"
# A finished run stays in its folder.
expect_exit 0 start 2 --resume a/checkpoint-00000020.h5 --out nowhere
expect_text err "a is finished"
[[ ! -e nowhere ]] || fail "a finished run makes a folder"
say "the best model is copied"

# ---- starting over ----

mkdir disk
mv a disk/run
ln -s disk/run link
expect_exit 0 start 2 "${tiny[@]}" --fresh --out link
expect_text err "what was in link is now in $work/disk/run."
[[ -L link && -d disk/run && -f disk/run/config.ini ]] || fail "the new run is not where the link points to"
[[ -f $(echo disk/run.*/checkpoint-00000020.h5) ]] || fail "the old run is lost"
refuse 64 disk/run "--fresh renames the folder" -- env -C disk/run "$dtrain" "${tiny[@]}" --fresh --out .
refuse 64 disk/run "--fresh renames the folder" -- start 2 "${tiny[@]}" --fresh --out disk/run/../run/.
say "starting over keeps links"
