"""Memory that Python adds to llama.cpp's own, with a vocabulary of 262,144 tokens."""

from __future__ import annotations

import json
import subprocess
import sys

from .table import Row

_MODEL = "gemma-3-270m"

# In a fresh process: anonymous memory before and after each call into llama.cpp
# that allocates. What those calls added is llama.cpp's; all the rest is ours.
_CHILD = """
import json, sys
from edge_runtime.device.process_memory import process_memory
held = lambda: process_memory().anonymous_bytes
import edge_runtime.backends.llama.library as library
native_bytes = 0
def counted(call):
    def run(*args):
        global native_bytes
        before = held()
        result = call(*args)
        native_bytes += held() - before
        return result
    return run
c = library.native()
for name in ("llama_model_load_from_file", "llama_init_from_model", "llama_decode"):
    setattr(c, name, counted(getattr(c, name)))
from edge_runtime import Runtime
with Runtime.open(sys.argv[1], threads=2) as runtime:
    options = {"max_tokens": 64, "temperature": 1.0, "top_k": 64, "ignore_end": True}
    runtime.generate("Once upon a time", raw=True, **options)
    print(json.dumps({"total": held(), "native": native_bytes}))
"""


def measure(repeat: int) -> list[Row]:
    done = subprocess.run([sys.executable, "-c", _CHILD, _MODEL], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    note = f"{found['total'] / 1e6:.0f} MB anonymous in all, {found['native'] / 1e6:.0f} MB of it llama.cpp's"
    ours = (found["total"] - found["native"]) / 1e6
    return [Row(f"{_MODEL}: Python's own memory", ours, "MB", most=60, note=note)]
