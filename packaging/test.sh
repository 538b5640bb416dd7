#!/usr/bin/env bash
# Everything that `make test` judges. Every part runs even when one before it failed; the end says which.
set -uo pipefail
cd "$(dirname "$0")/.."

cargo=${CARGO:-cargo}
logs=${CARGO_TARGET_DIR:-target}/test-logs
mkdir -p "$logs"
summary=()
failed=0

part() { # part NAME COMMAND...
    local name=$1 log started seconds verdict counts
    shift
    log=$logs/${name// /-}.log
    started=$SECONDS
    printf '\n=== %s\n' "$name"
    if "$@" 2>&1 | tee "$log"; then verdict=pass; else verdict=FAIL failed=1; fi
    seconds=$((SECONDS - started))
    counts=$(awk '/^test result:/ { passed += $4; bad += $6; skipped += $8; any = 1 }
        END { if (any) printf "%d passed, %d failed, %d ignored", passed, bad, skipped }' "$log")
    summary+=("$(printf '%-4s  %-18s %4d s  %s' "$verdict" "$name" "$seconds" "$counts")")
}

scripts() { # the scripts can at least be parsed
    local file wrong=0
    for file in packaging/*.sh .ci/run; do
        bash -n "$file" || wrong=1
    done
    python3 -c 'import ast, sys; [ast.parse(open(name).read(), name) for name in sys.argv[1:]]' \
        bench/*.py packaging/*.py || wrong=1
    return $wrong
}

part scripts scripts
part format "$cargo" fmt --check
part clippy "$cargo" clippy --locked --all-targets -- -D warnings
# All in one go: a compiler that makes one crate leaves a core for the next one.
part build "$cargo" test --locked --no-run --lib --bins --test it
part "unit tests" "$cargo" test --locked --lib --bins
# Tests with media, and those that take a core, take turns by themselves (tests/it/support): two or three at a time,
# or some that only listen. The further threads are for the others.
part "integration tests" "$cargo" test --locked --test it -- --test-threads=5

printf '\n'
printf '%s\n' "${summary[@]}"
if [ "$failed" = 0 ]; then echo "All passed."; else echo "Failed. The logs are in $logs."; fi
exit "$failed"
