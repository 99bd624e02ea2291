#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pg-test.sh [--durable FOLDER] COMMAND...: runs the command beside a PostgreSQL of its own, whose address stands in
# SUANHE_TEST_PG. The cluster lies in a temporary folder and is gone afterwards; it trades durability for speed. With
# --durable it lies in FOLDER, stays there, and commits as in earnest. initdb refuses root, so as root it runs as the
# user postgres.
set -eu
bin=${PG_BIN:-}
for candidate in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin; do
    [ -n "$bin" ] || [ ! -x "$candidate/initdb" ] || bin=$candidate
done
[ -n "$bin" ] || {
    echo "pg-test: PostgreSQL is not installed (package postgresql)" >&2
    exit 1
}
kept=
if [ "${1:-}" = --durable ]; then
    mkdir -p "$2"
    kept=$(cd "$2" && pwd)
    shift 2
fi
[ $# -gt 0 ] || {
    echo "usage: pg-test.sh [--durable FOLDER] COMMAND..." >&2
    exit 2
}

# The path of a unix socket is short by nature, so not below the project.
dir=$(mktemp -d /tmp/suanhe-pg.XXXXXX)
as=
data=$dir/data
mode=immediate
[ -z "$kept" ] || { data=$kept/data mode=fast; }
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir" ${kept:+"$kept"}
    as="setpriv --reuid=postgres --regid=postgres --init-groups --"
fi

stop() {
    (cd "$dir" && $as "$bin/pg_ctl" -D "$data" -m $mode -w stop) >/dev/null 2>&1 || :
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

[ -f "$data/PG_VERSION" ] || (
    cd "$dir"
    $as "$bin/initdb" -D "$data" -U suanhe -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1
) || {
    cat "$dir/initdb.log" >&2
    exit 1
}

# A port is only the socket's name when no address is listened on: any number is free in a folder of our own.
port=5432
options="-c listen_addresses= -c unix_socket_directories=$dir -c port=$port -c max_connections=200"
if [ -z "$kept" ]; then
    options="$options -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
else
    options="$options -c shared_buffers=1GB -c max_wal_size=8GB -c checkpoint_timeout=15min"
fi
(cd "$dir" && $as "$bin/pg_ctl" -D "$data" -l "$dir/log" -w -t 60 -o "$options" start >/dev/null 2>&1) || {
    cat "$dir/log" >&2
    exit 1
}

SUANHE_TEST_PG="postgresql:///postgres?host=$dir&port=$port&user=suanhe"
export SUANHE_TEST_PG
status=0
"$@" || status=$?
exit "$status"
