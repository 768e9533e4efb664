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

# What of the options this script needs to know itself.
out=runs/default ops='+-*/'
for ((i = 1; i <= $#; i++)); do
    case ${!i} in
    --out=*) out=${!i#*=} ;;
    --ops=*) ops=${!i#*=} ;;
    --out | --ops)
        name=${!i#--} next=$((i + 1))
        printf -v "$name" %s "${!next:-}"
        ;;
    esac
done

ensure_packages build
build build -DCMAKE_BUILD_TYPE=Release -DDTRAIN_TESTS=OFF
for option in "$@"; do
    [[ $option != --help && $option != -\? ]] || exec build/dtrain "$@"
done

mpi_environment "$ranks"
export OMPI_MCA_orte_execute_quiet=${OMPI_MCA_orte_execute_quiet:-1} # exit codes are explained below
say "" "Training on $ranks ranks in $out. Ctrl-C stops; the same command goes on where it stood." ""
stopped=
trap 'stopped=yes' INT TERM
code=0
mpirun -np "$ranks" build/dtrain "$@" || code=$?
trap - INT TERM

if ((code == 75)) || [[ $code -ne 0 && -n $stopped ]]; then
    say "" "Stopped before the end. Run the same command again to go on from the last checkpoint in $out."
    exit 75
elif ((code != 0)); then
    say "" "Ended with exit code $code. If no message above says why, let mpirun speak as well:" \
        "  OMPI_MCA_orte_execute_quiet=0 jobs/quickstart.sh …"
    exit "$code"
fi

echo
build/dtrain info "$out"

echo
echo "A few problems:"
for problem in 123+456 45-123 273*274 2060/71; do
    [[ $ops == *"${problem//[0-9]/}"* ]] || continue
    case $problem in
    */*) right="$((problem)) r $((${problem/\//%}))" ;;
    *) right=$((problem)) ;;
    esac
    answer=$(build/dtrain ask "$out" "$problem") || answer="no answer"
    [[ $answer == "$right" ]] && verdict=right || verdict="($right would be right)"
    printf '  %-8s = %-9s %s\n' "$problem" "$answer" "$verdict"
done

again=jobs/quickstart.sh folder=$(printf %q "$out")
(($# == 0)) || again+=$(printf ' %q' "$@")
cat <<END

Ask more:            build/dtrain ask $folder
See the working:     build/dtrain ask $folder --show-work "273*274"
Train on:            $again --steps N    (any number of ranks: NP=2 …)
Start from nothing:  $again --fresh
END
