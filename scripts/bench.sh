#!/usr/bin/env bash
# Measures what the README claims and prints it, one JSON line last. Nothing else should be running.
#   scripts/bench.sh [--repeat N] [SECTION ...]      sections: see scripts/benchmarks/__main__.py
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh" dev </dev/null >&2
cd "$root"
for model in smollm2-135m-instruct gemma-3-270m; do
  .venv/bin/edge-runtime models pull "$model" </dev/null >&2
done
exec .venv/bin/python -m scripts.benchmarks "$@"
