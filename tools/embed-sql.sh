#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# embed-sql.sh FOLDER OUT.c: the migrations of a folder as a C table, in the order of their names.
# NNNN_x.sql is for both engines; NNNN_x.sqlite.sql and NNNN_x.pg.sql are twins and come together.
set -eu
LC_ALL=C
export LC_ALL
folder=$1
out=$2

fail() {
    echo "embed-sql: $*" >&2
    exit 1
}

# The file as one C string a line; the last line always ends, as it does when the program reads a folder.
literal() {
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/	/\\t/g' -e 's/^/        "/' -e 's/$/\\n"/' "$1"
    echo
    [ -s "$1" ] || echo '        ""'
}

{
    echo '/* Made by tools/embed-sql.sh; not to be edited. */'
    echo '#include "db/db_internal.h"'
    echo
    echo 'const struct db_migration db_migrations[] = {'
    count=0
    for file in "$folder"/*.sql; do
        [ -e "$file" ] || continue
        base=$(basename "$file" .sql)
        case $base in
        [0-9][0-9][0-9][0-9]_*) ;;
        *) fail "$file: the name is not NNNN_module.sql" ;;
        esac
        case $base in
        *.pg)
            [ -e "$folder/${base%.pg}.sqlite.sql" ] || fail "$file: its .sqlite.sql is missing"
            continue
            ;;
        *.sqlite)
            name=${base%.sqlite}
            other=$folder/$name.pg.sql
            [ -e "$other" ] || fail "$file: its .pg.sql is missing"
            [ ! -e "$folder/$name.sql" ] || fail "$folder/$name.sql: stands beside its twins"
            ;;
        *)
            name=$base
            other=$file
            ;;
        esac
        printf '    {"%s",\n' "$name"
        literal "$file"
        echo '        ,'
        literal "$other"
        echo '    },'
        count=$((count + 1))
    done
    echo '    {0},'
    echo '};'
    echo "const int db_migration_count = $count;"
} >"$out.partial" || {
    rm -f "$out.partial"
    exit 1
}
mv "$out.partial" "$out"
