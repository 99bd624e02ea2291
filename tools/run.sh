#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `make run`: the platform with the embedded database on http://localhost:8080, the demo market, and the agent that serves its stores.
# Data lies in ./var (SUANHE_DATA_DIR); without the demo market: SUANHE_DEMO=false make run.
set -eu
cd "$(dirname "$0")/.."
bin=build/release/bin
data=${SUANHE_DATA_DIR:-./var}
port=${SUANHE_PORT:-8080}
agent=${SUANHE_AGENT_PORT:-9090}
demo=${SUANHE_DEMO:-true}
export SUANHE_DATA_DIR="$data" SUANHE_PORT="$port" SUANHE_DEMO="$demo" SUANHE_ALLOW_PLAIN_HTTP=${SUANHE_ALLOW_PLAIN_HTTP:-127.0.0.0/8}
export SUANHE_AGENT_URL="http://127.0.0.1:$agent"
$bin/suanhe init
pids=
stop() { trap - INT TERM EXIT; for p in $pids; do kill "$p" 2>/dev/null || true; done; wait 2>/dev/null || true; }
trap stop INT TERM EXIT
$bin/suanhe serve & pids="$pids $!"
i=0; until curl -fsS "http://127.0.0.1:$port/healthz" >/dev/null 2>&1; do i=$((i + 1)); [ $i -lt 200 ] || { echo "the platform does not answer" >&2; exit 1; }; sleep 0.1; done
if [ -f "$data/agent.json" ]; then $bin/suanhe-agent serve --config "$data/agent.json" & pids="$pids $!"; fi
cat <<TXT

Suanhe runs. Try:
  http://localhost:$port/            the market
  http://localhost:$port/catalog     what is on offer
  http://localhost:$port/verify      check a receipt, offline
Ctrl-C stops it.
TXT
wait
