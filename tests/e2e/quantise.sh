#!/usr/bin/env bash
# Quantised checkpoints: what eval, ask and sample find is that of the same values in float32, on any number of ranks; damage is
# noticed; what needs float32 refuses them.
set -euo pipefail
# shellcheck source=tests/e2e/life.sh
. "$(dirname "$0")/life.sh"

model=(--layers 2 --width 64 --heads 2 --batch 40 --format plain --ops '+-' --digits 1 --eval-examples 64 --precision float32)
expect_exit 0 start 2 "${model[@]}" --steps 60 --lr 5e-3 --eval-every 60 --out base

# same_logits A.json B.json MOST: they differ by at most that share of the largest one.
same_logits() {
    /usr/bin/python3 -B -c '
import json, sys, numpy
a, b = (numpy.concatenate([numpy.array(x).ravel() for x in json.load(open(path))["logits"]]) for path in sys.argv[1:3])
off = abs(a - b).max() / abs(a).max()
assert len(a) > 1000 and off < float(sys.argv[3]), off' "$@" || fail "$1 and $2 differ"
}

matrices=$((2 * 12 * 64 * 64))
for to in q8_0 nf4; do
    expect_exit 0 "$dtrain" quantise base --to $to --out $to.h5 --json
    case $to in q8_0) bytes=$((matrices * 34 / 32)) ;; nf4) bytes=$((matrices / 2 + matrices / 64 + 2 * (4 * (4 + 4)))) ;; esac
    expect_text out "\"quantised\":$matrices,\"quantised_bytes\":$bytes,"
    expect_exit 0 "$dtrain" verify $to.h5
    expect_text out "whole: step 60"
    expect_exit 0 "$dtrain" info $to.h5
    expect_text out "quantised  $matrices parameters" "in $to"
    expect_exit 0 "$dtrain" ask $to.h5 3+4 9-5
    [[ $(wc -l <out) == 2 ]] || fail "two answers"
    cp out $to.answers
    expect_exit 0 "$dtrain" sample $to.h5 3+4 --seed 1 --count 2 --json
    cut -d , -f 2- out >$to.samples
    # The same values in float32.
    /usr/bin/python3 -B "$here/quantise.py" base/best.h5 $to.h5 $to.floats.h5 || fail "the bytes of $to.h5"
    for file in $to.h5 $to.floats.h5; do
        expect_exit 0 start 2 eval "$file" --count 200 --dump-logits "$file.json"
    done
    same_logits $to.h5.json $to.floats.h5.json 1e-5
    expect_exit 0 "$dtrain" ask $to.floats.h5 3+4 9-5
    cmp out $to.answers || fail "other answers than in float32"
    expect_exit 0 "$dtrain" sample $to.floats.h5 3+4 --seed 1 --count 2 --json
    cut -d , -f 2- out | cmp - $to.samples || fail "other samples than in float32"
    for precision in float32 bfloat16; do
        for ranks in 1 3; do
            expect_exit 0 start $ranks eval $to.h5 --count 300 --precision $precision --json
            grep -o '"loss.*' out | sed 's/"seconds":[^,}]*//' >$to.$precision.$ranks
        done
        [[ -s $to.$precision.1 ]] || fail "no results"
        cmp $to.$precision.1 $to.$precision.3 || fail "other results on 3 ranks"
    done
done
! cmp -s q8_0.float32.1 nf4.float32.1 || fail "two types with the same results"
say "the same values, answers and texts as in float32, on 1 and 3 ranks"

# An adapter is merged into its base first.
expect_exit 0 start 2 --init-from base --lora-rank 2 --base-quant nf4 --steps 10 --eval-every 10 --lr 1e-2 --eval-examples 64 --out adapter
expect_exit 0 "$dtrain" quantise adapter --to q8_0 --out adapter.h5
expect_exit 0 "$dtrain" merge adapter --out merged
/usr/bin/python3 -B "$here/quantise.py" merged/latest.h5 adapter.h5 adapter.floats.h5 || fail "not the merged weights"

# ---- damage ----

# damage FILE: one byte in the middle of a matrix; in its last scale.
for to in q8_0 nf4; do
    cp $to.h5 flipped.h5
    /usr/bin/python3 -B -c '
