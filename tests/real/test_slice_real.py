"""Sliced models run in llama.cpp and agree with the same weights cut out by numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from edge_tools.slice import SliceOptions, slice_model
from edge_tools.synth import Quantizations, scaled, shape_named, write_model
from edge_tools.tensor_data import read_pieces
from numpy.typing import NDArray

from edge_runtime import Runtime
from edge_runtime.backends.backend import BackendOptions, Chunk, DecodeStatus
from edge_runtime.backends.llama import LlamaBackend
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.writing import NewTensor, raw_metadata, write_gguf
from edge_runtime.memory.shape import read_shape

TOKENS = 1024  # with all of Gemma's tokens for single bytes
PROMPT = "Rain falls on the plain, and nobody in Spain complains about it again."
PLE, WINDOW = 256, 8  # a short window, so that it matters which layers have one
TYPES = {
    "Q4_0": Quantizations.named(embedding="Q4_0", ple="Q4_0"),
    "mixed": Quantizations.named(body="Q8_0", embedding="Q6_K", ple="Q8_0", other="F16", untouched="F16"),
}
PATTERN = "gemma3n.attention.sliding_window_pattern"


def gemma_3n(path: Path, tokenizer: Path, name: str, layers: int, types: Quantizations) -> Path:
    """An eighth as wide: 256 numbers, and 1024 columns of feed-forward for E2B."""
    shape = scaled(shape_named(name), 0.125).with_values(
        {
            "block_count": layers,
            "attention.shared_kv_layers": layers - 20,
            "attention.sliding_window": WINDOW,
        },
        TOKENS,
    )
    return write_model(path, shape, types, tokenizer=tokenizer).path


@pytest.fixture(scope="module", params=sorted(TYPES))
def e4b(request: pytest.FixtureRequest, gemma_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "e4b.gguf"
    return gemma_3n(path, gemma_path, "gemma-3n-e4b", 35, TYPES[request.param])


def cut_by_numpy(source: Path, header_of: Path, path: Path, layers: list[int], columns: int) -> Path:
    """With llama.cpp's own reader and writer: the metadata of one file, the weights of another."""
    writer = gguf.GGUFWriter(path, "gemma3n")
    for key, field in gguf.GGUFReader(header_of).fields.items():
        if not key.startswith("GGUF.") and key != "general.architecture":
            kinds = [*field.types, None]
            writer.add_key_value(key, field.contents(), kinds[0], sub_type=kinds[1])
    numbers = {layer: number for number, layer in enumerate(layers)}
    for tensor in gguf.GGUFReader(source).tensors:
        name, data = tensor.name, tensor.data
        if name.startswith("blk."):
            _, layer, rest = name.split(".", 2)
            if int(layer) not in numbers:
                continue
            name = f"blk.{numbers[int(layer)]}.{rest}"
            if rest in ("ffn_gate.weight", "ffn_up.weight"):
                data = data[:columns]
            if rest == "ffn_down.weight":
                data = data[:, : data.shape[1] * columns // int(tensor.shape[0])]
        if name == "per_layer_token_embd.weight":
            data = data.reshape(len(data), 35, -1)[:, layers].reshape(len(data), -1)
        if name == "per_layer_model_proj.weight":
            data = data.reshape(35, PLE, -1)[layers].reshape(len(layers) * PLE, -1)
        writer.add_tensor(name, np.ascontiguousarray(data), raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def logits(path: Path) -> NDArray[np.float32]:
    backend = LlamaBackend(path, BackendOptions(context_tokens=256, threads=2))
    try:
        tokens = backend.tokenize(PROMPT, add_special=True, parse_special=False)
        assert len(tokens) > 2 * WINDOW
        assert backend.decode([Chunk(0, 0, tokens, wants_logits=True)]) is DecodeStatus.DONE
        return np.array(backend.logits(0))
    finally:
        backend.close()


def test_e2b_out_of_e4b_runs_and_thinks_the_same(e4b: Path, gemma_path: Path, tmp_path: Path) -> None:
    e2b = gemma_3n(tmp_path / "e2b.gguf", gemma_path, "gemma-3n-e2b", 30, TYPES["Q4_0"])
    layers = [*range(20), *range(25, 35)]
    reference = cut_by_numpy(e4b, e2b, tmp_path / "reference.gguf", layers, 1024)
    sliced = slice_model(e4b, tmp_path / "sliced.gguf", SliceOptions(to="e2b"))

    found = logits(sliced.path)
    assert np.isfinite(found).all()
    assert 0.01 < found.std() < 30
    assert np.array_equal(found, logits(reference))
    assert not np.allclose(found, logits(e4b), atol=0.1)
    with Runtime.open(sliced.path, context_tokens=256) as runtime:
        assert (
            runtime.generate("Rain falls.", raw=True, temperature=0, max_tokens=4).usage.completion_tokens
            >= 1
        )


def test_layers_keep_their_windows_where_the_pattern_breaks(e4b: Path, tmp_path: Path) -> None:
    """Without layers 21 and 23, the one that sees everything is layer 22; every fifth would be 24."""
    sliced = slice_model(e4b, tmp_path / "sliced.gguf", SliceOptions(skip_layers=(21, 23)))
    assert [layer.slides for layer in read_shape(read_header(sliced.path)).layers[20:25]] == [
        *(True, True, False, True, True)
    ]
    fifth = with_metadata(sliced.path, {PATTERN: np.arange(33) % 5 != 4})
    assert not np.allclose(logits(sliced.path), logits(fifth), atol=1e-3)


def test_all_layers_that_share_can_go(e4b: Path, tmp_path: Path) -> None:
    options = SliceOptions(skip_layers=tuple(range(20, 35)), feed_forward=512)
    found = logits(slice_model(e4b, tmp_path / "sliced.gguf", options).path)
    assert np.isfinite(found).all()


def with_metadata(path: Path, changes: dict[str, Any]) -> Path:
    header = read_header(path)

    def pieces_of(index: int) -> Any:
        return lambda: (piece.data for piece in read_pieces(header, header.tensors[index]))

    tensors = [
        NewTensor(tensor.name, tensor.shape, tensor.type, pieces_of(index))
        for index, tensor in enumerate(header.tensors)
    ]
    changed = path.with_name("changed.gguf")
    write_gguf(changed, {**raw_metadata(header), **changes}, tensors, force=False, smaller="")
    return changed
