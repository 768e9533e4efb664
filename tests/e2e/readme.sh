#!/usr/bin/env bash
# Every command that README.md shows runs as it stands there, on a small run in the place of the default job.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
readme=$here/../../README.md

# A folder that looks like a checkout in which quickstart.sh has been run.
mkdir build
ln -s "$dtrain" build/dtrain
expect_exit 0 start 2 "${small[@]}" --batch 8 --eval-examples 64

# blocks LANGUAGE: the fenced blocks of one language, one a line of base64.
blocks() {
    awk -v language="$1" '
        $0 == "```" && inside { inside = 0; print text | "base64 -w0; echo"; close("base64 -w0; echo"); next }
        $0 == "```" language { inside = 1; text = ""; next }
        inside { text = text $0 "\n" }' "$readme"
}

commands=0
while read -r block; do
    while IFS= read -r line; do
        # Installing and the tests themselves: e2e.quickstart, and what runs this. All of the default's domain takes minutes:
        # e2e.exhaustive has a small one.
        [[ -z $line || $line == jobs/quickstart.sh* || $line == jobs/test.sh* || $line == sbatch* || $line == *--exhaustive* ]] && continue
        code=0
        (eval "$line") </dev/null >out 2>err || code=$?
        # An untrained model may fail to answer; the command is right all the same.
        [[ $code == 0 || ($code == 65 && $line == *" ask "*) ]] || fail "exit code $code: $line"
        commands=$((commands + 1))
    done < <(base64 -d <<<"$block")
done < <(blocks sh)
((commands >= 8)) || fail "only $commands commands found in README.md"

while read -r block; do
    base64 -d <<<"$block" >example.py
    expect_exit 0 /usr/bin/python3 -B example.py
    [[ -s out ]] || fail "the Python example of README.md prints nothing"
    commands=$((commands + 1))
done < <(blocks python)

# Each option that the README names exists, and each setting of the program stands in the README.
"$dtrain" --help >help
for command in eval ask info data verify plot; do "$dtrain" "$command" --help >>help; done
while read -r option; do
    grep -qE -- "^ .*$option(=|,| |\[|\$)" help || fail "README.md names $option, which dtrain --help does not"
done < <(grep -oE '`--[a-z0-9-]+' "$readme" | tr -d '`' | sort -u)
say "$commands commands of README.md ran"
