#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# clang-tidy over src/core and src/lib, in parallel, and only over what it has not passed already: a file is looked at again when
# it, a header of src/ or .clang-tidy changed. Stops beginning new files after TIDY_SECONDS (420) and says how many are left.
set -eu
cd "$(dirname "$0")/.."
export LC_ALL=C
database=build/fuzz
[ -f $database/compile_commands.json ] || cmake --preset fuzz
stamps=build/clang-tidy
mkdir -p $stamps
common=$(find src -name '*.h' -print0 | sort -z | xargs -0 cat .clang-tidy | sha256sum | cut -c1-16)
deadline=$(($(date +%s) + ${TIDY_SECONDS:-420}))
export database stamps common deadline
find src/core src/lib -name '*.c' | sort | xargs -P "$(nproc)" -I{} sh -c '
    stamp=$stamps/$(echo "{}" | tr / -)
    key=$common-$(sha256sum <"{}" | cut -c1-16)
    [ "$(cat "$stamp" 2>/dev/null)" != "$key" ] || exit 0
    if [ "$(date +%s)" -ge "$deadline" ]; then echo "left for the next time: {}"; exit 0; fi
    if clang-tidy -quiet -p $database "{}" 2>/dev/null; then echo "$key" >"$stamp"; echo "passed: {}"; else echo "FAILED: {}"; exit 1; fi
'
