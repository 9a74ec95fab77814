"""Small Gemma 3n models for the tests of `slice`, and the right slices of their weights, with numpy."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

import gguf
import numpy as np
import pytest
from edge_tools.synth import Quantizations, scaled, shape_named, write_model
from edge_tools.tensor_data import read_pieces
from numpy.typing import NDArray
from support.builders import tiny_llama_gguf

from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import GgmlType, TensorInfo
from edge_runtime.gguf.writing import HeaderValue, NewTensor, RawValue, raw_metadata, write_gguf

Arrays = dict[str, NDArray[np.float32]]
Capture = pytest.CaptureFixture[str]

WIDTH, TOKENS, PLE = 64, 400, 256  # the tokenizer has 300, and is padded
E2B_LAYERS = [*range(20), *range(25, 35)]
UINT16, UINT32, INT32, BOOL, STRING, UINT64 = 2, 4, 5, 7, 8, 10  # value types of GGUF
Q4_0 = Quantizations(*[GgmlType.Q4_0] * 6)
MIXED = Quantizations(embedding=GgmlType.Q8_0, ple=GgmlType.Q8_0)  # body Q4_0, gates Q8_0, AltUp F32
NAMES = ("general.name", "general.description")


def gemma_3n(
    path: Path,
    layers: int = 35,
    feed_forward: object = 512,
    types: Quantizations = Q4_0,
    tokens: int = TOKENS,
    name: str = "gemma-3n-e4b",
    **values: object,
) -> Path:
    """As wide as 64 numbers, so E2B has 4 x 64 columns and E4B 8 x 64."""
    tokenizer = path.with_name("tokenizer.gguf")
    tokenizer.write_bytes(tiny_llama_gguf())
    if isinstance(feed_forward, int):
        feed_forward = {"cycle": [feed_forward]}
    shape = scaled(shape_named(name), 0.01).with_values(
        {
            "block_count": layers,
            "attention.shared_kv_layers": max(0, layers - 20),
            "embedding_length": WIDTH,
            "feed_forward_length": feed_forward,
            "attention.head_count": 2,
            "attention.head_count_kv": 1,
            **values,
        },
        tokens,
    )
    return write_model(path, shape, types, tokenizer=tokenizer).path


def rewritten(
    source: Path,
    changes: Mapping[str, HeaderValue | None],
    shapes: Mapping[str, tuple[int, ...] | None] | None = None,
) -> Path:
    """The same weights under other metadata, some in another shape; None leaves out."""
    header = read_header(source)
    metadata: dict[str, HeaderValue | None] = {**raw_metadata(header), **changes}
    tensors = [
        NewTensor(tensor.name, shape, tensor.type, partial(pieces, header, tensor))
        for tensor in header.tensors
        if (shape := (shapes or {}).get(tensor.name, tensor.shape)) is not None
    ]
    kept = {key: value for key, value in metadata.items() if value is not None}
    path = source.with_name("changed.gguf")
    write_gguf(path, kept, tensors, force=True, smaller="")
    return path


def pieces(header: GgufHeader, tensor: TensorInfo) -> Iterator[memoryview]:
    return (piece.data for piece in read_pieces(header, tensor))


def raw(kind: int, code: str, *numbers: float) -> RawValue:
    return RawValue(struct.pack(f"<I{code}", kind, *numbers))


def weights(path: Path) -> Arrays:
    """By name, (rows, columns) each."""
    return {  # as plain arrays: numpy takes its time with each slice of a mapped one
        tensor.name: gguf.quants.dequantize(tensor.data.view(np.ndarray), tensor.tensor_type)
        for tensor in gguf.GGUFReader(path).tensors
    }


def metadata(path: Path) -> dict[str, tuple[object, object]]:
    """By key, the types and the value; without what the tests add."""
    return {
        key: (field.types, field.contents())
        for key, field in gguf.GGUFReader(path).fields.items()
        if not key.startswith(("GGUF.", "mine."))
    }


def right_slices(old: Arrays, layers: list[int], columns: int) -> Arrays:
    new = {name: values for name, values in old.items() if not name.startswith("blk.")}
    table = old["per_layer_token_embd.weight"]
    by_layer = table.reshape(len(table), -1, PLE)
    new["per_layer_token_embd.weight"] = by_layer[:, layers].reshape(len(table), -1)
    width = old["per_layer_model_proj.weight"].shape[1]
    projection = old["per_layer_model_proj.weight"].reshape(-1, PLE, width)
    new["per_layer_model_proj.weight"] = projection[layers].reshape(-1, width)
    for number, layer in enumerate(layers):
        block = {name.split(".", 2)[2]: v for name, v in old.items() if name.startswith(f"blk.{layer}.")}
        for name in ("ffn_gate.weight", "ffn_up.weight"):
            block[name] = block[name][:columns]
        block["ffn_down.weight"] = block["ffn_down.weight"][:, :columns]
        new |= {f"blk.{number}.{name}": values for name, values in block.items()}
    return new


def assert_same(found: Arrays, expected: Arrays) -> None:
    assert found.keys() == expected.keys()
    wrong = [name for name in expected if not np.array_equal(found[name], expected[name])]
    assert wrong == []
