#!/usr/bin/env bash
# From a fresh checkout to a conversation: sets up, fetches the default model, starts a chat.
#   scripts/demo.sh [--portable]                  a chat
#   scripts/demo.sh "Why is the sky blue?"        one answer (the arguments of `edge-runtime generate`)
#   echo "Why is the sky blue?" | scripts/demo.sh
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
if [ "${1-}" = --portable ]; then export EDGE_RUNTIME_PORTABLE=1; shift; fi
"$root/scripts/setup.sh" hub </dev/null
edge_runtime=$root/.venv/bin/edge-runtime
"$edge_runtime" models pull smollm2-135m-instruct </dev/null >&2
if [ $# -gt 0 ] || [ ! -t 0 ]; then
  exec "$edge_runtime" generate "$@"
fi
exec "$edge_runtime" chat
