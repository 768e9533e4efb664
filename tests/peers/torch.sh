# shellcheck shell=bash
# The Python interpreter for comparisons with PyTorch. To be sourced.

# torch_python FOLDER: prints the Python of the virtual environment in that folder, or in DTRAIN_TORCH. If PyTorch is missing
# there, it is downloaded from PyPI with h5py and NumPy: some gigabytes, which can take minutes.
torch_python() {
    local folder=${DTRAIN_TORCH:-$1}
    # One that was left half-made has no pip.
    "$folder/bin/python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$folder" >&2 || return
    "$folder/bin/python" -c 'import torch, numpy, h5py' 2>/dev/null ||
        "$folder/bin/pip" install --quiet --disable-pip-version-check torch numpy h5py >&2 || return
    printf '%s\n' "$folder/bin/python"
}
