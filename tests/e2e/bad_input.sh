#!/usr/bin/env bash
# For each kind of wrong input: one sentence from rank 0, the right exit code, no hang, and no file harmed.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# From sysexits.h.
readonly USAGE=64 DATA=65 NO_INPUT=66 CREATE=73 IO=74
limit=60
tiny=(--layers 1 --width 16 --heads 2 --batch 16 --steps 8 --eval-every 4 --eval-examples 64 --checkpoint-every 4)

# refuse CODE TEXT COMMAND…: the command ends with that code and one sentence, which contains the text.
refuse() {
    local code=$1 text=$2 sentences
    shift 2
    expect_exit "$code" "$@"
    sentences=$(grep '^dtrain' err | grep -vc '^dtrain: model: ' || true) # which file of a folder it is
    ((sentences == 1)) || fail "$sentences sentences instead of one: $*"
    grep '^dtrain' err | grep -qF -e "$text" || fail "\"$text\" is not in the sentence: $*"
    [[ ! -s out ]] || fail "standard output is not empty: $*"
    say "$code: $(grep '^dtrain' err | cut -c 1-150)"
}

expect_exit 0 start alone "${tiny[@]}" --out good
mkdir inputs
cp -L good/latest.h5 inputs/good.h5
size=$(stat -c %s inputs/good.h5)
head -c $((size / 2)) inputs/good.h5 >inputs/truncated.h5
head -c 100 inputs/good.h5 >inputs/stump.h5
: >inputs/empty.h5
say "Dear reader, this is a letter." >inputs/text.h5
head -c 100000 /dev/zero >inputs/zeros.h5
printf '[model]\nwidth = 32\nwidht = 64\n' >inputs/wrong_key.ini
printf '[model]\nwidth = 32\nheads = three\n' >inputs/wrong_value.ini
cp inputs/good.h5 inputs/other_vocabulary.h5
cp inputs/good.h5 inputs/short_texts.h5
PYTHONPATH=$(dirname "$0")/../io /usr/bin/python3 -B - <<'END'
import re
import h5py
import signed
with h5py.File("inputs/other_vocabulary.h5", "r+") as file:
    file["tokenizer/vocab"][-1] = "z"
    signed.sign(file)
# As from a dtrain with another vocabulary, whose texts were shorter.
with h5py.File("inputs/short_texts.h5", "r+") as file:
    file["tokenizer/vocab"][-1] = "z"
    settings = file["config/ini"][()]
    file["config/ini"][()] = re.sub(rb"(?m)^context = .*$", lambda found: b"context = 5".ljust(len(found[0])), settings)
    signed.sign(file)
with h5py.File("inputs/foreign.h5", "w") as file:
    file["weights"] = [1.0, 2.0]
with h5py.File("inputs/good.h5") as good, h5py.File("inputs/newer.h5", "w") as newer, \
        h5py.File("inputs/other_shape.h5", "w") as other:
    for file in (newer, other):
        for key in good:
            good.copy(key, file)
        for key, value in good.attrs.items():
            file.attrs.create(key, value, dtype=good.attrs.get_id(key).dtype)
    newer.attrs["format_version"] = 1000
    del other["weights/layers/0/mlp_in/weight"]
    other["weights/layers/0/mlp_in/weight"] = [[1.0] * 16] * 32
END
checksums good >good.before
checksums inputs >inputs.before

# ---- options ----

refuse $USAGE "--no-such-option" start 3 --no-such-option
refuse $USAGE "trian" start 3 trian
refuse $USAGE "--lr: \"fast\" is not a number" start 3 --lr fast --out new
refuse $USAGE "--batch 0: must lie between 1 and" start alone --batch 0 --out new
refuse $USAGE "--format: \"roman\" is none of" start alone --format roman --out new
refuse $USAGE "--ops \"+x\"" start alone --ops +x --out new
refuse $USAGE "--checkpoint-every" start alone --checkpoint-every soon --out new
refuse $USAGE "--width 32 is not a multiple of --heads 3" start 3 --width 32 --heads 3 --out new
refuse $USAGE "--shards 6 is not a power of two" start alone --shards 6 --out new
refuse $USAGE "--batch 4 is less than --shards 8" start alone --batch 4 --out new
refuse $USAGE "3 ranks are more than the 2 shards" start 3 --shards 2 --out new
refuse $USAGE "--fresh and --resume" start 3 --fresh --resume good --out new
refuse $USAGE "inputs/wrong_key.ini:3" start 3 --config inputs/wrong_key.ini --out new
expect_text err widht
refuse $USAGE "inputs/wrong_value.ini:3" start alone --config inputs/wrong_value.ini --out new
refuse $NO_INPUT "no.ini" start alone --config no.ini --out new
refuse $USAGE "which checkpoint" start 3 eval
refuse $USAGE "--count" start 3 eval good --count many
refuse $USAGE "--split" "$dtrain" data --split middle
refuse $USAGE "--lr" "$dtrain" info --lr 1 good

# ---- checkpoints ----

for command in eval ask info; do
    how=("$dtrain" "$command")
    [[ $command != eval ]] || how=(start 3 eval)
    refuse $NO_INPUT missing.h5 "${how[@]}" missing.h5
    for file in truncated stump empty text zeros foreign newer; do
        refuse $DATA "inputs/$file.h5" "${how[@]}" "inputs/$file.h5"
        [[ $command == ask ]] || how=("$dtrain" "$command") # the rest without mpirun
    done
done
refuse $NO_INPUT inputs "$dtrain" info inputs # a folder without checkpoints
for command in eval ask; do
    refuse $DATA inputs/other_shape.h5 "$dtrain" "$command" inputs/other_shape.h5
    refuse $DATA "inputs/other_vocabulary.h5: its model has another vocabulary" "$dtrain" "$command" inputs/other_vocabulary.h5
