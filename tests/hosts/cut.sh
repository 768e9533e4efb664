#!/usr/bin/env bash
# One of three hosts is cut off in mid-run: the job ends soon, with one sentence that names the host, and the others finish the run.
HOSTS=3
# shellcheck source=tests/hosts/lib.sh
. "$(dirname "$0")/lib.sh"

run=("${small[@]}" --schedule constant --eval-every 0 --checkpoint-every 5 --keep 0 --log-level debug)

# cut_off HOST NAME OPTION…: cut that host off in a run on three hosts; $took is how long the job then goes on.
cut_off() {
    local host=$1 out=$2 begin
    shift 2
    place h1:1 h2:1 h3:1
    launch 3 "${run[@]}" --steps 1000000 --out "$out" "$@"
    wait_for 60 is_past "$out" 9
    network cut "$host"
    begin=$(now)
    end_of_job
    took=$(calculate "$(now) - $begin")
    network join "$host"
    say "h$host cut off: exit code $code after $took s, step $(newest_step "$out") of $(last_made) saved"
}

# Open MPI's own connections end after 12 s (oob_tcp_keepalive_*), and with them the job.
cut_off 3 kept
((code != 0)) || fail "exit code 0"
holds "$took < 40" || fail "the job went on for $took s"
expect_text err "h3"

# dtrain is sooner, if it is told so: after 8 s, or some more on a busy machine, so that Open MPI gets more time here. Which of the
# hosts that are left speaks: the one of rank 0. It leaves the end to Open MPI, which would hang if it were asked for it meanwhile.
OMPI_MCA_oob_tcp_keepalive_time=10 cut_off 3 told --stall-timeout 3s
expect_text err "no answer from rank 2 on h3, for which the others have waited" "the last completed step, $(last_made), has been saved"
[[ $(grep -c 'dtrain: error' err) == 1 ]] || fail "not one sentence: $(grep 'dtrain: error' err)"
holds "$took < 40" || fail "the job went on for $took s"

# The others finish the run, to the same bits.
for out in kept told; do
    last=$(($(newest_step "$out") + 5))
    place h1:1 h2:1
    expect_exit 0 start 2 "${run[@]}" --steps "$last" --out "$out"
    expect_exit 0 start alone "${run[@]}" --steps "$last" --out "whole_$out"
    compare_runs "whole_$out/latest.h5" "$out/latest.h5"
    say "$out: finished by two hosts at step $last, the same bytes"
done
