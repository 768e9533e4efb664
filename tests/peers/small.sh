# shellcheck shell=bash
# The Python interpreter for comparisons with programs that are small enough to be fetched in every test run. To be sourced,
# after jobs/there.sh.

# small_python FOLDER MODULE…: sets $python to the Python of the virtual environment in that folder, or in DTRAIN_SMALL, which
# has all these modules. Those that are missing are downloaded from PyPI; where that cannot be reached the test is skipped.
small_python() {
    local folder=${DTRAIN_SMALL:-$1} module missing=()
    shift
    python=$folder/bin/python
    # Tests run side by side.
    mkdir -p "$folder"
    exec {lock}>"$folder/lock"
    flock "$lock"
    for module in "$@"; do
        "$python" -c "import $module" 2>/dev/null || missing+=("$module")
    done
    if ((${#missing[@]})); then
        need "ability pypi"
        # One that was left half-made has no pip.
        "$python" -m pip --version >/dev/null 2>&1 || python3 -m venv --clear "$folder" >&2
        "$python" -m pip install --quiet --disable-pip-version-check "${missing[@]}" >&2
    fi
    exec {lock}>&-
}
