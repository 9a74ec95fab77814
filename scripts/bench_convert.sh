#!/usr/bin/env bash
# Converts a checkpoint of E2B's shape (9 GB) and writes scripts/benchmarks/reports/convert.md. Nothing else should be running.
#   scripts/bench_convert.sh [--scale S] [--repeat N] [--types TYPE,...] [--keep] [...]      see scripts/benchmarks/convert_speed.py
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run_benchmark.sh" scripts.benchmarks.convert_speed "$@"
