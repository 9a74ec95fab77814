"""A child process that tokenizes long runs: its death is a test's failure and not the test's own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from edge_runtime.backends.llama.model import LlamaModel
from edge_runtime.device.children import run_python

_LIMIT_S = 300.0
UNITS = ("A", "1", " ", "\n", "😀", "e\u0301", "Aa1!é", "/\n", "\u00a0 ", "a ", "a\x85", "\x1c ")


def tokenize_runs(paths: list[Path], characters: int) -> None:
    """Tokenizes `characters` of each of UNITS with each vocabulary. Fails with where it ended."""
    arguments = [__file__, str(characters), *map(str, paths)]
    ended = run_python(arguments, limit_s=_LIMIT_S)
    assert ended.status == 0, (ended.describe(), ended.output[-200:])
    assert len(ended.output.splitlines()) == len(paths) * len(UNITS)


def main(characters: int, paths: list[str]) -> None:
    for path in paths:
        model = LlamaModel(Path(path), gpu_layers=0, vocab_only=True)
        for unit in UNITS:
            sys.stdout.write(f"{Path(path).stem} {json.dumps(unit)}\n")
            sys.stdout.flush()
            if (Path(path).stem, unit) != ("superbpe", "1"):  # 7 s: the square of a run's length
                model.tokenize((unit * characters)[:characters], add_special=True, parse_special=True)
        model.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
