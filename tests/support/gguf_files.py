"""Headers of files made on the spot, and the errors of those that are damaged."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from support.builders import UINT16, RawTensor, Typed, gguf_bytes

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import GgufHeader, read_header

SMALL = gguf_bytes(
    {"general.architecture": "llama", "llama.block_count": 1, "tokenizer.ggml.tokens": ["a", "bc", "d"]},
    {"first.weight": np.ones((3, 4)), "second.weight": np.ones(5)},
)


def header_of(tmp_path: Path, data: bytes, name: str = "model.gguf") -> GgufHeader:
    path = tmp_path / name
    path.write_bytes(data)
    return read_header(path)


def damage(tmp_path: Path, data: bytes) -> ModelFileInvalid:
    with pytest.raises(ModelFileInvalid) as caught:
        header_of(tmp_path, data)
    assert caught.value.hint
    assert {"path", "offset", "expected", "found"} <= caught.value.facts.keys()
    return caught.value


def with_tensor(shape: tuple[int, ...], kind: int = 0, data: bytes = bytes(64), **more: int) -> bytes:
    return gguf_bytes(tensors={"weight": RawTensor(shape, kind, data, **more)})


def model(
    tmp_path: Path,
    architecture: str,
    values: Mapping[str, object],
    tensors: Mapping[str, tuple[int, ...]] | None = None,
    **general: object,
) -> GgufHeader:
    """A header with the given hyperparameters, and tensors of the given shapes (fastest first)."""
    metadata = {"general.architecture": architecture, **general}
    metadata |= {f"{architecture}.{key}": value for key, value in values.items()}
    shapes = tensors or {"output_norm.weight": (8,)}
    arrays = {name: np.zeros(shape[::-1], np.float32) for name, shape in shapes.items()}
    return header_of(tmp_path, gguf_bytes(metadata, arrays))


def refuse(header: GgufHeader, key: str) -> ModelFileInvalid:
    with pytest.raises(ModelFileInvalid) as caught:
        check_header(header)
    facts = caught.value.facts
    assert (facts["path"], facts["key"]) == (str(header.path), key)
    assert f"model.gguf is damaged at {facts['key']}: expected " in str(caught.value)
    assert caught.value.hint
    return caught.value


def write_split_set(folder: Path, stem: str, count: int = 2) -> list[Path]:
    """A model in several files, with one tensor each."""
    paths = [folder / f"{stem}-{number + 1:05}-of-{count:05}.gguf" for number in range(count)]
    for number, path in enumerate(paths):
        metadata: dict[str, object] = {
            "split.no": Typed(UINT16, number),
            "split.count": Typed(UINT16, count),
        }
        if number == 0:
            metadata["general.architecture"] = "llama"
        path.write_bytes(gguf_bytes(metadata, {f"part{number}.weight": np.ones(64)}))
    return paths
