#!/usr/bin/env bash
# Measures live speech and writes scripts/benchmarks/reports/speech.md. Nothing else should be running.
#   scripts/bench_speech.sh [--only PART,...] [--add] [--quick] [...]      see scripts/benchmarks/speech/__main__.py
# Fetches the clips; for the comparison with faster-whisper, run scripts/reference_speech.sh before.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
"$root/scripts/setup.sh" dev </dev/null >&2
clips=${XDG_CACHE_HOME:-$HOME/.cache}/edge-runtime/speech/clips.jsonl
if [ ! -e "$clips" ]; then "$root/scripts/speech_clips.sh" >&2; fi
cd "$root"
.venv/bin/edge-runtime models pull whisper-base </dev/null >&2
exec .venv/bin/python -m scripts.benchmarks.speech "$@"
