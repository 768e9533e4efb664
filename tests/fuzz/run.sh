#!/usr/bin/env bash
# Fuzzes the code that reads other people's files and texts, guided by coverage (libFuzzer), with the address and
# undefined-behaviour sanitizers.
#
#   tests/fuzz/run.sh SECONDS [TARGET…]      targets: adapter bpe checkpoint config expression import line options safetensors text; by default all
#   tests/fuzz/run.sh coverage [TARGET…]     which lines the inputs found so far reach
#
# PROGRAMS: the folder of dtrain and io_probe (build), which write the first inputs. FOLDER: where all results are kept
# (PROGRAMS/fuzz); the next run continues from them. An input that ends a target is kept in FOLDER/TARGET.found, named by the
# kind of failure; put it into tests/fuzz/regression/TARGET once the defect is repaired.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repo=$(cd "$here/../.." && pwd)
programs=$(realpath "${PROGRAMS:-$repo/build}")
folder=${FOLDER:-$programs/fuzz}
seconds=${1:?usage: $0 SECONDS|coverage [TARGET…]}
shift
targets=("$@")
((${#targets[@]})) || targets=(adapter bpe checkpoint config expression import line options safetensors text)
# shellcheck source=jobs/there.sh
. "$repo/jobs/there.sh"
need "program clang-14 or program clang" "ability libfuzzer"
compiler=$(command -v clang-14 || command -v clang)
mkdir -p "$folder"

core=$(cd "$repo" && echo src/core/*.c)
data=$(cd "$repo" && echo src/data/*.c src/data/*/*.c)
checkpoint="io/checkpoint/base.c io/checkpoint/checkpoint_read.c io/checkpoint/checkpoint_verify.c io/checkpoint/finite.c io/checkpoint/hdf5_file.c io/checkpoint/hdf5_header.c
    io/checkpoint/hdf5_links.c io/checkpoint/hdf5_others.c io/checkpoint/hdf5_read.c io/checkpoint/manifest.c io/checkpoint/quantised.c io/checkpoint/schema.c
    io/file/replace.c"
declare -A sources=(
    [adapter]="tests/fuzz/folder.c $core $data src/model/layout.c $checkpoint io/export/classes.c io/export/import_adapter.c io/export/json.c io/export/names.c io/export/safetensors.c"
    [bpe]="$core $(cd "$repo" && echo src/data/bpe/*.c)"
    [checkpoint]="$core $data src/model/layout.c $checkpoint"
    [config]="$core $data src/model/layout.c"
    [expression]="$core $data"
    [import]="tests/fuzz/folder.c $core $data src/model/layout.c $checkpoint io/export/import.c io/export/json.c io/export/names.c
        io/export/safetensors.c io/export/tokenizer_read.c io/export/vocabulary.c"
    [line]="$core"
    [options]="$core $data src/app/options.c src/app/command.c"
    [safetensors]="$core io/export/safetensors.c io/export/json.c io/file/replace.c"
    [text]="$core $data"
)
declare -A longest=([adapter]=4000 [bpe]=16000 [checkpoint]=150000 [config]=4000 [expression]=400 [import]=30000 [line]=400 [options]=600 [safetensors]=4000 [text]=600)

# build TARGET KIND FLAG…: as FOLDER/TARGET.KIND, if a source is newer. Targets of a kind share their objects.
build() {
    local target=$1 kind=$2 program=$folder/$1.$2 objects=$folder/objects.$2 source object header
    shift 2
    if [[ -x $program && -z $(find "$repo/include" "$repo/src" "$repo/io" "$here" -newer "$program" -name '*.[ch]') ]]; then
        return
    fi
    echo "building $target ($kind)"
    mkdir -p "$objects"
    header=$(find "$repo/include" "$repo/src" "$repo/io" "$here" -name '*.h' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
    local all=() old=()
    for source in "tests/fuzz/fuzz_$target.c" ${sources[$target]}; do
        object=$objects/${source//\//+}.o
        all+=("$object")
        [[ $object -nt $repo/$source && $object -nt $header ]] || old+=("$source" -o "$object")
    done
    # shellcheck disable=SC2046 # lists of words
    ((!${#old[@]})) || (cd "$repo" && printf '%s\n' "${old[@]}" | xargs -d '\n' -n 3 -P "$(nproc)" "$compiler" -std=gnu17 -g -O1 \
        -D__SANITIZE_ADDRESS__=1 -DDTRAIN_VERSION='"fuzz"' -DPCRE2_CODE_UNIT_WIDTH=8 -Wno-psabi "$@" -Iinclude -Iio/checkpoint \
        -Iio/export -Isrc/app -Isrc/data/arithmetic -Isrc/data/expression $(pkg-config --cflags inih libxxhash libcjson gmp libpcre2-8) -c)
    # shellcheck disable=SC2046
    "$compiler" "$@" -o "$program.new" "${all[@]}" $(pkg-config --libs inih libxxhash libcjson gmp libpcre2-8) -lm
    mv "$program.new" "$program"
}

# seeds TARGET: the first inputs, real files where possible.
seeds() {
    local to=$folder/$1.seeds name k=0
    [[ ! -d $to ]] || return 0
    mkdir -p "$to.new"
    case $1 in
    adapter)
        for name in all mlp_in; do
            OPENBLAS_NUM_THREADS=1 OMPI_MCA_ess_singleton_isolated=1 "$programs/dtrain" --layers 1 --width 4 --heads 1 --batch 8 --steps 1 \
                --eval-every 0 --ops + --digits 1 --format plain --log-level error --out "$to.base"
            OPENBLAS_NUM_THREADS=1 OMPI_MCA_ess_singleton_isolated=1 "$programs/dtrain" --init-from "$to.base" --lora-rank 2 --lora-targets "$name" \
                --steps 1 --eval-every 0 --log-level error --out "$to.run"
            "$programs/dtrain" export "$to.run" --to "$to.peft" --format adapter
            for k in adapter_config.json dtrain.ini adapter_model.safetensors; do
                LC_ALL=C sed /^base-digest/d "$to.peft/$k" # not that of the base here
                [[ $k == *.safetensors ]] || printf '\x1e'
            done >"$to.new/$name"
            { cat "$to.peft/adapter_config.json" && printf '\x1e\x1e' && cat "$to.peft/adapter_model.safetensors"; } >"$to.new/$name-alone"
            rm -r "$to.base" "$to.run" "$to.peft"
        done >/dev/null
        ;;
    bpe)
        for k in 257 270 300; do
            "$programs/dtrain" tokenize --text "$repo/LICENSE" --tokenizer "bpe:$k" --out "$to.new/$k.json" --log-level error
            "$programs/dtrain" tokenize --text "$repo/LICENSE" --tokenizer "bpe:$k" --out "$to.pair" --log-level error
            { cat "$to.pair/vocab.json" && printf '\0' && cat "$to.pair/merges.txt"; } >"$to.new/$k.pair"
        done
        rm -r "$to.pair"
        ;;
    checkpoint)
        for name in "2 1 0" "2 1 3" "4 1 12" "4 2 5" "8 2 12"; do
            # shellcheck disable=SC2086 # width, layers, steps
            "$programs/io_probe" write "$to.new/written-${name// /-}.h5" $name >/dev/null
        done
        OPENBLAS_NUM_THREADS=1 OMPI_MCA_ess_singleton_isolated=1 "$programs/dtrain" --layers 1 --width 4 --heads 1 --batch 8 \
            --steps 3 --eval-every 1 --eval-examples 8 --ops + --digits 1 --format plain --log-level error --out "$to.run"
        cp -L "$to.run/latest.h5" "$to.new/trained.h5"
        rm -r "$to.run"
        for name in "q8_0 32" "nf4 64"; do
            OPENBLAS_NUM_THREADS=1 OMPI_MCA_ess_singleton_isolated=1 "$programs/dtrain" --layers 1 --width "${name#* }" --heads 1 --batch 8 \
                --steps 1 --eval-every 0 --ops + --digits 1 --format plain --log-level error --out "$to.run"
            "$programs/dtrain" quantise "$to.run" --to "${name% *}" --out "$to.new/${name% *}.h5" >/dev/null
            rm -r "$to.run"
        done
        ;;
    config)
        "$programs/dtrain" --help | sed -n 's/^ *--\([a-z0-9-]*\)=.*/\1/p' | while read -r name; do
            printf '%s = 3\n' "$name" >"$to.new/$name.ini"
        done
        printf '[run]\nseed = 1\nsteps = 2000\n\n[model]\nwidth = 128\nheads = 4\n' >"$to.new/sections.ini"
        printf '[data]\nops = +-*/\nformat = plain\ndigits = 2\n[checkpoints]\ncheckpoint-every = 10m\nkeep=0\n' >"$to.new/data.ini"
        ;;
    expression)
        # shellcheck disable=SC2016 # dollars end lines
        for name in '-(3+4)*[12.5%-.25]/7' 'What is 5 less than 3?' '20% of 1,234,567' '3 plus 4 divided by minus 2' '１２足す３は？' \
            '5から3を引くと？' '9と3の差は？' 'Subtract -2.50 from 3/0' '2060/71' '1/3-2/7*14' '0-1/100000/3' \
            'Q^3+^4*^2${E^3+^4*^2${B^4*^2$>M^4*^2+^$^80}^8$' 'Q~5/^7${E~5/^7${B~5/^7$}~5:^7$}~5:^7${R~5:^7${L^5,^7,^,^$' \
            'S^21+^43$' 'G^602,^17$' 'F^1,^17,^1}^4,^2$' 'A~3,^1:^7}~82417582$' 'H~12345}~22345$'; do
            printf '%s' "$name" >"$to.new/$k"
            k=$((k + 1))
        done
        ;;
    import)
        for name in learned index; do
            OPENBLAS_NUM_THREADS=1 OMPI_MCA_ess_singleton_isolated=1 "$programs/dtrain" --layers 1 --width 4 --heads 1 --batch 8 --steps 1 \
                --eval-every 0 --ops + --digits 1 --format plain --positions "$name" --log-level error --out "$to.run"
            "$programs/dtrain" export "$to.run" --to "$to.$name"
            for k in config.json tokenizer.json dtrain.ini model.safetensors; do
                cat "$to.$name/$k"
                [[ $k == model* ]] || printf '\x1e'
            done >"$to.new/$name"
            { cat "$to.$name/config.json" && printf '\x1e' && cat "$to.$name/tokenizer.json" && printf '\x1e\x1e' &&
                cat "$to.$name/model.safetensors"; } >"$to.new/$name-alone"
            rm -r "$to.run" "$to.$name"
        done >/dev/null
        ;;
    line)
        printf '\xef\xbb\xbf1+2\r\r\n\r\n３＋４\r5\x00\n猫\t𝄞\xff' >"$to.new/ends"
        for k in {1..60}; do printf 'ä猫%s ' "$k"; done >"$to.new/long"
        ;;
    options)
        printf '%s\n' --steps=3 --lr 1e-3 --out=x >"$to.new/train"
        printf '%s\n' train --width 16 --heads=2 --ops '+-' --checkpoint-every 2e --fresh >"$to.new/named"
        printf '%s\n' ask runs/x --split train 1+2 -- -3 >"$to.new/ask"
        printf '%s\n' ask x y z --count 10 --split test --json --seed 3 >"$to.new/more"
        printf '%s\n' verify --count 7 --json --resume x --digits 4 --usage >"$to.new/usage"
        printf '%s\n' verify a b --ranks-per-node 2 >"$to.new/two"
        printf '%s\n' --log-level debug ask x -? -5+3 --resume=~/y >"$to.new/help"
        printf '%s\n' help vreify -steps=3 >"$to.new/slips"
        ;;
    safetensors)
        python3 -B - "$to.new" <<'END'
