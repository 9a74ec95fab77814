"""One case of the reference checkpoints or adapters, converted by us and compared."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from edge_tools.convert import ADAPTER_TYPES, TYPES, convert, convert_adapter

from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import read_header

from .answers import compare_answer, compare_merged
from .compare import Comparison, compare_files


def compare_case(folder: Path, types: Sequence[str] = tuple(TYPES)) -> Iterator[Comparison]:
    """A row for each type, of a folder that make.py has made."""
    compare, known = _compare_checkpoint, tuple(TYPES)
    if (folder / "case.json").exists():
        compare, known = _compare_adapter, ADAPTER_TYPES
    with tempfile.TemporaryDirectory() as scratch:
        for kind in types:
            if kind in known:
                row = Comparison(folder.name, kind)
                try:
                    compare(row, folder, Path(scratch))
                except EdgeRuntimeError as error:
                    row.differences.append(f"{type(error).__name__}: {error}; {error.hint}")
                yield row


def _compare_checkpoint(row: Comparison, folder: Path, scratch: Path) -> None:
    path = scratch / f"{row.type}.gguf"
    convert(folder / "Tiny-Model", path, row.type)
    check_header(read_header(path))
    compare_files(row, path, folder / f"reference-{'f32' if row.type == 'q4_0' else row.type}.gguf")
    compare_answer(row, path, folder / "greedy.json")


def _compare_adapter(row: Comparison, folder: Path, scratch: Path) -> None:
    """With the F32 model beside it, llama.cpp's answer is that of the model with the adapter."""
    said = json.loads((folder / "case.json").read_text())
    base, model = folder.parent / said["base"] / "Tiny-Model", scratch / "base.gguf"
    path = scratch / f"{row.type}.gguf"
    convert_adapter(folder / "Tiny-Adapter", path, row.type, base=base)
    reference = folder / f"reference-{row.type}.gguf"
    if not said["stable_rank"]:
        compare_files(row, path, reference)
    elif said["ranks"]:
        row.note = "llama.cpp's converter passes over use_rslora: only the answer is compared"
    else:
        row.note = "llama.cpp's converter passes over use_rslora: alpha is not compared"
        compare_files(row, path, reference, apart=("adapter.lora.alpha",))
    if not model.exists():
        convert(base, model, "f32")
    compare_answer(row, model, folder / "greedy.json", path)
    if row.type == "f32":
        merged = convert(folder / "Tiny-Merged", scratch / "merged.gguf", "f32").path
        compare_merged(row, model, path, merged, json.loads((folder / "greedy.json").read_text())["prompt"])
