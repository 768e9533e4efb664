#!/usr/bin/env bash
# The model is the average of the weights over the last steps; this test computes it again from the checkpoints of the steps.
# Training continues with the weights themselves, as without an average.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

run=(--steps 24 --eval-every 12 --checkpoint-every 1 --keep 0 "${small[@]}" --batch 244)
expect_exit 0 start 2 "${run[@]}" --out averaged
expect_exit 0 start 3 "${run[@]}" --average 0 --out plain
expect_exit 0 "$dtrain" eval averaged/latest.h5 --split validation --count 128 --json --log-level warn

cat >check.py <<'END'
import json
import pathlib
import sys
import h5py
import numpy as np


def block(file, group):
    found = {}
    file[group].visititems(lambda name, item: found.update({name: item[...]}) if isinstance(item, h5py.Dataset) else None)
    return found


models, compared, apart = {}, 0, 0.0
for step in range(1, 25):
    # While two checkpoints wait to be written, the next step has none.
    averaged, plain = (pathlib.Path(f"{run}/checkpoint-{step:08d}.h5") for run in ("averaged", "plain"))
    if not averaged.exists():
        continue
    with h5py.File(averaged) as file:
        models[step], iterate = block(file, "weights"), block(file, "optimizer/iterate")
    assert set(models[step]) == set(iterate)
    if plain.exists():
        with h5py.File(plain) as file:
            other = block(file, "weights")
            assert "iterate" not in file["optimizer"], "no average, but two kinds of weights"
        for name, value in iterate.items():
            assert np.array_equal(value, other[name]), (step, name, "training knows of the average")
    if step - 1 not in models:
        continue
    gain = min(1.0, 1 / (0.3 * step))
    for name, value in iterate.items():
        before = models[step - 1][name].astype(float)
        expected = before + gain * (value - before)
        assert np.allclose(models[step][name], expected, rtol=1e-5, atol=1e-7), (step, name)
        apart = max(apart, np.abs(models[step][name] - value).max())
    compared += step > 10
assert compared >= 3, f"only {compared} pairs of steps"
assert apart > 1e-3, f"the average is nowhere further than {apart} from the weights"

with h5py.File("averaged/latest.h5") as file, h5py.File("plain/latest.h5") as plain:
    assert np.array_equal(file["metrics/train/loss"], plain["metrics/train/loss"])
    loss, other = file["metrics/validation/loss"][-1], plain["metrics/validation/loss"][-1]
    accuracy = file["metrics/validation/token_accuracy"][-1]
assert loss != other, "validation looks at the last weights"
told = json.load(open(sys.argv[1]))
assert abs(told["token_accuracy"] - accuracy) < 1e-12, (told["token_accuracy"], accuracy)
print(f"averages are right, {compared} of them late ones; validation loss {loss:.4f}, of the last weights {other:.4f}")
END
/usr/bin/python3 -B check.py out || fail "the average is not what the weights of the steps give"

# Another run begins with the averaged weights.
expect_exit 0 start 1 --init-from averaged/latest.h5 --out after --steps 1 --eval-every 0 --lr 1e-12 --weight-decay 0 --warmup 0
/usr/bin/python3 -B - <<'END' || fail "a run does not begin with the averaged weights of another"
import h5py, numpy as np
with h5py.File("averaged/latest.h5") as file, h5py.File("after/latest.h5") as after:
    for group in "weights", "optimizer/iterate":
        assert np.allclose(file["weights/tok_embed"], after[group]["tok_embed"], rtol=0, atol=1e-9), group
END
say "another run begins with the average"
