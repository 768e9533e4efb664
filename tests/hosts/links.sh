#!/usr/bin/env bash
# Slow networks, and those that lose something, change no bit.
HOSTS=2
# shellcheck source=tests/hosts/lib.sh
. "$(dirname "$0")/lib.sh"

run=("${small[@]}" --steps 8 --eval-every 4 --checkpoint-every 4)
expect_exit 0 "$dtrain" "${run[@]}" --out whole
place h1:1 h2:1
# measure_link: sets $ms, how long a message takes to the other host and back, $seconds, how long ten megabytes take, and $again, how
# many packets were sent again.
measure_link() {
    local answers
    on h2 /usr/bin/python3 -B "$here_hosts/link.py" answer &
    answers=$!
    on h1 /usr/bin/python3 -B "$here_hosts/link.py" ask h2 10000000 >link.txt
    wait "$answers"
    read -r ms seconds again <link.txt
}

for link in "delay 2 rate 0 loss 0" "delay 0 rate 50 loss 0" "delay 1 rate 0 loss 1"; do
    # shellcheck disable=SC2086 # words
    network $link
    measure_link
    case $link in
    "delay 2"*) holds "$ms >= 4" || fail "a message took $ms ms there and back" ;;
    *"rate 50"*) holds "$seconds >= 1.5" || fail "ten megabytes took $seconds s" ;;
    *"loss 1") ((again > 0)) || fail "nothing was lost" ;;
    esac
    out=${link// /}
    begin=$(now)
    expect_exit 0 start 2 "${run[@]}" --out "$out"
    expect_text err "2 ranks on 2 nodes (h1*1,h2*1"
    compare_runs whole/latest.h5 "$out/latest.h5"
    say "same bytes: $link ($ms ms, 10 MB in $seconds s, $again packets again); $(calculate "$(now) - $begin") s"
done
