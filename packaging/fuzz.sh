#!/usr/bin/env bash
# Runs every test whose name begins with fuzz_ for FUZZ_SECONDS (default 60) with new random input each round.
#
# A round is bounded in cases, not cut off in time, so that a finding is shrunk and kept (proptest-regressions/, to be
# committed with its repair). A round that hangs is a finding too.
set -uo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
seconds=${FUZZ_SECONDS:-60}
hang=$((seconds + 600))
failed=()

# Prints the path of the test program that cargo built for the given arguments.
program() {
    "$cargo" test --locked --no-run "$@" 2>&1 | tee /dev/stderr | sed -n 's/^ *Executable .*(\(.*\))$/\1/p'
}

fuzz() { # fuzz PROGRAM TEST
    local cases=256 rounds=0 total=0 started=$SECONDS round
    while [ $((SECONDS - started)) -lt "$seconds" ]; do
        round=$SECONDS
        if ! PROPTEST_CASES=$cases timeout "$hang" "$1" --exact "$2" --quiet >"$log" 2>&1; then
            cat "$log"
            echo "FAIL  $2 in round $((rounds + 1)) of $cases cases"
            return 1
        fi
        rounds=$((rounds + 1)) total=$((total + cases))
        # Rounds of some seconds: long enough that starting costs nothing, short enough to end near the minute.
        if [ $((SECONDS - round)) -lt 4 ] && [ "$cases" -lt 1048576 ]; then cases=$((cases * 2)); fi
    done
    printf 'pass  %-60s %10d cases\n' "$2" "$total"
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
found=0
for target in --lib "--test it"; do
    # shellcheck disable=SC2086  # two words for cargo
    test_program=$(program $target)
    [ -n "$test_program" ] || { echo "cargo built no test program for $target" >&2; exit 1; }
    while read -r name; do
        found=$((found + 1))
        fuzz "$test_program" "$name" || failed+=("$name")
    done < <("$test_program" --list 2>/dev/null | sed -n 's/^\(\(.*::\)\{0,1\}fuzz_[a-z0-9_]*\): test$/\1/p')
done

if [ "${#failed[@]}" != 0 ]; then
    printf '\nFindings in:\n'
    printf '  %s\n' "${failed[@]}"
    exit 1
fi
echo "$found targets, no findings."
