#!/usr/bin/env bash
# Slow networks, and those that lose something, change no bit.
HOSTS=2
# shellcheck source=tests/hosts/lib.sh
. "$(dirname "$0")/lib.sh"

run=("${small[@]}" --steps 8 --eval-every 4 --checkpoint-every 4)
expect_exit 0 "$dtrain" "${run[@]}" --out whole
place h1:1 h2:1
# ms: how long a message of 64 bytes takes to the other host and back.
ms() { on h1 "ping -c 5 -i 0.02 -q h2" | sed -n 's,.*= [0-9.]*/\([0-9.]*\)/.*,\1,p'; }

for link in "delay 2 rate 0 loss 0" "delay 0 rate 50 loss 0" "delay 1 rate 0 loss 1"; do
    # shellcheck disable=SC2086 # words
    network $link
    out=${link// /}
    begin=$(now)
    expect_exit 0 start 2 "${run[@]}" --out "$out"
    expect_text err "2 ranks on 2 nodes (h1*1,h2*1"
    compare_runs whole/latest.h5 "$out/latest.h5"
    say "same bytes: $link; $(calculate "$(now) - $begin") s"
done
