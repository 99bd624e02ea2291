#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make test`: everything that can be tested with Debian and npm packages alone. Ends with one line: N passed, N failed.
set -eu
cd "$(dirname "$0")/.."
sh tools/setup.sh test
. tools/node-path.sh
. tools/parts.sh

run_portal() { sh tools/portal.sh && cd web && npm run --silent check; }
run_release() { make --no-print-directory build; }
# A real server and agent, built with sanitizers; every exchange is recorded.
run_server_tests() {
    rm -f $logs/recorded.jsonl
    here=$(pwd)
    SUANHE_BIN_DIR=$here/build/dev/bin SUANHE_RECORD=$here/$logs/recorded.jsonl
    export SUANHE_BIN_DIR SUANHE_RECORD
    sh tools/pg-test.sh sh -c 'cd tests && npx vitest run'
}
run_recorded() { node tools/contract.mjs --recorded $logs/recorded.jsonl --require-all; }
# The portal's check is types, lint and tests.
count_portal() { count_vitest "$@" | awk -v s="$1" '{print $1 + (s == 0 ? 2 : 0), $2}'; }

[ ! -f web/package.json ] || part portal count_portal "the portal: build, types, lint, tests (a minute)" run_portal
check_parts
part build-release count_one "building what ships (two minutes at first)" run_release
if [ -n "$(find tests -name '*.test.ts' -not -path '*/node_modules/*' -print -quit)" ]; then
    part server count_vitest "stories, faults and API against a running server (some minutes)" run_server_tests
    [ ! -f $logs/recorded.jsonl ] || part recorded count_rules "contract: what was recorded against spec/" run_recorded
fi
part demo count_one "make demo: the whole story once" make --no-print-directory demo
sum
