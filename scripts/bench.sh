#!/usr/bin/env bash
# Measures what the README claims and prints it, one JSON line last. Nothing else should be running.
#   scripts/bench.sh [--repeat N] [SECTION ...]      sections: see scripts/benchmarks/__main__.py
set -euo pipefail
exec "$(dirname "${BASH_SOURCE[0]}")/run_benchmark.sh" scripts.benchmarks "$@"