import sys, h5py
with h5py.File(sys.argv[1]) as file:
    matrix = file["weights/layers/1/mlp_in/weight"].id
    at = matrix.get_offset() + matrix.get_storage_size() // 2
with open(sys.argv[1], "r+b") as file:
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 16]))' flipped.h5
    expect_exit 65 "$dtrain" verify flipped.h5
    expect_text out "1 fault" "/weights/layers/1/mlp_in/weight: its bytes are damaged"
    expect_exit 65 start 2 eval flipped.h5 --count 8
    expect_text err "/weights/layers/1/mlp_in/weight" "damaged"
    # A scale that is not finite, signed; a type that there is not; a matrix of another length; an adapter.
    for change in 'matrix[:2] = 0, 0x7c' 'weights.attrs["quantised"] = signed.text("q9")' \
        'file.move("weights/layers/1/mlp_in/weight", "weights/layers/1/mlp_in/other")' 'del weights["layers/1/mlp_in/weight"]' \
        'del weights.attrs["quantised"]'; do
        [[ $to == q8_0 || $change != matrix* ]] || change='matrix[:4] = 0, 0, 0x80, 0x7f'
        cp $to.h5 odd.h5
        PYTHONPATH=$here/../io /usr/bin/python3 -B - odd.h5 "$change" <<'EOF'
import sys, h5py, signed
with h5py.File(sys.argv[1], "r+") as file:
    weights = file["weights"]
    matrix = weights["layers/1/mlp_in/weight"]
    exec(sys.argv[2])
    signed.sign(file)
EOF
        expect_exit 65 "$dtrain" verify odd.h5
        expect_exit 65 "$dtrain" ask odd.h5 3+4
        cut -c 1-200 err
    done
done >odd
expect_text odd "is not finite at element 0" "is none of q8_0 and nf4" "mlp_in/weight: is missing" "has another type than it should"
say "damage is noticed"

# ---- what needs float32, and what is wrong ----

refuse() {
    local code=$1 text=$2
    shift 2
    expect_exit "$code" "$@"
    expect_text err "$text"
}
needs="nf4.h5 is quantised (nf4), for eval, ask and sample alone"
refuse 64 "$needs" start 2 --init-from nf4.h5 --steps 2 --out refused
refuse 64 "$needs" start 2 --init-from nf4.h5 --lora-rank 2 --steps 2 --out refused
refuse 64 "$needs" start 2 --resume nf4.h5 --out refused
refuse 64 "$needs" "$dtrain" export nf4.h5 --to refused
refuse 64 "$needs" "$dtrain" quantise nf4.h5 --to q8_0 --out refused.h5
refuse 64 "$needs" start 2 verify --replay nf4.h5 base/latest.h5
refuse 64 "is a whole model" "$dtrain" merge nf4.h5 --out refused
refuse 64 "none of q8_0, nf4" "$dtrain" quantise base --to q4_0 --out refused.h5
refuse 64 "--to q8_0" "$dtrain" quantise base --out refused.h5
refuse 64 "--out FILE" "$dtrain" quantise base --to nf4
refuse 66 "nothing" "$dtrain" quantise nothing --to nf4 --out refused.h5
refuse 73 "is there already" "$dtrain" quantise base --to q8_0 --out nf4.h5
refuse 73 "the folder is not there" "$dtrain" quantise base --to nf4 --out none/refused.h5
expect_exit 0 start 2 "${model[@]}" --width 32 --steps 2 --out narrow
refuse 64 "nf4 stores blocks of 64 weights, and --width 32" "$dtrain" quantise narrow --to nf4 --out refused.h5
expect_exit 0 "$dtrain" quantise narrow --to q8_0 --out narrow.h5
expect_exit 0 start 2 eval narrow.h5 --count 8
! compgen -G 'refused*' >/dev/null || fail "something was left"
"$dtrain" info --devices --json >devices
if grep -q '"backend":"opencl"' devices; then
    refuse 64 "the backend opencl computes with matrices in float32, not in nf4" start 2 eval nf4.h5 --backend opencl --count 8
    refuse 64 "not in q8_0" start 2 --init-from base --lora-rank 2 --base-quant q8_0 --steps 2 --backend opencl --precision float32 --out refused
fi
say "what needs float32 refuses it"
