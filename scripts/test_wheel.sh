#!/usr/bin/env bash
# Builds the wheel, installs it without this checkout, and runs the tests of the commands against it.
#   scripts/test_wheel.sh [PYTEST ARGUMENTS]      after scripts/setup.sh dev
# The new environment takes other packages from .venv by path, so that the editable install there is not seen.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
python=$root/.venv/bin/python
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$scratch" "$root" >&2
"$python" -m venv "$scratch/venv"
clean=$scratch/venv/bin/python
"$clean" -m pip install --quiet --disable-pip-version-check --no-deps "$scratch"/edge_runtime-*.whl >&2
"$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
  >"$("$clean" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/others.pth"

# The tests, but nothing of the product, lie in the folder that they run in.
mkdir "$scratch/work"
cp -R "$root/tests" "$root/LICENSE" "$scratch/work/"
printf '%s\n' '[pytest]' 'pythonpath = tests' 'addopts = -ra --import-mode=importlib' 'filterwarnings = error' \
  'asyncio_mode = auto' 'asyncio_default_fixture_loop_scope = function' >"$scratch/work/pytest.ini"
cd "$scratch/work"
unset PYTHONPATH
"$clean" - "$scratch/venv" <<'PYTHON'
import sys
import edge_runtime, edge_tools
for package in (edge_runtime, edge_tools):
    assert package.__file__.startswith(sys.argv[1]), f"{package.__file__} is not the installed wheel"
PYTHON
export EDGE_RUNTIME_HOME=$scratch/home
"$scratch/venv/bin/edge-runtime" plan gemma-3n-e2b-it --budget 2GB
"$clean" -c 'import sys; sys.path.insert(0, "tests"); from pathlib import Path
from support.tiny_checkpoint import write_llama; write_llama(Path(sys.argv[1]))' "$scratch/checkpoint"
"$scratch/venv/bin/edge-runtime" convert "$scratch/checkpoint" -o "$scratch/model.gguf"
"$scratch/venv/bin/edge-runtime" inspect "$scratch/model.gguf" >/dev/null
# test_named_commands reads the sources of the checkout; the fuzzer would only run a second time.
"$clean" -m pytest -q -p no:cacheprovider --ignore tests/cli/test_named_commands.py \
  --ignore tests/cli/test_fuzz.py "$@" tests/cli
