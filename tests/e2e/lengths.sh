#!/usr/bin/env bash
# Longer numbers than in training: random place offsets, no positions, lengths of evaluation; the same bits on any number of
# ranks; the presets and the table over seeds.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

run=(--ops + --digits 2 --eval-digits 4 --format reverse --layers 1 --width 32 --heads 2 --batch 32 --steps 12 --eval-every 6
    --eval-examples 64 --place-offset 3 --positions none)
expect_exit 0 start alone "${run[@]}" --out alone
expect_text err "context 16" # 9999+9999=89991$
for ranks in 2 3; do
    expect_exit 0 start "$ranks" "${run[@]}" --out "on-$ranks"
    compare_runs alone/latest.h5 "on-$ranks/latest.h5"
done
/usr/bin/python3 -B - alone/latest.h5 <<'END' || fail "the shapes are not those of the settings"
import h5py, sys
with h5py.File(sys.argv[1]) as f:
    assert f["weights/pos_embed"].shape == (1, 32), f["weights/pos_embed"].shape
    assert f["weights/place_embed"].shape[0] == 3 + 1 + 3 + 1, f["weights/place_embed"].shape  # digits of a sum, the operator after it, offset, none
END
# The settings change training.
expect_exit 0 start alone "${run[@]}" --place-offset 0 --places 7 --out fixed
/usr/bin/python3 -B - alone/latest.h5 fixed/latest.h5 <<'END' || fail "the offset of places changes nothing"
import h5py, numpy, sys
a, b = (h5py.File(name)["weights/place_embed"][...] for name in sys.argv[1:])
assert a.shape == b.shape and not numpy.array_equal(a[:3], b[:3])
END
say "the same bits on 1, 2 and 3 ranks"

# ---- evaluation at its own lengths ----

lengths() {
    /usr/bin/python3 -B -c 'import json, sys
cells = json.load(open("out"))["add"]["cells"]
assert {(c["a_digits"], c["b_digits"]) for c in cells} == {(a, b) for a in range(1, int(sys.argv[1]) + 1)
                                                           for b in range(1, int(sys.argv[1]) + 1)}, cells' "$1" ||
        fail "not all lengths up to $1, or others"
}
expect_exit 0 start 2 eval alone --count 600 --json
lengths 4
expect_exit 0 start 2 eval alone --count 600 --eval-digits 3 --json
lengths 3
expect_exit 0 start 2 eval alone --exhaustive --json # the domain is that of training
lengths 2
expect_exit 64 start alone eval alone --eval-digits 5
expect_text err "problems of up to 19 tokens do not fit a model with --context 16"
expect_exit 64 "$dtrain" ask alone 12345+1
expect_text err "12345 has 5 digits"
# A problem as long as those of evaluation is not refused: the model is asked, and has no answer.
cp alone/latest.h5 mute.h5
mute mute.h5
expect_exit 65 "$dtrain" ask mute.h5 1234+1
expect_text err "which is no answer; it needs more training"
expect_exit 64 start alone "${run[@]}" --places 6 --out small
expect_text err "--place-offset 3 do not fit a model with --places 6"
expect_exit 64 start alone --ops '*' --eval-digits 25 --out small
expect_text err "--eval-digits 25: operands of products have at most 24 digits"
expect_exit 0 start 2 eval alone --count 100 --eval-digits 4 --eval-least-digits 3 --json
/usr/bin/python3 -B -c 'import json
cells = json.load(open("out"))["add"]["cells"]
assert {c["a_digits"] for c in cells} == {3, 4}, cells' || fail "--eval-least-digits is not kept"
say "evaluation has its own lengths"

# ---- marks before numbers, and sharper attention ----

