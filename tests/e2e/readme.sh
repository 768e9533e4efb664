#!/usr/bin/env bash
# The pages are right: every command of README.md runs as written, on a small run instead of the default job; README.md keeps
# its size; the page of options names every option; files that pages name exist.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
top=$here/../..
readme=$top/README.md
options_page=$top/src/app/README.md
pages=("$readme" "$top/src/data/README.md" "$top/io/export/README.md")

# ---- README.md is short, and fits into a terminal ----

lines=$(wc -l <"$readme")
((lines <= 185)) || fail "README.md has $lines lines; move something to a page of its own"
wide=$({ LC_ALL=C.UTF-8 grep -nE '.{141}' "$readme" || true; } | cut -d : -f 1 | tr '\n' ' ')
[[ -z $wide ]] || fail "README.md: more than 140 characters in these lines: $wide"

# ---- links of pages, and files of this repository that they name, exist ----

named=0
while read -r page; do
    while read -r file; do
        [[ -e $(dirname "$page")/$file ]] || fail "$page links to $file, which is not there"
        named=$((named + 1))
    done < <(grep -oE '\]\([^)#]+\)' "$page" | tr -d '])(' | grep -v '^http')
    while read -r file; do
        compgen -G "$top/$file" >/dev/null || fail "$page names $file, which is not there"
        named=$((named + 1))
    done < <(grep -oE "\`(include|io|jobs|mpi|src|tests)/[a-zA-Z0-9_./*-]+\`" "$page" | tr -d '`')
done < <(find "$top"/{README.md,io,jobs,mpi,src,tests} -name '*.md')
((named >= 40)) || fail "only $named names of files found in the pages"

# ---- options: each that the pages name exists, and each of the program is in the table of options ----

"$dtrain" --help >help
commands=$(tr '\n' ' ' <help | sed -nE 's/.*Other commands: dtrain ([a-z, ]+);.*/\1/p' | tr -d ,)
[[ $commands == *eval*verify* ]] || fail "dtrain --help does not name the other commands: $commands"
for command in $commands; do "$dtrain" "$command" --help >>help; done
cat "$readme" "$options_page" | grep -oE '`--[a-z0-9-]+' | tr -d '`' | sort -u >named
grep '^|' "$options_page" | grep -oE '`--[a-z0-9-]+' | tr -d '`' | sort -u >listed
# An option begins its line of the help, or follows its short form.
grep -oE '^ +(-., )*--[a-z0-9-]+' help | grep -oE -e '--[a-z0-9-]+' | sort -u >options
(($(wc -l <options) >= 60)) || fail "only $(wc -l <options) options found in dtrain --help"
unknown=$(comm -23 named options | tr '\n' ' ')
[[ -z $unknown ]] || fail "README.md or src/app/README.md names what dtrain --help does not: $unknown"
missing=$(comm -13 listed options | tr '\n' ' ')
[[ -z $missing ]] || fail "the table of src/app/README.md lacks: $missing"

# ---- commands ----

# A folder that looks like a checkout in which quickstart.sh has been run.
mkdir build
ln -s "$dtrain" build/dtrain
expect_exit 0 start 2 "${small[@]}" --batch 8 --eval-examples 64

# blocks PAGE: the fenced blocks of the shell, one a line of base64.
blocks() {
    awk '
        $0 == "```" && inside { inside = 0; print text | "base64 -w0; echo"; close("base64 -w0; echo"); next }
        $0 == "```sh" { inside = 1; text = ""; next }
        inside { text = text $0 "\n" }' "$1"
}

ran=0
for page in "${pages[@]}"; do
    while read -r block; do
        while IFS= read -r line; do
            # Skipped: installing and building (e2e.quickstart does it), running the tests, and the default's whole domain,
            # which takes minutes (e2e.exhaustive has a small one).
            [[ -z $line || $line == jobs/quickstart.sh* || $line == jobs/test.sh* || $line == cmake* || $line == *--exhaustive* ]] && continue
            code=0
            (eval "$line") </dev/null >out 2>err || code=$?
            # An untrained model may have no answer and say so; the command is right nevertheless.
            wanted=0
            ! grep -q "which is no answer; it needs more training" err || wanted=65
            ((code == wanted)) || fail "exit code $code instead of $wanted: $line"
            ran=$((ran + 1))
        done < <(base64 -d <<<"$block")
    done < <(blocks "$page")
done
((ran >= 15)) || fail "only $ran commands found in ${pages[*]}"

# ---- the picture ----

/usr/bin/python3 -B "$top/tests/bench/picture.py" runs/default --until 400 >picture.svg 2>err || fail "no picture was drawn"
/usr/bin/python3 -B -c '
import sys, xml.etree.ElementTree as tree
for path in sys.argv[1:]:
    words = [item.text for item in tree.parse(path).iter() if item.tag.endswith("text")]
    assert {"shards", "ranks"} <= {word.split()[-1] for word in words}, (path, words)' picture.svg "$top/tests/bench/picture.svg" ||
    fail "a picture is none"

# ---- the examples of src/data/README.md are those of tests/unit/test_format.c ----

tr -d '\n' <"$top/tests/unit/test_format.c" | sed 's/" *"//g' >written
examples=0
while read -r text; do
    grep -qF "\"$text\"" written || fail "src/data/README.md shows $text, which tests/unit/test_format.c does not know"
    examples=$((examples + 1))
done < <(sed -n 's/^whole text *//p' "$top/src/data/README.md")
((examples >= 3)) || fail "only $examples whole texts found in src/data/README.md"
say "$ran commands of the pages ran, $named files that pages name are there; README.md has $lines lines and names $(wc -l <options) options"
