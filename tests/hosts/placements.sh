#!/usr/bin/env bash
# The same bits wherever ranks run: hosts that are apart, with as many ranks each or not.
HOSTS=3
# shellcheck source=tests/hosts/lib.sh
. "$(dirname "$0")/lib.sh"

run=("${small[@]}" --steps 8 --eval-every 4 --checkpoint-every 4)
expect_exit 0 "$dtrain" "${run[@]}" --out whole
for placement in h1:4 "h1:2 h2:2" "h1:1 h2:1 h3:1" "h1:3 h2:1" "h1:2 h2:1 h3:1"; do
    # shellcheck disable=SC2086 # words
    place $placement
    out=${placement//[ :]/}
    expect_exit 0 start "$ranks" "${run[@]}" --out "$out"
    expect_text err "$ranks ranks on $(wc -w <<<"$placement") node"
    compare_runs whole/latest.h5 "$out/latest.h5"
    say "same bytes: $placement"
done

# In turns: the ranks of a host get neighbouring shards all the same.
place h1:2 h2:2
OMPI_MCA_rmaps_base_mapping_policy=node expect_exit 0 start 4 "${run[@]}" --out turns
compare_runs whole/latest.h5 turns/latest.h5
say "same bytes: ranks dealt out in turns"