expect_exit 0 start alone "${run[@]}" --marks start --out marked
expect_text err "vocabulary 18, context 19" # ^9999+^9999=^89991$
expect_exit 0 start 2 "${run[@]}" --marks start --out marked-2
compare_runs marked/latest.h5 marked-2/latest.h5
expect_exit 0 "$dtrain" data --count 1 --ops + --format reverse --marks start
grep -qE ' \^[0-9]+\+\^[0-9]+=\^[0-9]+\$$' out || fail "the numbers have no marks: $(cat out)"
expect_exit 64 start alone "${run[@]}" --place-offset 0 --positions index --place-embedding rotary --out small
expect_text err "digits have no places to turn by"
expect_exit 64 start alone "${run[@]}" --width 12 --heads 2 --place-embedding rotary --out small
expect_text err "no multiple of 4"
expect_exit 64 start alone "${run[@]}" --marks start --place-offset 0 --positions index --out small
expect_text err "digits and marks have no places"
# Distractors change what is learned, the same on any number of ranks, and over a stop.
distracted=("${run[@]}" --marks start --distractors 9)
expect_exit 0 start alone "${distracted[@]}" --out distracted
expect_exit 0 start alone "${distracted[@]}" --schedule constant --out distracted-whole
expect_exit 0 start 3 "${distracted[@]}" --schedule constant --steps 6 --out distracted-parts
expect_exit 0 start 2 "${distracted[@]}" --schedule constant --out distracted-parts
compare_runs distracted-whole/latest.h5 distracted-parts/latest.h5
/usr/bin/python3 -B - marked/latest.h5 distracted/latest.h5 <<'END' || fail "no text has distractors, or too many"
import h5py, numpy, sys
plain, distracted = (h5py.File(name) for name in sys.argv[1:])
assert not numpy.array_equal(plain["weights/tok_embed"][...], distracted["weights/tok_embed"][...])
texts, more = (int(file["metrics/train/tokens"][...].sum()) for file in (plain, distracted))
print(f"{texts} tokens, and {more} with distractors")
# Up to nine, 4.5 on average, for each of 32 texts in 12 steps, as far as the short context has room.
assert 32 * 12 * 1 < more - texts < 32 * 12 * 5, (texts, more)
END
# In rows, and with places that turn queries and keys, and are not trained: the same on any number of ranks.
rotary=("${distracted[@]}" --distractor-run 6 --place-embedding rotary --schedule constant)
expect_exit 0 start alone "${rotary[@]}" --out rotary
expect_exit 0 start 3 "${rotary[@]}" --steps 6 --out rotary-parts
expect_exit 0 start 2 "${rotary[@]}" --out rotary-parts
compare_runs rotary/latest.h5 rotary-parts/latest.h5
expect_exit 0 start 2 verify --replay rotary-parts/checkpoint-00000006.h5 rotary-parts/latest.h5
expect_exit 0 start alone "${rotary[@]}" --steps 1 --out rotary-begin
expect_exit 0 start alone "${rotary[@]}" --distractor-run 0 --out rotary-apart
/usr/bin/python3 -B - rotary-begin/latest.h5 rotary/latest.h5 distracted-whole/latest.h5 rotary-apart/latest.h5 <<'END' || fail "turns are not constant, or all else is"
import h5py, numpy, sys
begin, end, learned, apart = (h5py.File(name) for name in sys.argv[1:])
places = "weights/place_embed"
assert numpy.array_equal(begin[places][...], end[places][...])
assert not numpy.array_equal(learned[places][...], end[places][...])
for other in (begin, apart):
    assert not numpy.array_equal(other["weights/tok_embed"][...], end["weights/tok_embed"][...])
END
expect_exit 0 start alone "${rotary[@]}" --check-gradients --fresh --out rotary-gradients
# One of the settings may change on the way.
expect_exit 0 start alone --out rotary-parts --steps 13 --distractor-run 3
expect_exit 0 start alone --out rotary-parts --steps 14 --distractors 12
expect_text err "changed: steps 13 -> 14, distractors 9 -> 12"
expect_exit 64 start alone "${distracted[@]}" --place-offset 0 --out small
expect_text err "--distractors 9: they have the places that --place-offset moves digits to"
# So have numbers of expressions that begin at places of their own.
near=(--format expression --numbers natural --working near --ops '*/' --digits 3 --eval-digits 8 --place-embedding rotary --place-offset 40
    --place-window 2 --distractors 32 --distractor-run 8 --layers 1 --width 32 --heads 2 --batch 32 --steps 12 --schedule constant --eval-every 6 --eval-examples 32)
