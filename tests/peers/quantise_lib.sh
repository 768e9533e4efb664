# shellcheck shell=bash
# A trained model for comparisons of quantised checkpoints. To be sourced, after lib.sh.

# odd_model: writes odd.h5, with trained weights and, in one matrix, rows that are unusual: nothing but zeros, one value, tiny and
# large ones, one that is far from the others, negative ones, and what is exactly between two values of NF4.
odd_model() {
    expect_exit 0 start 2 --layers 2 --width 128 --heads 2 --batch 32 --steps 40 --warmup 4 --lr 5e-3 --eval-examples 64 --log-level error --out model
    cp -L model/best.h5 odd.h5
    # shellcheck disable=SC2154 # from lib.sh
    PYTHONPATH=$here/../io /usr/bin/python3 -B - odd.h5 <<'END_OF_SCRIPT' || fail "odd.h5"
import sys, h5py, numpy, signed
with h5py.File(sys.argv[1], "r+") as file:
    matrix = file["weights/layers/1/mlp_in/weight"]
    rows = matrix[...]
    rows[0] = 0
    rows[1] = 0.25
    rows[2] *= 1e-6
    rows[3] *= 1e4
    rows[4, 77] = -50
    rows[5] = -abs(rows[5])
    values = numpy.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                          -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                          0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], "f4")
    rows[6] = numpy.resize((values[1:] + values[:-1]) / 2, 128)
    rows[6, ::64] = 1
    matrix[...] = rows
    signed.sign(file)
END_OF_SCRIPT
}
