#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The fault tests at full length: 100 kills under load, every database call failing once on both databases.
set -eu
cd "$(dirname "$0")/.."
. tools/node-path.sh
cores=$(nproc)
echo "== building with sanitizers"
cmake --preset dev >build/cmake-dev.log 2>&1
cmake --build build/dev -j "$cores" --target all unit >build/build-dev.log 2>&1 || { tail -n 40 build/build-dev.log; exit 1; }
echo "== every database call fails once, on SQLite and PostgreSQL"
TORTURE=1 sh tools/pg-test.sh ctest --test-dir build/dev -R fault --output-on-failure --timeout 3600
echo "== 100 kills under load"
here=$(pwd)
cd tests
FAULT_ROUNDS=100 SUANHE_BIN_DIR=$here/build/release/bin npx vitest run fault