import json, struct, sys
def write(name, header, body):
    text = json.dumps(header).encode()
    open(f"{sys.argv[1]}/{name}", "wb").write(struct.pack("<Q", len(text)) + text + body)
def tensor(kind, shape, begin, end):
    return {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
write("two", {"__metadata__": {"format": "pt"}, "a": tensor("F32", [2, 3], 0, 24), "b": tensor("BF16", [4], 24, 32)}, bytes(32))
write("kinds", {k: tensor(k, [2], 2 * i, 2 * i + 2) for i, k in enumerate(["U8", "I8", "BOOL"])}, bytes(6))
write("half", {"x": tensor("F16", [1, 2, 1], 0, 4), "none": tensor("F32", [0], 4, 4), "one": tensor("F64", [], 4, 12)}, bytes(12))
END
        ;;
    text)
        for name in 90s 23h50m 2e 1e-3 0.5 runs/default '+-*/' cosine '273*274;2bS9cS01,01cT1fO91+2j2j2,006aO4bO50+208470=208470' \
            '2060/71;241,482,865;602,836A229C460G399M46,002;/=2r46' '45-123;229,321-54,870=-87' '123 + 456 =;975' '7 ÷ 0;' '9×9−1;' '999999999/3;333333333r0'; do
            printf '%s' "$name" >"$to.new/$k"
            k=$((k + 1))
        done
        ;;
    esac
    mv "$to.new" "$to"
}

