#!/usr/bin/env bash
# Compares `convert` with llama.cpp's own converters, on tiny random checkpoints of every family and adapters.
#   scripts/reference_conversions.sh [--make-only] [CASE ...]
# Needs some 1.5 GB in ~/.cache/edge-runtime/reference (EDGE_RUNTIME_REFERENCE names another folder) for
# torch and transformers, which the product itself never needs. Ends with 1 where anything differs.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cache=${EDGE_RUNTIME_REFERENCE:-${XDG_CACHE_HOME:-$HOME/.cache}/edge-runtime/reference}
python=${EDGE_RUNTIME_REFERENCE_PYTHON:-python3}
packages="torch==2.13.0 transformers==5.23.0 peft==0.21.2 sentencepiece==0.2.3 tokenizers==0.23.3 safetensors==0.8.0 pyyaml"
engine=llama-cpp-python==0.3.36 # its source distribution holds llama.cpp with the converters
converters="convert_hf_to_gguf.py convert_lora_to_gguf.py conversion gguf-py LICENSE"
make_only=
if [ "${1-}" = --make-only ]; then make_only=1; shift; fi

# `python -m pip`: bin/pip has the folder's old path in it when the folder has moved.
if [ "$(cat "$cache/.packages" 2>/dev/null)" != "$packages" ]; then
  echo "making the reference environment in $cache" >&2
  "$python" -m venv "$cache"
  # On Linux the usual torch brings CUDA, some gigabytes: EDGE_RUNTIME_TORCH_INDEX names an index with CPU builds.
  # shellcheck disable=SC2086 # lists
  "$cache/bin/python" -m pip install --quiet ${EDGE_RUNTIME_TORCH_INDEX:+--extra-index-url "$EDGE_RUNTIME_TORCH_INDEX"} $packages
  printf '%s' "$packages" >"$cache/.packages"
fi

llama_cpp=$cache/llama.cpp
if [ "$(cat "$llama_cpp/.copied" 2>/dev/null)" != "$engine $converters" ]; then
  echo "fetching llama.cpp's converters" >&2
  scratch=$(mktemp -d "$cache/sdist.XXXXXX")
  trap 'rm -rf "$scratch"' EXIT
  "$cache/bin/python" -m pip download --quiet --no-deps --no-binary llama-cpp-python \
    --dest "$scratch" "$engine"
  tar -xzf "$scratch"/*.tar.gz -C "$scratch"
  rm -rf "$llama_cpp"
  mkdir -p "$llama_cpp"
  for name in $converters; do cp -R "$scratch"/*/vendor/llama.cpp/"$name" "$llama_cpp/"; done
  printf '%s' "$engine $converters" >"$llama_cpp/.copied"
  rm -rf "$scratch"
fi

fixtures=$cache/checkpoints
key=$(cat "$root"/scripts/reference/{adapters,cases,checkpoints,greedy,make,tokenizer_files}.py | cksum)$packages
cd "$root"
if [ "$(cat "$fixtures/.made" 2>/dev/null)" != "$key" ]; then
  echo "making tiny checkpoints and adapters, and converting them with llama.cpp's converters" >&2
  rm -rf "$fixtures"
  mkdir -p "$fixtures"
  "$cache/bin/python" -m scripts.reference.make "$fixtures" --llama-cpp "$llama_cpp" \
    >"$cache/made.log" 2>&1 || { tail -n 30 "$cache/made.log" >&2; exit 1; }
  printf '%s' "$key" >"$fixtures/.made"
fi
if [ -n "$make_only" ]; then exit 0; fi

ours=$root/.venv/bin/python
if [ ! -x "$ours" ]; then ours=python3; fi
exec "${EDGE_RUNTIME_PYTHON:-$ours}" "$root/scripts/reference_conversions.py" "$fixtures" "$@"