done
expect_exit 0 "$dtrain" info inputs/other_vocabulary.h5
for command in eval ask info; do
    refuse $DATA "its model has another vocabulary" "$dtrain" "$command" inputs/short_texts.h5
done

refuse $NO_INPUT missing.h5 start 3 --resume missing.h5 --out new
for file in truncated foreign text; do
    refuse $DATA "inputs/$file.h5" start 3 --resume "inputs/$file.h5" --out new
done
refuse $DATA inputs/other_shape.h5 start alone --resume inputs/other_shape.h5 --out new
for how in --resume --init-from; do
    refuse $DATA "inputs/other_vocabulary.h5: its model has another vocabulary" start 3 $how inputs/other_vocabulary.h5 --steps 12 --out new
done

# If the shape differs from the checkpoint's, the setting and both values are named.
refuse $USAGE "--width 16, which cannot become 32" start 3 --resume inputs/good.h5 --width 32 --out new
refuse $USAGE "--layers 1, which cannot become 2" start 3 --out good --layers 2 --steps 20
refuse $USAGE "newer than the step 4" start 3 --resume good/checkpoint-00000004.h5
refuse $USAGE "9 ranks are more than the 8 shards" start 9 --out good --steps 20
refuse $USAGE "--layers 1; they do not fit --layers 2" start alone --init-from inputs/good.h5 --layers 2 --out new

# If all checkpoints of a run are damaged, no new run replaces them.
mkdir damaged
cp inputs/truncated.h5 damaged/checkpoint-00000004.h5
checksums damaged >before
expect_exit $DATA start 3 "${tiny[@]}" --out damaged
(($(grep -c 'error: ' err) == 1)) || fail "not one error but: $(grep 'error: ' err)"
expect_text err damaged/checkpoint-00000004.h5 "none of the 1 checkpoints"
checksums damaged >after
cmp before after || fail "a damaged run was touched"

# ---- problems ----

refuse $USAGE "division by zero" "$dtrain" ask good 12/0
refuse $USAGE 12345 "$dtrain" ask good 12345+1
refuse $USAGE "one of + - * / is missing" "$dtrain" ask good "12 und 3"
refuse $USAGE "999999999999999999999" "$dtrain" ask good 999999999999999999999+1

# ---- --fresh renames nothing before it is known that a run can begin ----

cp -r good again
refuse $NO_INPUT "none.h5" start 3 "${tiny[@]}" --fresh --init-from none.h5 --out again
[[ -e again/latest.h5 ]] || fail "a refused start has renamed the run"
expect_exit 0 start 3 "${tiny[@]}" --fresh --init-from again --out again
expect_text err "weights"

# ---- folders that cannot be written ----

touch file
refuse $CREATE file start 3 "${tiny[@]}" --out file
refuse $CREATE "folder file: a file of that name is in the way" start 3 "${tiny[@]}" --out file/run
refuse $CREATE /proc/dtrain start 3 "${tiny[@]}" --out /proc/dtrain
[[ -f file && ! -s file ]] || fail "the file in the way is no longer the same"
[[ ! -e new ]] || fail "a refused start left the folder new"
expect_exit $IO bash -c '"$@" >/dev/full' bash "$dtrain" info good
expect_text err "standard output"
expect_exit $USAGE "$dtrain" data --tsv --tokens
expect_text err "leave out --tokens"
expect_exit $USAGE "$dtrain" eval good --file asked.tsv --count 3
expect_text err "leave out --count"
expect_exit $USAGE "$dtrain" plan --lora-rank 4
expect_text err "without adapters"
expect_exit $USAGE "$dtrain" --budget 1h --init-from good --out new
expect_text err "--init-from"
mkdir texts
expect_exit $USAGE "$dtrain" tokenize good --text texts
expect_text err "texts is a folder"
expect_exit $CREATE "$dtrain" eval good --count 64 --dump-logits file/logits.json
expect_text err "file/logits.json cannot be created"

checksums good >good.after
checksums inputs >inputs.after
cmp good.before good.after || fail "a run was harmed"
cmp inputs.before inputs.after || fail "an input was harmed"

# ---- our own file systems, if mounting is allowed ----

need "ability mounts"
mkdir disk

# on_disk OPTIONS COMMAND…: with a file system at the folder disk.
on_disk() {
    # shellcheck disable=SC2016 # for the inner shell
    unshare -m bash -c 'options=$1 && shift && mount -t tmpfs -o "$options" tmpfs disk && exec "$@"' bash "$@"
}
started=(timeout -k 5 "$limit" "$mpirun" -np 3 "$dtrain")
refuse $CREATE disk/run on_disk ro "${started[@]}" "${tiny[@]}" --out disk/run

# A disk that is full after the first checkpoints: warnings, then an error at the end. Earlier checkpoints are whole.
# shellcheck disable=SC2016 # for the inner shell
expect_exit $IO on_disk size=300k bash -c '
    code=0
    "$@" || code=$?
    find disk -type f -printf "%f\n" | sort >&3
    for file in disk/run/checkpoint-*.h5; do "$0" info "$file" >/dev/null || exit 1; done
    exit $code' "$dtrain" "${started[@]}" "${tiny[@]}" --keep 0 --checkpoint-every 1 --out disk/run 3>left
(($(grep -c 'error: ' err) == 1)) || fail "not one error but: $(grep 'error: ' err)"
grep 'error: ' err
grep -q 'checkpoint-' left || fail "no checkpoint was written before the disk was full"
! grep -v -E '^(checkpoint-[0-9]+\.h5|config\.ini|log\.jsonl)$' left || fail "a half-written file was left"
