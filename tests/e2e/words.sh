#!/usr/bin/env bash
# How the command line is understood: help in every form, mistakes, numbers, home folders, and one answer under mpirun.
set -euo pipefail
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

readonly USAGE=64 NO_INPUT=66
tiny=(--steps 2 --layers 1 --width 8 --heads 2 --batch 8 --eval-every 0 --log-level error)

# refuse TEXT COMMAND…: a usage error with this text, and how to find help.
refuse() {
    local text=$1
    shift
    expect_exit $USAGE "$@"
    expect_text err "$text" "--help' or"
    (($(wc -l <err) == 2)) || fail "not one sentence and one hint"
    [[ ! -s out ]] || fail "it prints something"
}

# ---- help in every form ----

for command in "" train eval ask info data plot verify export import; do
    # shellcheck disable=SC2086 # none or one word
    expect_exit 0 "$dtrain" $command --help
    mv out known
    # Without a command the program's own help is shown.
    for words in "$command -h" "$command -?" "help $command" "--help $command"; do
        # shellcheck disable=SC2086 # words
        expect_exit 0 "$dtrain" $words
        cmp out known || fail "\"$words\" is other help than \"$command --help\""
        [[ ! -s err ]] || fail "help complains"
    done
done
refuse '"evla" is neither a command nor an option; did you mean eval?' "$dtrain" help evla
say "every way to ask for help works"

# ---- mistakes ----

refuse '"evla" is neither a command nor an option; did you mean eval? The commands are train, eval, ask, ' "$dtrain" evla x --count 3
refuse '"xyzzy" is neither a command nor an option; the commands are train, ' "$dtrain" --steps 3 xyzzy
refuse "'-steps' has one dash too few; did you mean --steps?" "$dtrain" -steps 20
refuse "did you mean --seed=3?" "$dtrain" data -seed=3
refuse "did you mean --help?" "$dtrain" -help
refuse "invalid option -- 'x'" "$dtrain" -x
refuse "unrecognized option '--stpes'; did you mean --steps?" "$dtrain" --stpes 20
refuse "unrecognized option '--lr'" "$dtrain" info --lr 1 x
refuse "unrecognized option '--bogus'" "$dtrain" --bogus 3
[[ ! -e runs ]] || fail "a mistake began a run"
say "mistakes are named, with a suggestion"

# ---- a command after options ----

expect_exit 0 "$dtrain" data --count 2 --seed 7
mv out known
for words in "--seed 7 data --count 2" "--seed=7 --count 2 data" "--coun 2 --seed 7 data"; do
    # shellcheck disable=SC2086 # words
    expect_exit 0 "$dtrain" $words
    cmp out known || fail "\"$words\" prints other problems"
done
expect_exit 0 "$dtrain" --log-level error info --devices
expect_exit $NO_INPUT "$dtrain" --log-level debug eval nothing
expect_text err "cannot read nothing"
# The value of an option is not a command.
expect_exit 0 "$dtrain" "${tiny[@]}" --out data
[[ -e data/latest.h5 ]] || fail "--out data did not train in data"
say "a command may follow its options"

# ---- numbers are not options ----

for expression in -5+3 "-(5+3)" -.5; do
    expect_exit $USAGE "$dtrain" ask data "$expression"
    expect_text err "error: " "$expression"
    ! grep -q "invalid option" err || fail "$expression counts as an option"
done
refuse '"-5" is neither a command nor an option' "$dtrain" data -5
say "negative numbers are not options"

# ---- ~ where the shell does not expand it ----

mkdir home
HOME=$work/home expect_exit 0 "$dtrain" "${tiny[@]}" "--out=~/of words"
[[ -e "home/of words/latest.h5" && ! -e '~' ]] || fail "--out=~/… is not in the home folder"
printf '[run]\nout = ~/of file\n[data]\ntrain-file = ~/lines\n' >home/own.ini
for i in {1..200}; do printf 'line %d\n' "$((i * 7919))"; done >home/lines
HOME=$work/home expect_exit 0 "$dtrain" "${tiny[@]}" "--config=~/own.ini"
[[ -e "home/of file/latest.h5" && ! -e '~' ]] || fail "out = ~/… is not in the home folder"
grep -q "^train-file = $work/home/lines$" "home/of file/config.ini" || fail "the name of the file is not kept in full"
HOME=$work/home expect_exit 0 "$dtrain" eval data --count 10 "--errors=~/wrong" --log-level error
[[ -e home/wrong ]] || fail "--errors=~/wrong is not in the home folder"
expect_exit $USAGE env -u HOME "$dtrain" "${tiny[@]}" "--out=~/x"
expect_text err "--out: " "HOME is not set"
expect_exit $USAGE "$dtrain" "${tiny[@]}" "--out=~somebody/x"
expect_text err "--out: " "./~somebody/x"
[[ ! -e '~' && ! -e '~somebody' ]] || fail "a folder named ~ is there"
say "names from the home folder are found there"

# ---- commands without ranks run once ----

"$dtrain" info data >known
expect_exit 0 start 3 info data
cmp out known || fail "info under mpirun prints something else"
expect_exit 0 start 2 --help
(($(grep -c '^Usage: ' out) == 1)) || fail "help comes more than once"
expect_exit $NO_INPUT start 2 info nothing
(($(grep -c "cannot read nothing" err) == 1)) || fail "the error comes more than once"
expect_exit $USAGE start 2 info
(($(grep -c "which checkpoint" err) == 1)) || fail "the usage error comes more than once"
# Scripts under mpirun may give each rank different arguments.
# shellcheck disable=SC2016 # the inner shell's variables
expect_exit 0 "$mpirun" -np 2 bash -c '"$0" data --count 1 --seed "$OMPI_COMM_WORLD_RANK" --tsv' "$dtrain"
(($(grep -c '^0' out) == 2)) || fail "a command in a script is missing"
say "mpirun gets one answer"
