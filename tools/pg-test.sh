#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# pg-test.sh COMMAND...: runs the command beside a throw-away PostgreSQL, whose address stands in SUANHE_TEST_PG.
# The cluster lies in a temporary folder and is gone afterwards; it trades durability for speed. initdb refuses
# root, so as root it runs as the user postgres.
set -eu
bin=${PG_BIN:-}
for candidate in /usr/lib/postgresql/15/bin /usr/lib/postgresql/*/bin; do
    [ -n "$bin" ] || [ ! -x "$candidate/initdb" ] || bin=$candidate
done
[ -n "$bin" ] || {
    echo "pg-test: PostgreSQL is not installed (package postgresql)" >&2
    exit 1
}
[ $# -gt 0 ] || {
    echo "usage: pg-test.sh COMMAND..." >&2
    exit 2
}

# The path of a unix socket is short by nature, so not below the project.
dir=$(mktemp -d /tmp/suanhe-pg.XXXXXX)
as=
if [ "$(id -u)" = 0 ]; then
    chown postgres "$dir"
    as="setpriv --reuid=postgres --regid=postgres --init-groups --"
fi

stop() {
    (cd "$dir" && $as "$bin/pg_ctl" -D "$dir/data" -m immediate -w stop) >/dev/null 2>&1 || :
    rm -rf "$dir"
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

(
    cd "$dir"
    $as "$bin/initdb" -D "$dir/data" -U suanhe -A trust -E UTF8 --locale=C --no-sync >"$dir/initdb.log" 2>&1
) || {
    cat "$dir/initdb.log" >&2
    exit 1
}

# A port is only the socket's name when no address is listened on: any number is free in a folder of our own.
port=5432
options="-c listen_addresses= -c unix_socket_directories=$dir -c port=$port -c fsync=off"
options="$options -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"
(cd "$dir" && $as "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 60 -o "$options" start >/dev/null 2>&1) || {
    cat "$dir/log" >&2
    exit 1
}

SUANHE_TEST_PG="postgresql:///postgres?host=$dir&port=$port&user=suanhe"
export SUANHE_TEST_PG
status=0
"$@" || status=$?
exit "$status"
