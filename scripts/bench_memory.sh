#!/usr/bin/env bash
# Runs models under hard memory limits and writes scripts/benchmarks/reports/memory.md. Nothing else should be running.
#   scripts/bench_memory.sh [--only NAME,...] [--quick] [...]      see scripts/benchmarks/limits/__main__.py
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run_benchmark.sh" scripts.benchmarks.limits "$@"
