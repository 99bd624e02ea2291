#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make bench`: see tests/bench/run.mjs for what is measured and how. The PostgreSQL beside it commits durably and keeps its
# data under build/bench; BENCH_ONLY without pg leaves it out.
set -eu
cd "$(dirname "$0")/.."
. tools/node-path.sh
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
if ! command -v wrk >/dev/null; then
    echo "== installing packages: wrk"
    root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >/dev/null
fi
if [ -z "${SUANHE_BIN_DIR:-}" ]; then
    cmake --build build/release --target suanhe-bench >build/build.log 2>&1 || { tail -n 60 build/build.log; exit 1; }
fi
dir=${BENCH_DIR:-build/bench}
mkdir -p "$dir"
case ",${BENCH_ONLY:-pg}," in
*,pg,*) exec sh tools/pg-test.sh --durable "$dir/pg-cluster" node tests/bench/run.mjs ;;
*) exec node tests/bench/run.mjs ;;
esac
