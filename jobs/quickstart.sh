#!/usr/bin/env bash
# From a fresh checkout to a trained model: builds dtrain, trains the default job on 4 ranks, asks it a few problems.
#
#   jobs/quickstart.sh [OPTIONS OF DTRAIN]       NP=2 jobs/quickstart.sh --steps 500 --out runs/short
#
# NP: number of ranks, 4 unless said. Stop with Ctrl-C; run the same command again to go on.
set -euo pipefail
# shellcheck source=jobs/setup.sh
. "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
cd "$repo"

ranks=${NP:-4}
[[ $ranks =~ ^[1-9][0-9]*$ ]] || {
    say "NP=$ranks: must be a whole number of ranks"
    exit 64
}

ensure_packages build
exec </dev/null # mpirun would read what the caller of this script is to read
build build -DCMAKE_BUILD_TYPE=Release -DDTRAIN_TESTS=OFF
for option in "$@"; do
    case $option in --help | -\? | -h | --usage | --version | -V) exec build/dtrain "$@" ;; esac
done

# What goes on with the run: the same command, which begins nothing anew and goes on from where the folder stands now.
again=jobs/quickstart.sh value=''
for option in "$@"; do
    if [[ -n $value ]]; then
        value=''
        continue
    fi
    case $option in
    --fr | --fre | --fres | --fresh | --res=* | --resu=* | --resum=* | --resume=*) ;;
    --res | --resu | --resum | --resume) value=next ;;
    *) again+=$(printf ' %q' "$option") ;;
    esac
done

mpi_environment "$ranks"
export OMPI_MCA_orte_execute_quiet=${OMPI_MCA_orte_execute_quiet:-1} # exit codes are explained below
say "" "Training on $ranks ranks. Ctrl-C stops; $again goes on where it stood." ""
end=$(mktemp) stopped='' code=0
trap 'rm -f "$end"' EXIT
trap 'stopped=yes' INT TERM
[[ ${1:-} != train ]] || shift
mpirun -np "$ranks" build/dtrain train --json "$@" >"$end" || code=$?
trap - INT TERM

# said NAME: a text in the line that dtrain prints at the end of training.
said() {
    sed -nE '$ s/.*[{,]"'"$1"'":"(([^"\\]|\\.)*)".*/\1/p' "$end" | sed -E 's/\\(["\\])/\1/g'
}
out=$(said run) model=$(said model)

if ((code == 75)) || [[ $code -ne 0 && -n $stopped ]]; then
    say "" "Stopped before the end. To go on from the last checkpoint${out:+ in $out}:" "  $again"
    exit 75
elif ((code != 0)); then
    say "" "Ended with exit code $code. If no message above says why, let mpirun speak as well:" \
        "  OMPI_MCA_orte_execute_quiet=0 jobs/quickstart.sh …"
    exit "$code"
elif [[ -z $out ]]; then # --check-gradients
    exit
fi

echo
build/dtrain info "$out"

# examples SPLIT: a few texts of what the run learns, as "problem|answer"; of each operation one, if there are several.
examples() {
    build/dtrain data --config "$out/config.ini" --split "$1" --count 40 --tsv | awk -F '\t' '
        NR == 1 { problems = $2 == "op"; next }
        { text = problems ? $3 $2 $4 "\037" $5 : $2 "\037" $3 }
        problems && seen[$2]++ { rest[++more] = text; next }
        ++count <= 4 { print text }
        END { for (i = 1; count < 4 && i <= more; i++ && ++count) print rest[i] }'
}

lines=()
for split in test validation train; do # few lines of text may all fall into one split
    ((${#lines[@]})) || mapfile -t lines < <(examples "$split")
done
((${#lines[@]} == 0)) || printf '\nA few problems:\n'
for line in "${lines[@]}"; do
    problem=${line%%$'\037'*} right=${line#*$'\037'} between='=' verdict=''
    if [[ -z $problem ]]; then # plain text: its first words, to go on with
        problem=${right%"${right#* * }"} right='' between='…'
        problem=${problem% }
    fi
    answer=$(build/dtrain ask "$model" -- "$problem") || answer="no answer"
    [[ -z $right ]] || verdict="($right would be right)"
    [[ $answer != "$right" ]] || verdict=right
    printf '  %-8s %s %-9s %s\n' "$problem" "$between" "$answer" "$verdict"
done

folder=$(printf %q "$out") asked=${lines[0]-}
asked=${asked%%$'\037'*}
printf '\nAsk more:            build/dtrain ask %s\n' "$folder"
[[ ! $asked =~ ^[0-9]+[-+*/][0-9]+$ ]] || printf 'See the working:     build/dtrain ask %s --show-work "%s"\n' "$folder" "$asked"
cat <<END
Train on:            $again --steps N    (any number of ranks: NP=2 …)
Start from nothing:  $again --fresh
END
