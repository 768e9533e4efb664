#!/usr/bin/env bash
# The scripts that compare formats and seeds print whole tables and draw a picture, in a budget of a second per model.
#
#   tests/bench/test_formats.sh DTRAIN
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dtrain=$(realpath "${1:?usage: $0 DTRAIN}")
# shellcheck source=jobs/there.sh
. "$here/../../jobs/there.sh"
need "program gnuplot"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export SECONDS_EACH=1 EVAL=64 RANKS=1
small=(--ops '+/' --digits 1 --dividend-digits 2 --divisor-digits 1 --layers 1 --width 16 --heads 2 --batch 16)

FORMATS="plain chat" FOLDER=formats "$here/formats.sh" "$dtrain" "${small[@]}" >table
FORMATS=reverse SEEDS="1 2" EXAMPLES="50 500" FOLDER=examples "$here/examples.sh" "$dtrain" "${small[@]}" >curve
number='[0-9]+\.[0-9]{2}'
for row in "\| plain \| [0-9]+ \| $number \| - \| - \| $number \| $number \|" "\| chat \| [0-9]+ \| $number \| - \| - \| $number \| $number \|"; do
    grep -qE "^$row\$" table || { cat table; exit 1; }
done
for row in "\| 50 \| $number \|" "\| 500 \| $number \|"; do
    grep -qE "^$row\$" curve || { cat curve; exit 1; }
done
grep -q '<svg' examples/examples.svg
# What is there is not measured again.
touch -d '1 hour ago' formats/*.json
FORMATS="plain chat" FOLDER=formats "$here/formats.sh" "$dtrain" "${small[@]}" >again
grep -v '^| chat\|^| plain' again | cmp - <(grep -v '^| chat\|^| plain' table)
[[ -z $(find formats -name '[pc]*-1.json' -newermt '30 minutes ago') ]]

SEEDS="1 2" EXHAUSTIVE=1 FOLDER=seeds "$here/seeds.sh" "$dtrain" "${small[@]}" --steps 8 --eval-every 4 --eval-examples 64 >seeds.table 2>log ||
    { cat log; exit 1; }
head='\| seed \| \+ % \| / % \| \+ wrong \| / wrong \| s to 99 % \| s to 99.9 % \| s in all \|'
for row in "$head" "\| [12] \| $number \| $number \| [0-9]+ \| [0-9]+ \| - \| - \| [0-9]+ \|" "\| median \| $number \| $number \| [0-9]+ \| [0-9]+ \| - \| - \| [0-9]+ \|"; do
    grep -qE "^$row\$" seeds.table || { cat seeds.table; exit 1; }
done
# All 100 sums and 900 divisions: as many are wrong as the lists have.
sums=$(($(wc -l <seeds/1.add.tsv) - 1)) divisions=$(($(wc -l <seeds/1.divide.tsv) - 1))
grep -qE "^\| 1 \|.*\| $sums \| $divisions \| - \|" seeds.table || { cat seeds.table; exit 1; }
cat table curve seeds.table
