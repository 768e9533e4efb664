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
