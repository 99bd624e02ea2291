#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed-norms.sh FOLDER OUT.c: the norm documents of a folder as a C table, in the order of their names.
set -eu
LC_ALL=C
export LC_ALL
folder=$1
out=$2

{
    echo '/* Made by tools/embed-norms.sh; not to be edited. */'
    echo '#include "catalog/catalog_internal.h"'
    echo
    echo 'const struct norm_text catalog_norms[] = {'
    count=0
    for file in "$folder"/*.json; do
        [ -e "$file" ] || continue
        printf '    {"%s",\n' "$(basename "$file" .json)"
        sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/     "/' -e 's/$/\\n"/' "$file"
        echo '    },'
        count=$((count + 1))
    done
    [ "$count" -gt 0 ] || {
        echo "embed-norms: no norms in $folder" >&2
        exit 1
    }
    echo '};'
    echo "const int catalog_norm_count = $count;"
} >"$out.part"
mv "$out.part" "$out"
