#!/usr/bin/env bash
# Fetches 88 clips of real speech, with what is said in them, from five Debian packages (54 MB).
#   scripts/speech_clips.sh [FOLDER]      default ~/.cache/edge-runtime/speech
# Makes FOLDER/clips.jsonl, a line for each clip: path, language, text, seconds. Needs Debian or Ubuntu, and ffmpeg
# or, without it, PyAV, which goes into FOLDER/.decoder. The recordings are under CC-BY-SA-3.0 and CC-BY-3.0
# (FOLDER/COPYRIGHT): nothing of them belongs into this repository.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/edge-runtime/speech}
languages="en es fr it ru"
for tool in apt-get dpkg-deb; do
  if ! command -v "$tool" >/dev/null; then
    echo "error: $tool is missing: the clips come out of Debian's packages" >&2
    exit 1
  fi
done
mkdir -p "$folder/.packages"
scratch=$(mktemp -d "$folder/.packages/XXXXXX")
trap 'rm -rf "$scratch"' EXIT

fetch() { # one package into .packages; "_apt", under which root's apt-get works, may not write there
  if ! (cd "$scratch" && apt-get download -o APT::Sandbox::User=root "$1" >&2); then
    echo "error: no package $1; is this Debian or Ubuntu, and was 'apt-get update' run?" >&2
    exit 1
  fi
  mv "$scratch/$1"_*.deb "$folder/.packages/"
}
for language in $languages; do
  for package in "asterisk-core-sounds-$language" "asterisk-core-sounds-$language-g722"; do
    if ! compgen -G "$folder/.packages/${package}_*.deb" >/dev/null; then fetch "$package"; fi
    dpkg-deb -x "$folder/.packages/${package}"_*.deb "$scratch/$language"
  done
done
cp "$scratch/en/usr/share/doc/asterisk-core-sounds-en/copyright" "$folder/COPYRIGHT"

python=python3
if ! command -v ffmpeg >/dev/null; then
  python=$folder/.decoder/bin/python
  if ! "$python" -c 'import av, numpy' 2>/dev/null; then
    python3 -m venv --clear "$folder/.decoder"
    "$python" -m pip install --quiet --disable-pip-version-check "av>=12" numpy
  fi
fi
"$python" "$root/scripts/speech_clips.py" "$scratch" "$folder"
