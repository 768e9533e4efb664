#!/usr/bin/env bash
# How well the default job calculates, and how soon: a Markdown table with a line for each seed.
#
#   SEEDS="1 2 3 4 5" tests/bench/seeds.sh build/dtrain [OPTION…]
#   EXHAUSTIVE=1 tests/bench/seeds.sh build/dtrain        # and the errors among all problems of the domain: takes much longer
#   PRECISIONS="float32 bfloat16" SEEDS="1 2 3" tests/bench/seeds.sh build/dtrain      # a table for each, seed by seed in turn
#
# Exact answers are those to EVAL problems of the test split, the times those of training, validations included, until a
# validation found 99 and 99.9 % of each operation right, and until its end; "wrong" are all wrong answers to the problems of the
# domain (of the default job a million sums, differences and products each, and 990 000 divisions). Other settings:
# tests/bench/lib.sh.
set -euo pipefail
# shellcheck source=tests/bench/lib.sh
. "$(dirname "$0")/lib.sh"

evaluate() { "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" eval "$@" --json --log-level warn; }

declare -A symbol=([add]=+ [subtract]=- [multiply]='*' [divide]=/)
rows=()
# measure_seed SEED RUN OPTION…: train it, and evaluate it.
measure_seed() {
    local seed=$1 run=$2 name learned
    shift 2
    rows+=("$run")
    mkdir -p "$(dirname "$run")"
    # The same command continues a run that was stopped.
    "${MPIRUN:-mpirun}" -np "$ranks" "$dtrain" --out "$run" "${options[@]}" "$@" --seed "$seed" >&2
    # The same problems for every seed of the training.
    if [[ ! -s $run.json ]]; then
        evaluate "$run" --split test --seed 1 --count "${EVAL:-16384}" >"$run.new"
        mv "$run.new" "$run.json"
    fi
    [[ -n ${EXHAUSTIVE:-} ]] || return 0
    # Operation by operation: counts are kept, so the same command continues with the next operation.
    "$dtrain" info "$run" --json >"$run.info.json"
    learned=$(field "$run.info.json" settings.ops)
    for name in add subtract multiply divide; do
        if [[ $learned == *"${symbol[$name]}"* && ! -s $run.$name.json ]]; then
            evaluate "$run" --exhaustive --ops "${symbol[$name]}" --errors "$run.$name.tsv" >"$run.new"
            mv "$run.new" "$run.$name.json"
        fi
    done
}

read -ra precisions <<<"${PRECISIONS:-}"
for seed in "${seeds[@]}"; do
    ((${#precisions[@]})) || measure_seed "$seed" "$folder/$seed"
    for precision in "${precisions[@]}"; do measure_seed "$seed" "$folder/$precision/$seed" --precision "$precision"; done
done

printf '%s ranks; %s\n\n' "$ranks" "$(sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo | head -n 1)"
/usr/bin/python3 -B - "${rows[@]}" <<'END'
import json, math, os, statistics, sys
import h5py

OPERATIONS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/"}


def seconds_until(file, least):
    """Seconds of steps and validations until one found at least that share of each operation right; None: never."""
    steps, rows = file["metrics/train/seconds"][()], file["metrics/validation"]
    spent = 0.0
    for i, step in enumerate(rows["step"][()]):
        spent += rows["seconds"][i]
        shares = [rows["exact_match_" + name][i] for name in OPERATIONS if "exact_match_" + name in rows]
        if all(share >= least for share in shares if share == share):
            return spent + steps[:step].sum()
    return None


def text(values, form, middle):
    """One value for each line, then their median and the worst; a value that was never reached counts as the largest."""
    ranked = [math.inf if v is None else v for v in values]
    cells = [form % v if v is not None else "-" for v in values]
    if len(values) > 1:
        worst = min if middle == "least" else max
        cells += [form % v if v < math.inf else "-" for v in (statistics.median(ranked), worst(ranked))]
    return cells


def measured(runs):
    """Values of the runs by column: (name, form, which one is the worst)."""
    table = {}
    for run in runs:
        told = json.load(open(run + ".json"))
        for name, symbol in OPERATIONS.items():
            if name in told:
                table.setdefault((symbol + " %", "%.2f", "least"), []).append(100 * told[name]["exact_match"])
        for name, symbol in OPERATIONS.items():
            if not any(os.path.exists(f"{other}.{name}.json") for other in runs):
                continue
            wrong = None
            if os.path.exists(f"{run}.{name}.json"):
                whole = json.load(open(f"{run}.{name}.json"))[name]
                wrong = round(whole["problems"] * (1 - whole["exact_match"]))
            table.setdefault((symbol + " wrong", "%d", "most"), []).append(wrong)
        with h5py.File(run + "/latest.h5") as file:
            for share in (0.99, 0.999):
                table.setdefault((f"s to {100 * share:g} %", "%.0f", "most"), []).append(seconds_until(file, share))
            total = file["metrics/train/seconds"][()].sum() + file["metrics/validation/seconds"][()].sum()
            table.setdefault(("s in all", "%.0f", "most"), []).append(total)
    return table


def print_table(table, lines):
    columns = {name: text(values, form, middle) for (name, form, middle), values in table.items()}
    if len(lines) > 1:
        lines = [*lines, "median", "worst"]
    print("| seed | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for i, line in enumerate(lines):
        print(f"| {line} | " + " | ".join(cells[i] for cells in columns.values()) + " |")


def print_ratios(name, table, first_name, first):
    """How long it takes compared with the first one, by medians."""
    for column, values in table.items():
        if column[0].startswith("s ") and column in first:
            middles = [statistics.median(math.inf if v is None else v for v in each) for each in (values, first[column])]
            if max(middles) < math.inf:
                print(f"{column[0]}, median, {name} / {first_name}: {middles[0] / middles[1]:.2f}")


# One table for each folder of runs.
groups = {}
for run in sys.argv[1:]:
    groups.setdefault(os.path.dirname(run), []).append(run)
tables = {os.path.basename(folder): measured(runs) for folder, runs in groups.items()}
for (name, table), runs in zip(tables.items(), groups.values()):
    if len(tables) > 1:
        print(f"{name}\n")
    print_table(table, [os.path.basename(run) for run in runs])
    if len(tables) > 1:
        print()
(first_name, first), *others = tables.items()
for name, table in others:
    print_ratios(name, table, first_name, first)
END
