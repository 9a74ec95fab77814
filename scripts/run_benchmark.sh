#!/usr/bin/env bash
# Sets up, fetches the models that benchmarks use, and runs one of them.
#   scripts/run_benchmark.sh MODULE [ARGUMENTS]      MODULE: such as scripts.benchmarks.limits
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh" dev </dev/null >&2
cd "$root"
for model in smollm2-135m-instruct gemma-3-270m; do # the second for its tokenizer too, which made-up models get
  .venv/bin/edge-runtime models pull "$model" </dev/null >&2
done
exec .venv/bin/python -m "$@"
