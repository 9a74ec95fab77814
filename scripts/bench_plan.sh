#!/usr/bin/env bash
# Compares planned with measured memory and writes scripts/benchmarks/reports/plan.md. Nothing else should be running.
#   scripts/bench_plan.sh [--only NAME,...] [--models FOLDER] [--report FILE]      see scripts/benchmarks/plan_accuracy.py
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run_benchmark.sh" scripts.benchmarks.plan_accuracy "$@"
