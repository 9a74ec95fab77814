#!/usr/bin/env bash
# Compares planned with measured memory and writes scripts/benchmarks/reports/plan.md. Nothing else should be running.
#   scripts/bench_plan.sh [--only NAME,...] [--models FOLDER] [--report FILE]      see scripts/benchmarks/plan_accuracy.py
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh" dev </dev/null >&2
cd "$root"
for model in smollm2-135m-instruct gemma-3-270m; do # the second for its tokenizer, which made-up models get
  .venv/bin/edge-runtime models pull "$model" </dev/null >&2
done
exec .venv/bin/python -m scripts.benchmarks.plan_accuracy "$@"
