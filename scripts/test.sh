#!/usr/bin/env bash
# Sets up, fetches the models that tests/real needs, runs every check. Arguments go to pytest; without any, the
# wheel is built and tested too.
#   scripts/test.sh [--portable] [PYTEST ARGUMENTS]
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
if [ "${1-}" = --portable ]; then export EDGE_RUNTIME_PORTABLE=1; shift; fi
"$root/scripts/setup.sh" dev </dev/null
cd "$root"
bin=$root/.venv/bin
for model in smollm2-135m-instruct gemma-3-270m silero-vad whisper-base; do
  "$bin/edge-runtime" models pull "$model" </dev/null
done
if [ ! -f "${XDG_CACHE_HOME:-$HOME/.cache}/edge-runtime/speech/clips.jsonl" ]; then
  scripts/speech_clips.sh </dev/null || echo "no clips of speech: tests that need them will say so" >&2
fi
"$bin/ruff" check .
"$bin/ruff" format --check .
"$bin/mypy"
if [ $# -eq 0 ]; then "$root/scripts/test_wheel.sh"; fi
exec "$bin/python" -m pytest "$@"