# fuzz TARGET: earlier inputs first, then new ones; fails if one ends the target.
fuzz() {
    local target=$1 log=$folder/$1.log code=0
    local corpora=("$folder/$target.corpus" "$folder/$target.seeds")
    [[ ! -d $here/regression/$target ]] || corpora+=("$here/regression/$target")
    mkdir -p "$folder/$target.corpus" "$folder/$target.found"
    "$folder/$target.fuzzer" -max_total_time="$seconds" -max_len="${longest[$target]}" -timeout=20 -rss_limit_mb=2000 \
        -malloc_limit_mb=400 -close_fd_mask=3 -print_final_stats=1 -artifact_prefix="$folder/$target.found/" -use_value_profile=1 \
        "${corpora[@]}" >"$log" 2>&1 || code=$?
    local runs covered
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    covered=$(sed -n 's/.*cov: \([0-9]*\) ft: \([0-9]*\).*/\1 locations, \2 features/p' "$log" | tail -n 1)
    echo "$target: ${runs:-0} executions in $seconds s, reaching ${covered:-nothing}"
    ((code == 0)) || {
        grep -vE '^#|NEW|REDUCE|pulse' "$log" | tail -n 40
        echo "$target: FAILED; the input is in $folder/$target.found"
        return 1
    }
}

# coverage TARGET: lines of the sources reached by all inputs found so far.
coverage() {
    local target=$1 profile=$folder/$1.profile
    build "$target" coverage -fsanitize=fuzzer -fprofile-instr-generate -fcoverage-mapping
    LLVM_PROFILE_FILE=$profile.raw "$folder/$target.coverage" -runs=0 -close_fd_mask=3 "$folder/$target.corpus" \
        "$folder/$target.seeds" >/dev/null 2>&1
    llvm-profdata-14 merge -o "$profile" "$profile.raw"
    echo "== $target: lines reached"
    llvm-cov-14 report "$folder/$target.coverage" -instr-profile="$profile" | awk 'NR > 2 && $1 ~ /\.c$|TOTAL/ { print $1, $8, $9, $10 }' |
        column -t
}

failed=0
for target in "${targets[@]}"; do
    [[ -n ${sources[$target]:-} ]] || {
        echo "there is no target $target: ${!sources[*]}"
        exit 64
    }
    if [[ $seconds == coverage ]]; then
        coverage "$target"
        continue
    fi
    build "$target" fuzzer -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
    seeds "$target"
    fuzz "$target" || failed=1
done
exit $failed
