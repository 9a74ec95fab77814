"""Our `convert` and llama.cpp's converter, on the same checkpoints: names, shapes, types, bytes, metadata.

Runs in the product's own environment, on what reference_checkpoints.py has made. For each case and type
a line; at the end how many tensors and values were compared. With greedy tokens: those that llama.cpp
chooses with our F32 file are compared with those that transformers chose with the checkpoint.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edge_runtime.backend import BackendOptions, Chunk  # noqa: E402
from edge_runtime.errors import EdgeRuntimeError  # noqa: E402
from edge_runtime.gguf_check import check_header  # noqa: E402
from edge_runtime.gguf_header import GgufHeader, read_header  # noqa: E402
from edge_runtime.gguf_types import GgufStringArray, TensorInfo  # noqa: E402
from edge_runtime.tools.convert import convert  # noqa: E402

TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0")
# Names and dates, which the two programs may choose differently.
NAMES = ("general.name", "general.basename", "general.finetune", "general.version", "general.size_label")
# In standard deviations of the logits: llama.cpp has keys, values and tables in half precision.
_TIE = 0.1
_MANY = 3  # differences that are told of one file


@dataclass
class Comparison:
    case: str
    type: str
    tensors: int = 0
    values: int = 0
    zeros: int = 0  # tensors of ours alone that are all zero, where the checkpoint leaves keys and values out
    tokens: int = 0  # chosen by llama.cpp and transformers alike
    differences: list[str] = field(default_factory=list)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--types", nargs="*", default=TYPES, choices=TYPES)
    parser.add_argument("--no-tokens", action="store_true", help="do not load the files in llama.cpp")
    args = parser.parse_args(argv)
    cases = args.cases or sorted(path.name for path in args.fixtures.iterdir() if path.is_dir())
    print(f"{'CASE':18} {'TYPE':5} {'TENSORS':>7} {'VALUES':>6} {'ZEROS':>5} {'TOKENS':>6}  RESULT")
    failed = 0
    for case in cases:
        for row in compare_case(args.fixtures / case, args.types, tokens=not args.no_tokens):
            result = "same" if not row.differences else "DIFFERENT"
            counts = f"{row.tensors:7} {row.values:6} {row.zeros:5} {row.tokens:6}"
            print(f"{row.case:18} {row.type:5} {counts}  {result}", flush=True)
            for difference in row.differences[:_MANY]:
                print(f"    {difference}")
            failed += bool(row.differences)
    return 1 if failed else 0


def compare_case(folder: Path, types: Sequence[str] = TYPES, *, tokens: bool = True) -> Iterator[Comparison]:
    with tempfile.TemporaryDirectory() as scratch:
        for kind in types:
            row = Comparison(folder.name, kind)
            path = Path(scratch) / f"{kind}.gguf"
            try:
                convert(folder / "Tiny-Model", path, kind)
            except EdgeRuntimeError as error:
                row.differences.append(f"{type(error).__name__}: {error}; {error.hint}")
                yield row
                continue
            _compare(row, path, folder / f"reference-{'f32' if kind == 'q4_0' else kind}.gguf")
            if kind == "f32" and tokens:
                _compare_tokens(row, path, folder / "greedy.json")
            yield row


def _compare(row: Comparison, path: Path, reference_path: Path) -> None:
    ours, theirs = read_header(path), read_header(reference_path)
    check_header(ours)
    _compare_metadata(row, ours, theirs)
    our_tensors, their_tensors = _by_name(ours), _by_name(theirs)
    extra = [name for name in our_tensors if name not in their_tensors]
    row.differences += [f"{name} is missing" for name in their_tensors if name not in our_tensors]
    for name in extra:
        if _numbers(ours, our_tensors[name]).any():
            row.differences.append(f"{name} is ours alone, and not zero")
    row.zeros = len(extra)
    order = [name for name in our_tensors if name in their_tensors]
    if order != list(their_tensors):
        row.differences.append("the tensors are in another order")
    for name in order:
        row.tensors += 1
        row.differences += _tensor_differences(row.type, ours, our_tensors[name], theirs, their_tensors[name])


def _tensor_differences(
    kind: str, ours: GgufHeader, our: TensorInfo, theirs: GgufHeader, their: TensorInfo
) -> Iterator[str]:
    expected = _bytes(theirs, their)
    if our.shape != their.shape:
        yield f"{our.name}: shape {our.shape}, expected {their.shape}"
        return
    wanted = their.type.name
    if kind == "q4_0":  # llama.cpp's converter has no such type: its quantizer's reference is asked instead
        expected, wanted = _as_q4_0(our, expected)
    if our.type.name != wanted:
        yield f"{our.name}: type {our.type.name}, expected {wanted}"
        return
    found = _bytes(ours, our)
    if found.shape != expected.shape or (found != expected).any():
        yield f"{our.name}: {np.count_nonzero(found != expected):,} of {len(found):,} bytes differ"


def _as_q4_0(our: TensorInfo, expected: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], str]:
    """What gguf-py makes of llama.cpp's F32 tensor."""
    import gguf

    if our.type.name not in ("Q4_0", "F16"):
        return expected, "F32"
    rows = expected.view(np.float32).reshape(-1, our.shape[0])
    wanted = "Q4_0" if our.shape[0] % 32 == 0 else "F16"
    kind = gguf.GGMLQuantizationType[wanted]
    return np.ascontiguousarray(gguf.quants.quantize(rows, kind)).view(np.uint8).reshape(-1), wanted


