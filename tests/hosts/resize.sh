#!/usr/bin/env bash
# A run goes from four hosts to one and back to four, and comes to the same bits as on one host from beginning to end.
HOSTS=4
# shellcheck source=tests/hosts/lib.sh
. "$(dirname "$0")/lib.sh"

run=("${small[@]}" --schedule constant --eval-every 4)
expect_exit 0 "$dtrain" "${run[@]}" --steps 12 --out whole
step=0
# mpirun runs on h1 and takes it first.
for placement in "h1:1 h2:1 h3:1 h4:1" h3:2 "h1:1 h4:1 h2:1 h3:1"; do
    step=$((step + 4))
    # shellcheck disable=SC2086 # words
    place $placement
    expect_exit 0 start "$ranks" "${run[@]}" --steps $step --out parts
    expect_text err "$ranks ranks on $(wc -w <<<"$placement") node"
done
compare_runs whole/latest.h5 parts/latest.h5
mapfile -t rows < <(history parts/latest.h5 host)
[[ "${rows[0]%%;*} ${rows[1]%%;*} ${rows[2]%%;*}" == "h1*1,h2*1,h3*1,h4*1 h3*2 h1*1,h4*1,h2*1,h3*1" ]] || fail "the history says ${rows[*]}"
say "four hosts, one, four again: the same bytes"
