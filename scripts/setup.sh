#!/usr/bin/env bash
# Makes .venv with edge_runtime and its engine in it; quick when that is already so.
#   scripts/setup.sh [--portable] [EXTRAS]      of pyproject.toml: hub (default), hub,speech,speech-convert, dev ...
# EDGE_RUNTIME_BACKEND=cpu|vulkan|metal|cuda, EDGE_RUNTIME_PYTHON=a Python from 3.10 on.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
if [ "${1-}" = --portable ]; then export EDGE_RUNTIME_PORTABLE=1; shift; fi
extra=${1:-hub}

# What the set-up depends on; where it says the same as last time, nothing is to be done.
describe() {
  printf '%s\n' "$root" "${EDGE_RUNTIME_PORTABLE-}" "${EDGE_RUNTIME_BACKEND-}" "${EDGE_RUNTIME_PYTHON-}" \
    "${CC-}" "${CXX-}" "${CFLAGS-}" "${CXXFLAGS-}" "${LDFLAGS-}" "${CMAKE_ARGS-}" \
    "${CUDACXX-}" "${CUDAARCHS-}" "${CUDAFLAGS-}" "${CUDAHOSTCXX-}"
  cat "$root/pyproject.toml" "$root/scripts/set_up.py" "$root"/scripts/build_*.py "$root/scripts/engine.cmake"
  grep -m 4 -E '^(model name|flags|Features|CPU part)' /proc/cpuinfo 2>/dev/null || true
}
key=$(describe | cksum)
if [ -x "$root/.venv/bin/python" ] && [ -r "$root/.venv/.set-up" ]; then
  installed=$(<"$root/.venv/.set-up") # the key, then the extras
  if [ "${installed% *}" = "$key" ]; then
    missing=
    for name in ${extra//,/ }; do # dev includes all of them
      case ",${installed##* }," in *",$name,"* | *,dev,*) ;; *) missing=$name ;; esac
    done
    if [ -z "$missing" ]; then exit 0; fi
  fi
fi

set_up_with() { # the first of these that is new enough; a name may be a shim with nothing behind it
  local python
  for python in "$@"; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
      exec "$python" "$root/scripts/set_up.py" --extra "$extra" --key "$key"
    fi
  done
  echo "error: none of $* is a Python 3.10 or newer; install with:" \
    "sudo apt install python3 python3-venv (Debian), or brew install python (macOS)" >&2
  exit 1
}
if [ -n "${EDGE_RUNTIME_PYTHON-}" ]; then set_up_with "$EDGE_RUNTIME_PYTHON"; fi
set_up_with python3.13 python3.12 python3.11 python3.10 python3
