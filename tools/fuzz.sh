#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh [SECONDS]: runs every fuzz target over its corpus, then that long with new inputs (60 when not said). New inputs go
# to build/fuzz-corpus; what crashes a target is left in build/fuzz-found and belongs into tests/fuzz/corpus once it is mended.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-60}
export ASAN_OPTIONS=detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
[ -f build/fuzz/build.ninja ] || cmake --preset fuzz
cmake --build build/fuzz -j "$(nproc)"
mkdir -p build/fuzz-found
count=0
for program in build/fuzz/bin/fuzz_*; do
    [ -x "$program" ] || continue
    name=$(basename "$program" | sed 's/^fuzz_//')
    mkdir -p "build/fuzz-corpus/$name"
    corpus=
    [ ! -d "tests/fuzz/corpus/$name" ] || corpus=tests/fuzz/corpus/$name
    echo "== $name, $seconds s"
    # shellcheck disable=SC2086
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=0 -verbosity=0 \
        -artifact_prefix="build/fuzz-found/$name-" "build/fuzz-corpus/$name" $corpus
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "fuzz: no target was built" >&2; exit 1; }
echo "$count targets, nothing found"
