#!/usr/bin/env bash
# A damaged checkpoint is detected and every fault named; a run can be replayed on any number of ranks.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
readonly DATA=65 NO_INPUT=66

# A checkpoint is due every tenth step; the writer skips one if it is too slow.
run=("${small[@]}" --steps 40 --lr 0.004 --eval-every 5 --checkpoint-every 10 --keep 0 --eval-examples 256 --out run)
expect_exit 0 start 2 "${run[@]}"
from=$(find run -name 'checkpoint-*.h5' | sort | head -n 1) to=run/checkpoint-00000040.h5
[[ $from != "$to" ]] || fail "there is one checkpoint only"

# edit FILE STATEMENT…: change a checkpoint with h5py and sign it again, so that only a replay can detect it.
edit() {
    /usr/bin/python3 -B - "$here/../io" "$@" <<'END'
import sys
sys.path.insert(0, sys.argv[1])
import h5py, numpy, signed
with h5py.File(sys.argv[2], "r+") as file:
    for statement in sys.argv[3:]:
        exec(statement)
    signed.sign(file)
END
}

# flip FILE PATH…: one bit in the middle of each dataset.
flip() {
    /usr/bin/python3 -B - "$@" <<'END'
import sys, h5py
name, *paths = sys.argv[1:]
with h5py.File(name) as file:
    offsets = [file[path].id.get_offset() + file[path].id.get_storage_size() // 2 for path in paths]
with open(name, "r+b") as file:
    for offset in offsets:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))
END
}

# ---- files ----

expect_exit 0 "$dtrain" verify "$to"
expect_text out "$to: whole: step 40, " "datasets" "digest "
expect_exit 0 "$dtrain" verify --json run
/usr/bin/python3 -B - <<'END' || fail "verify --json of a run"
import json, pathlib
rows = [json.loads(line) for line in open("out")]
names = sorted(map(str, pathlib.Path("run").glob("checkpoint-*.h5")))
assert sorted(row["checkpoint"] for row in rows) == names, rows
assert all(row["whole"] and not row["faults"] and len(row["digest"]) == 32 for row in rows), rows
END

cp "$to" damaged.h5
flip damaged.h5 weights/pos_embed optimizer/v/layers/1/mlp_in/weight metrics/train/loss config/ini
expect_exit $DATA "$dtrain" verify damaged.h5
expect_text out "unusable: 4 faults" "/weights/pos_embed: its bytes are damaged" \
    "/optimizer/v/layers/1/mlp_in/weight: its bytes" "/metrics/train/loss: its bytes" "/config/ini: its bytes"
expect_text err "damaged.h5 cannot be used"
expect_exit $DATA "$dtrain" verify damaged.h5 --json
/usr/bin/python3 -B -c 'import json
row = json.load(open("out"))
assert not row["whole"] and len(row["faults"]) == 4 and row["faults"][0]["part"] == "/config/ini", row' || fail "verify --json"

cp "$to" odd.h5
edit odd.h5 'file["metrics/train/step"][7] = 5' 'file["metrics/validation/step"][-1] = 41' 'file["state"].attrs["best"] = 2.5' \
    'file["weights"].attrs["heads"] = numpy.int64(4)' 'file["weights/tok_embed"][2, 3] = numpy.inf' \
    'file["optimizer/m/tok_embed"][0, 1] = numpy.nan' 'del file["metrics/history/host"]'
expect_exit $DATA "$dtrain" verify odd.h5
expect_text out "unusable: 6 faults" "/metrics/train: step 5 after step 6" "/metrics/validation: step 41, when the last one made is 40" \
    "/weights: attribute heads: does not agree" "/weights/tok_embed: is inf at element 67" \
    "/optimizer/m/tok_embed: is nan at element 1" "/metrics/history/host: is missing"

mkdir run2
cp -a run/. run2
mv "run2/${from#*/}" run2/checkpoint-00000007.h5
flip run2/checkpoint-00000040.h5 weights/tok_embed
ln -sfn checkpoint-00000099.h5 run2/best.h5
expect_exit $DATA "$dtrain" verify run2
expect_text out "run2/checkpoint-00000007.h5: unusable" "its name: says step 7, but the file holds step" \
    "run2/best.h5: unusable" "points to something that is not there" "run2/checkpoint-00000040.h5: unusable"
expect_text err "3 of " "files cannot be used, the first of them run2/checkpoint-00000040.h5"

