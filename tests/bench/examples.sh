#!/usr/bin/env bash
# How much text is needed: exact answers on held-out problems over the number of different training problems, for each format.
# Prints a Markdown table, and draws FOLDER/examples.svg (PICTURE=FILE.png: another one) with gnuplot.
#
#   tests/bench/examples.sh build/dtrain [OPTION…]
#   SECONDS_EACH=60 EXAMPLES="1000 10000 100000" SEEDS="1 2 3" tests/bench/examples.sh build/dtrain --ops +
#
# Every model of a format is trained for the number of steps that take SECONDS_EACH here, so few problems are repeated more
# often. Medians over the seeds. Other settings of the measurement: tests/bench/lib.sh.
set -euo pipefail
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"
read -ra examples <<<"${EXAMPLES:-1000 3000 10000 30000 100000 300000 1000000}"
picture=${PICTURE:-$folder/examples.svg}

for format in "${formats[@]}"; do
    steps=$(steps_in "$seconds" "$format")
    for count in "${examples[@]}"; do
        for seed in "${seeds[@]}"; do
            measure "$format-$count-$seed" "$format" "$steps" "$seed" --train-examples "$count"
        done
    done
done

# median FORMAT COUNT
median() {
    local seed
    for seed in "${seeds[@]}"; do field "$folder/$1-$2-$seed.json" exact_match; done | percent_median
}

for count in "${examples[@]}"; do
    printf '%s' "$count"
    for format in "${formats[@]}"; do printf '\t%s' "$(median "$format" "$count")"; done
    printf '\n'
done >"$folder/examples.tsv"

where
printf '\n| problems |'
printf ' %s |' "${formats[@]}"
printf '\n|---|'
for _ in "${formats[@]}"; do printf -- '---|'; done
printf '\n'
awk -F '\t' '{ printf "|"; for (i = 1; i <= NF; i++) printf " %s |", $i; print "" }' "$folder/examples.tsv"

terminal='svg size 800,500 background "white" font "sans,14"'
[[ $picture != *.png ]] || terminal='pngcairo size 1200,750 font "sans,16"'
{
    printf 'set terminal %s\nset output "%s"\n' "$terminal" "$picture"
    printf 'set logscale x\nset autoscale xfix\nset datafile missing "-"\nset format x "10^{%%L}"\nset yrange [0:101]\nset grid\nset key outside right center\n'
    printf 'set xlabel "different training problems"\nset ylabel "exact answers to held-out problems, %%"\n'
    printf 'set title "%s s of training each, %s ranks"\nplot' "$seconds" "$ranks"
    for i in "${!formats[@]}"; do
        ((i == 0)) || printf ','
        printf ' "%s" using 1:%d with linespoints linewidth 2 pointtype 7 title "%s"' "$folder/examples.tsv" $((i + 2)) \
            "${formats[i]}"
    done
    printf '\n'
} >"$folder/examples.gp"
gnuplot "$folder/examples.gp"
printf '\nThe picture is %s\n' "$picture"
