# SPDX-License-Identifier: Apache-2.0
# Sourced by tools/check and tools/test.sh: runs parts one by one, keeps what they print in build/test/NAME.log, shows its end
# when one fails, and counts. A part that fails does not stop the next.
logs=build/test
mkdir -p $logs
: >$logs/tally
cores=$(nproc)
NO_COLOR=1
export NO_COLOR

# part NAME COUNTER SENTENCE COMMAND...: COUNTER STATUS LOG prints how many passed and how many failed.
part() {
    name=$1 counter=$2 sentence=$3
    shift 3
    printf '== %s\n' "$sentence"
    (while sleep 60 >/dev/null 2>&1; do printf '   still at it: %s\n' "$name"; done) &
    ticker=$!
    status=0
    ("$@") >$logs/$name.log 2>&1 </dev/null || status=$?
    kill $ticker 2>/dev/null || true
    wait $ticker 2>/dev/null || true
    counted=$($counter $status $logs/$name.log)
    passed=${counted% *} failed=${counted#* }
    [ "$status" = 0 ] || [ "$failed" != 0 ] || failed=1
    printf '%s %s %s\n' "$passed" "$failed" "$name" >>$logs/tally
    if [ "$failed" != 0 ]; then
        printf -- '---- the end of %s\n' $logs/$name.log
        tail -n 60 $logs/$name.log
        printf -- '---- %s: %s passed, %s failed\n' "$name" "$passed" "$failed"
    fi
}

# One thing, done or not.
count_one() { if [ "$1" = 0 ]; then echo 1 0; else echo 0 1; fi; }
# Rules of tidy and contract, one each.
count_rules() { awk '/ rules hold, [0-9]+ broken/ {for (i = 1; i <= NF; i++) if ($i == "rules") {p = $(i - 1); f = $(i + 2)}} END {print p + 0, f + 0}' "$2"; }
# `name --self-test: 41 trees, 0 wrong`
count_self_test() { awk '/--self-test: [0-9]+ [a-z]+, [0-9]+ wrong/ {p = $3 - $5; f = $5} END {print p + 0, f + 0}' "$2"; }
# vitest: `Tests  2 failed | 40 passed (42)`
count_vitest() { awk '/^ *Tests  / {for (i = 2; i <= NF; i++) {if ($i ~ /^passed/) p += $(i - 1); if ($i ~ /^failed/) f += $(i - 1)}} END {print p + 0, f + 0}' "$2"; }
# ctest -V: what cmocka counts inside each program; a program that counts nothing, or dies, is one.
count_ctest() {
    awk '
        /^[0-9]+: \[  PASSED  \] [0-9]+ test/ {split($1, id, ":"); p[id[1]] += $5; seen[id[1]] = 1}
        /^[0-9]+: \[  FAILED  \] [0-9]+ test/ {split($1, id, ":"); f[id[1]] += $5; seen[id[1]] = 1}
        /Test +#[0-9]+: / {
            test = substr($0, index($0, "#") + 1) + 0; all[test] = 1
            if ($0 !~ / Passed +[0-9.]+ sec/) bad[test] = 1
        }
        END {
            for (n in all) {
                if (bad[n] && !f[n]) f[n] = 1
                else if (!bad[n] && !seen[n]) p[n] = 1
                passed += p[n]; failed += f[n]
            }
            print passed + 0, failed + 0
        }' "$2"
}

build_dev() { cmake --preset dev && cmake --build build/dev -j "$cores" --target all unit; }
build_clang() { cmake --preset fuzz && cmake --build build/fuzz -j "$cores" --target all unit; }
run_unit() { sh tools/pg-test.sh ctest --test-dir build/dev -V -j "$cores"; }
run_format() {
    find src agent verify tests/unit tests/fuzz -name '*.[ch]' -print0 |
        xargs -0 -n 1 -P "$cores" sh -c 'clang-format --dry-run -Werror "$0" >/dev/null 2>&1 || { echo "$0: make format"; exit 1; }'
}
run_types() { cd tests && npx tsc -p .; }
contract() { SUANHE_BIN=build/dev/bin/suanhe node tools/contract.mjs "$@"; }

check_parts() {
    part tidy count_rules "tidy: the rules of STYLE.md" node tools/tidy.mjs
    part tidy-self-test count_self_test "tidy breaks each rule once" node tools/tidy.mjs --self-test
    part format count_one "clang-format over all of C" run_format
    part states count_one "docs/states.md tells what the tables say" node tools/states.mjs --check
    part types count_one "types of tools and tests" run_types
    part build-dev count_one "building with gcc, address and undefined sanitizers (two minutes at first)" build_dev
    part unit count_ctest "unit tests on SQLite and PostgreSQL" run_unit
    part contract count_rules "contract: spec/ against the route tables" contract
    part contract-self-test count_self_test "contract breaks each rule once" node tools/contract.mjs --self-test
    part build-clang count_one "building with clang (two minutes at first)" build_clang
    part fuzz count_one "the fuzz targets over their corpus and ten seconds each" sh tools/fuzz.sh 10
    part clang-tidy count_one "clang-tidy over what changed (five minutes at first)" sh tools/clang-tidy.sh
}

# The one line that counts everything; status 1 when anything failed.
sum() {
    awk '{p += $1; f += $2; if ($2) names = names " " $3} END {
        if (f) printf "failed in:%s (build/test/*.log)\n", names
        printf "%d passed, %d failed\n", p, f
        exit f > 0 || p == 0
    }' $logs/tally
}