expect_exit $NO_INPUT "$dtrain" verify none.h5
mkdir empty
expect_exit $NO_INPUT "$dtrain" verify empty
head -c 1000 "$to" >short.h5
expect_exit $DATA "$dtrain" verify short.h5
expect_text out "the file is cut off"
say "faults are named"

# Attributes that people add to / are remarks, of any type and with any name. What dtrain wrote is still protected.
# note FILE STATEMENT…: change a checkpoint with h5py, and do not sign it.
note() {
    local file=$1
    shift
    /usr/bin/python3 -B -c 'import h5py, numpy, sys
with h5py.File(sys.argv[1], "r+") as file:
    for statement in sys.argv[2:]: exec(statement)' "$file" "$@"
}
mkdir noted
cp "$to" noted
noted=noted/${to##*/}
note "$noted" 'file.attrs["note"] = "x"' 'file.attrs["my tag"] = 3' 'file.attrs["list"] = numpy.arange(5)' \
    'file.attrs["gr\u00f6\u00dfe"] = 1.5' 'file.attrs["exact"] = numpy.int64(5)' 'file.attrs["long"] = "y" * 10000'
expect_exit 0 "$dtrain" verify "$noted"
expect_text out "whole: step 40" "remark: /: attribute note: was not written by dtrain" "remark: /: attribute exact:" \
    "remark: /: attribute (a name that is not plain)"
expect_exit 0 "$dtrain" verify --json "$noted"
/usr/bin/python3 -B -c 'import json
row = json.load(open("out"))
assert row["whole"] and not row["faults"] and len(row["remarks"]) == 6, row' || fail "verify --json of remarks"
expect_exit 0 "$dtrain" info "$noted"
expect_exit 0 "$dtrain" eval "$noted" --count 8
expect_exit 0 "$dtrain" "${run[@]}" --out noted --steps 41
expect_text err "resuming noted from step 40"
cp "$to" newer.h5 # as a newer dtrain would write and sign it
edit newer.h5 'file.attrs["newer"] = numpy.int64(1)'
expect_exit 0 "$dtrain" verify newer.h5
! grep -q remark out || fail "a signed attribute is a remark"
note newer.h5 'file.attrs["newer"] = numpy.int64(2)'
expect_exit $DATA "$dtrain" verify newer.h5
for change in 'file.attrs["created"] = numpy.bytes_(b"2026-01-01T00:00:00Z")' 'del file.attrs["dtrain_version"]' \
    'file["weights"].attrs["note"] = "x"' 'file.attrs["seed"] = numpy.int64(9)' 'file.attrs["step"] = "forty"'; do
    cp "$noted" changed.h5
    note changed.h5 "$change"
    expect_exit $DATA "$dtrain" verify changed.h5
done
say "attributes that people add are remarks"

# Names that are not UTF-8, as on old disks: the JSON is still valid.
odd=$'odd\xff\xe2\x82'
mkdir "$odd"
cp "$to" "$odd"
for command in verify info; do
    expect_exit 0 "$dtrain" $command --json "$odd"
    /usr/bin/python3 -B -c 'import json
row = json.loads(open("out", "rb").read().decode())
assert row["checkpoint"].startswith("odd\ufffd\ufffd\ufffd/"), row' || fail "$command --json of a name that is not UTF-8"
done
say "JSON of any name"

# Flip bits all over the file: the program detects it, or the contents are the same.
/usr/bin/python3 -B - "$dtrain" "$to" <<'END' || fail "a flipped bit was not detected"
import json, pathlib, random, subprocess, sys
dtrain, path = sys.argv[1:]
def verify(path):
    result = subprocess.run([dtrain, "verify", "--json", path], capture_output=True, text=True)
    return result.returncode, json.loads(result.stdout)
whole = pathlib.Path(path).read_bytes()
random.seed(1)
_, original = verify(path)
noticed = 0
for i in range(100):
    data = bytearray(whole)
    data[i * len(data) // 100 + random.randrange(len(data) // 100)] ^= 1 << random.randrange(8)
    pathlib.Path("flipped.h5").write_bytes(data)
    code, row = verify("flipped.h5")
    assert code == (0 if row["whole"] else 65) and (row["digest"] == original["digest"] or not row["whole"]), (i, code, row)
    noticed += not row["whole"]
print("100 bits flipped,", noticed, "noticed, the others between the parts")
assert noticed > 80
END

# ---- replay ----

checksums run >before
: >names
printf '%s\n' ./* ./.* >names
for ranks in alone 2 3; do
    expect_exit 0 start $ranks verify --replay "$from" "$to"
    expect_text out "$from -> $to" "the same bytes"
done
expect_exit 0 start 3 verify --replay --json --ranks-per-node 2 "$from" "$to"
expect_text out '"ranks":3,"nodes":2' '"equal":true' '"differences":[]'
checksums run >after
cmp before after || fail "a replay touched the run"
rm after
printf '%s\n' ./* ./.* | cmp names - || fail "a replay wrote something"
say "replayed on 1, 2 and 3 ranks"

# accuse TEXT STATEMENT…: if the later checkpoint is changed by the statements and signed again, the replay detects it.
accuse() {
    local text=$1
    shift
    cp "$to" forged.h5
    edit forged.h5 "$@"
    expect_exit 0 "$dtrain" verify forged.h5
    expect_exit $DATA start 2 verify --replay "$from" forged.h5
    expect_text out DIFFERENT "$text"
    expect_text err "forged.h5 is not what $from leads to"
    say "found out: $(sed -n 2p out)"
}
accuse "/weights/layers/1/attn_out/weight: element 37 is" 'file["weights/layers/1/attn_out/weight"][1, 5] += 1e-7'
expect_text out "(1 of "
accuse "/optimizer/m/final_norm/bias: element 31" 'file["optimizer/m/final_norm/bias"][31] *= 1.5'
accuse "/optimizer/v/tok_embed: element 0" 'file["optimizer/v/tok_embed"][0, 0] += 1' 'file["optimizer/v/final_norm/bias"][0] += 1'
expect_text out "(2 of "
accuse "training, step 39: loss is" 'file["metrics/train/loss"][39] *= 0.99'
accuse "validation, step 40: exact_match is" 'file["metrics/validation/exact_match"][-1] = 1.0'
accuse "training: 40 rows in the replay, and 39 in the file" \
    'for n in list(file["metrics/train"]): v = file["metrics/train"][n][:-1]; del file["metrics/train"][n]; file["metrics/train"][n] = v'
accuse "/state: best is" 'file["state"].attrs["best"] = 0.99'

# ---- settings that changed on the way ----

expect_exit 0 start 2 "${run[@]}" --steps 60 --lr 0.001 --batch 40 --eval-every 7 --eval-examples 64
expect_exit 0 start 3 verify --replay "$from" run/checkpoint-00000060.h5
expect_text err "settings changed at step 40" "lr 0.004 -> 0.001" "batch 61 -> 40"
expect_exit 0 start alone "${run[@]}" --steps 65
expect_exit $DATA start 2 verify --replay "$from" run/checkpoint-00000065.h5
expect_text err "changed more than once, at the steps 40 and 60"
expect_exit 0 start 2 verify --replay run/checkpoint-00000060.h5 run/checkpoint-00000065.h5
say "changed settings are followed"

# ---- replays that are refused ----

# unfit CODE TEXT ARGUMENT…
unfit() {
    local code=$1 text=$2
    shift 2
    expect_exit "$code" start 2 verify --replay "$@"
    expect_text err "$text"
    (($(grep -c 'error: ' err) == 1)) || fail "not one error: $(grep 'error: ' err)"
}
expect_exit 0 start 2 "${small[@]}" --eval-every 0 --steps 50 --seed 2 --out seed
expect_exit 0 start 2 "${small[@]}" --eval-every 0 --steps 50 --width 16 --out shape
unfit $DATA "give the earlier one first" "$to" "$from"
unfit $DATA "two of one step are compared with h5diff" "$to" "$to"
unfit $DATA "the one has --seed 2, the other 1" "$from" seed/latest.h5
unfit $DATA "--width 16, the other 32" "$from" shape/latest.h5
cp "$from" vocabulary.h5
edit vocabulary.h5 'file["tokenizer/vocab"][-1] = "z"'
unfit $DATA "vocabulary.h5: its model has another vocabulary" vocabulary.h5 "$to"
unfit $NO_INPUT "none.h5" "$from" none.h5
unfit $DATA "damaged.h5" "$from" damaged.h5
expect_exit 64 start 9 verify --replay "$from" "$to"
expect_text err "9 ranks are more than the 8 shards"
expect_exit 64 start 2 verify --replay "$from"
expect_exit 64 "$dtrain" verify "$from" "$to"
say "checkpoints that are not of one run are refused"
