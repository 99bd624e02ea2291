#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds the portal when its sources are newer than web/dist.
set -eu
cd "$(dirname "$0")/.."
. tools/node-path.sh
[ -f web/package.json ] || exit 0
if [ -f web/dist/.built ] && [ -z "$(find web spec -newer web/dist/.built -type f -not -path 'web/node_modules/*' -not -path 'web/dist/*' -print -quit)" ]; then
    exit 0
fi
echo "== building the portal (half a minute)"
(cd web && npm run --silent build >../build/portal.log 2>&1) || { tail -n 40 build/portal.log; exit 1; }
touch web/dist/.built