expect_exit 0 start alone "${near[@]}" --out near
expect_exit 0 start 3 "${near[@]}" --steps 6 --out near-parts
expect_exit 0 start 2 "${near[@]}" --out near-parts
compare_runs near/latest.h5 near-parts/latest.h5
expect_exit 0 start 2 verify --replay near-parts/checkpoint-00000006.h5 near-parts/latest.h5
# What a window hides is not learned from: here it changes nothing but what is seen. It is fixed, and one of places.
expect_exit 0 start alone "${rotary[@]}" --place-window 1 --out rotary-window
/usr/bin/python3 -B - rotary-window/latest.h5 rotary/latest.h5 <<'END' || fail "a window changes nothing"
import h5py, numpy, sys
window, wide = (h5py.File(name) for name in sys.argv[1:])
assert numpy.array_equal(window["metrics/train/tokens"][...], wide["metrics/train/tokens"][...])
name = "weights/layers/0/attn_qkv/weight"
assert not numpy.array_equal(window[name][...], wide[name][...])
END
expect_exit 64 start alone "${near[@]}" --place-window 3 --steps 14 --out near
expect_text err "place-window"
expect_exit 64 start alone "${run[@]}" --place-offset 0 --positions index --place-window 2 --out small
expect_text err "--place-window 2: with --positions index"
expect_exit 64 start alone "${near[@]}" --numbers any --out small
expect_text err "--working near is the one of --numbers natural"
expect_exit 64 start alone "${near[@]}" --place-window 0 --out small
expect_text err "--working near is made for a --place-window"
# Sharpness changes what validations see, but not what is learned.
expect_exit 0 start alone "${run[@]}" --sharpness 4 --out sharp
/usr/bin/python3 -B - alone/latest.h5 sharp/latest.h5 <<'END' || fail "sharpness changes training, or not its validations"
import h5py, numpy, sys
plain, sharp = (h5py.File(name) for name in sys.argv[1:])
for name in ("weights/tok_embed", "weights/layers/0/attn_qkv/weight", "metrics/train/loss"):
    assert numpy.array_equal(plain[name][...], sharp[name][...]), name
assert not numpy.array_equal(plain["metrics/validation/loss"][...], sharp["metrics/validation/loss"][...])
END
loss() { /usr/bin/python3 -B -c 'import json; print(json.load(open("out"))["loss"])'; }
expect_exit 0 start alone eval sharp --count 64 --json
own=$(loss)
expect_exit 0 start alone eval alone --count 64 --sharpness 4 --json
[[ $(loss) == "$own" ]] || fail "eval --sharpness 4 gives $(loss), the model that has it $own"
expect_exit 0 start alone eval sharp --count 64 --sharpness 1 --json
[[ $(loss) != "$own" ]] || fail "eval --sharpness changes nothing"
# A validation may choose it, and the checkpoint then has it.
expect_exit 0 start 2 "${run[@]}" --sharpen validation --out chosen
expect_exit 0 start alone "${run[@]}" --sharpen validation --out chosen-1
compare_runs chosen/latest.h5 chosen-1/latest.h5
/usr/bin/python3 -B - alone/latest.h5 chosen/best.h5 <<'END' || fail "validation has not chosen the best sharpness"
import h5py, sys
plain, chosen = (h5py.File(name) for name in sys.argv[1:])
step = list(plain["metrics/validation/step"][...]).index(chosen["state"].attrs["best_step"])
rows = [(file["metrics/validation/exact_match"][step], -file["metrics/validation/loss"][step]) for file in (plain, chosen)]
assert rows[1] >= rows[0], rows
sharpness = float(chosen["config"].attrs["sharpness"])  # of which 1 would not be written
assert sharpness in (1.5, 2, 2.5), sharpness
END
say "marks and sharpness do what they say"

# ---- presets, and the table over seeds ----

short=(--steps 1 --layers 1 --width 16 --heads 1 --batch 8 --log-level error)
for preset in addition subtraction; do
    expect_exit 0 env SEEDS="1 2" RANKS=1 MPIRUN="$mpirun" EVAL=48 FOLDER=table "$here/../bench/lengths.sh" "$dtrain" \
        --config "$here/../../jobs/$preset.ini" "${short[@]}"
    expect_text out "$preset, exact answers in percent by length" "| digits | seeds | median |"
    grep -qE '^\| [-+/] \| [0-9]+ \| 2 \| 0.00 \|' out || fail "no length that both seeds have been asked"
done
for preset in multiplication division; do
    expect_exit 0 env SEEDS=1 RANKS=1 MPIRUN="$mpirun" EVAL=16 FOLDER=asked ASK="8*1 6/2" "$here/../bench/lengths.sh" "$dtrain" \
        --config "$here/../../jobs/$preset.ini" --ops '*/' "${short[@]}"
    expect_text out "| * | 8 by 1 | 1 | 0.00 |" "| / | 6 by 2 | 1 | 0.00 |"
done
say "the presets run"
