#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The story as an outside client: see tests/flow/demo.mjs.
set -eu
cd "$(dirname "$0")/.."
. tools/node-path.sh
exec node tests/flow/demo.mjs