def _compare_metadata(row: Comparison, ours: GgufHeader, theirs: GgufHeader) -> None:
    for key in sorted({*ours.metadata, *theirs.metadata} - set(NAMES)):
        if row.type == "q4_0" and key == "general.file_type":
            continue
        row.values += 1
        found, expected = _plain(ours.metadata.get(key)), _plain(theirs.metadata.get(key))
        if found != expected:
            row.differences.append(f"{key}: {str(found)[:80]}, expected {str(expected)[:80]}")


def _plain(value: object) -> object:
    if isinstance(value, GgufStringArray):
        return list(value.iter_bytes())
    return (str(value.dtype), value.tolist()) if isinstance(value, np.ndarray) else (type(value), value)


def _by_name(header: GgufHeader) -> dict[str, TensorInfo]:
    return {tensor.name: tensor for tensor in header.tensors}


def _bytes(header: GgufHeader, tensor: TensorInfo) -> np.ndarray[Any, np.dtype[np.uint8]]:
    with header.path.open("rb") as handle:
        handle.seek(tensor.offset_bytes)
        return np.frombuffer(handle.read(tensor.size_bytes), np.uint8)


def _numbers(header: GgufHeader, tensor: TensorInfo) -> np.ndarray[Any, np.dtype[np.float32]]:
    import gguf

    raw = _bytes(header, tensor).reshape(-1, tensor.size_bytes)
    numbers: np.ndarray[Any, np.dtype[np.float32]] = gguf.quants.dequantize(
        raw, gguf.GGMLQuantizationType(int(tensor.type))
    )
    return numbers


def _compare_tokens(row: Comparison, path: Path, greedy_path: Path) -> None:
    greedy = json.loads(greedy_path.read_text())
    if not greedy["tokens"]:
        return
    try:
        found = list(_greedy_tokens(path, greedy["prompt"], greedy["tokens"]))
    except EdgeRuntimeError as error:
        row.differences.append(f"{error}: {str(error.facts)[-300:]}")
        return
    expected = greedy["tokens"]
    clear = [index for index, margin in enumerate(greedy["margins"]) if margin > _TIE]
    row.tokens = len(clear)
    if any(found[index] != expected[index] for index in clear):
        row.differences.append(f"llama.cpp chooses {found}, transformers {expected}")


def _greedy_tokens(path: Path, prompt: Sequence[int], expected: Sequence[int]) -> Iterator[int]:
    """What llama.cpp would choose after the prompt and each of the expected tokens."""
    from edge_runtime.llama_backend import LlamaBackend

    backend = LlamaBackend(path, BackendOptions(context_tokens=64), threads=1)
    try:
        chunk = Chunk(0, 0, list(prompt), wants_logits=True)
        for place, token in enumerate(expected, start=len(prompt)):
            backend.decode([chunk])
            yield int(np.argmax(backend.logits(0)))
            chunk = Chunk(0, place, [token], wants_logits=True)
    finally:
        backend.close()


if __name__ == "__main__":
    sys.exit(main())
