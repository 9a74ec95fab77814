#!/usr/bin/env bash
# Sets up, fetches the models that tests/real needs, runs every check. Arguments go to pytest.
#   scripts/test.sh [--portable] [PYTEST ARGUMENTS]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
if [ "${1-}" = --portable ]; then export EDGE_RUNTIME_PORTABLE=1; shift; fi
"$root/scripts/setup.sh" dev </dev/null
cd "$root"
bin=$root/.venv/bin
for model in smollm2-135m-instruct gemma-3-270m; do
  "$bin/edge-runtime" models pull "$model" </dev/null
done
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
exec "$bin/python" -m pytest "$@"
