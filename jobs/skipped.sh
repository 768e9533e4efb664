#!/usr/bin/env bash
# Lists what the last tests left out, and fails if one of them had all that it needs: a test that is always skipped tests nothing.
#
#   jobs/skipped.sh BUILD LOG     BUILD: where ctest ran; LOG: what it printed
#
# A test that cannot run, whole or in part, says so in a line of its own: "SKIPPED: needs WAYS", with the ways of there.sh.
# One line for each test on standard output; exit code 1 if any of them is not justified.
set -euo pipefail
# shellcheck source=jobs/there.sh
. "$(dirname "${BASH_SOURCE[0]}")/there.sh"
build=${1:?usage: $0 BUILD LOG} log=${2:?usage: $0 BUILD LOG}

# Tests that ctest counts as skipped or does not run at all.
mapfile -t whole < <(sed -nE 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) .*\*\*\*(Skipped|Not Run).*/\1/p' "$log")

# NAME, tab, reason, for each line that gives one; and NAME alone for what cmocka and unittest say that they left out.
reasons() {
    awk '
        match($0, /^[0-9]+\/[0-9]+ Testing: /) { name = substr($0, RLENGTH + 1) }
        sub(/^SKIPPED: needs /, "") { print name "\t" $0 }
        /^\[  SKIPPED \] [^ ]+$/ || /^OK \(.*skipped=/ { print name }
    ' "$build/Testing/Temporary/LastTest.log"
}

declare -A reason=() left_out=()
for name in "${whole[@]}"; do left_out[$name]=1; done
while IFS=$'\t' read -r name ways; do
    left_out[$name]=1
    [[ -z $ways ]] || reason[$name]+=$ways$'\n'
done < <(reasons)

bad=0
for name in $(printf '%s\n' "${!left_out[@]}" | sort); do
    if [[ -z ${reason[$name]:-} ]]; then
        echo "$name: FAILED: it was skipped and does not say what it needs"
        bad=1
        continue
    fi
    while read -r ways; do
        there=0
        is_there "$ways" || there=$?
        case $there in
        0)
            echo "$name: FAILED: it was skipped for want of $ways, which is there"
            bad=1
            ;;
        1) echo "$name: skipped, needs $ways" ;;
        *)
            echo "$name: FAILED: it was skipped for want of $ways, and there is no way to look for that"
            bad=1
            ;;
        esac
    done < <(sort -u <<<"${reason[$name]%$'\n'}")
done
exit $bad
