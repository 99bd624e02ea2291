#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every page of the portal in both languages, both themes and two widths; screenshots stay in build/pages.
set -eu
cd "$(dirname "$0")/.."
. tools/node-path.sh
exec node tests/flow/pages.mjs
