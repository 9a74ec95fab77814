"""Blocks that ggml's functions make are those that numpy makes, whichever function it was."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from edge_tools.convert import convert, encode, native_blocks
from edge_tools.convert.blocks import BlockQuantizer
from edge_tools.convert.native_blocks import NativeQ8, native_quantizer
from support.tiny_checkpoint import write_llama

from edge_runtime.backends.llama import block_quantizer, ggml_tensor
from edge_runtime.errors import EngineUnavailable
from edge_runtime.gguf.types import GgmlType

KINDS = [GgmlType.Q8_0, GgmlType.Q4_0]
FINITE = np.arange(0x7F80, dtype=np.uint16)  # every magnitude, as BF16


def quantized_by(quantizer: object, bits: np.ndarray, kind: GgmlType) -> np.ndarray:
    out = np.zeros((bits.size // 32, kind.block_bytes), np.uint8)
    with np.errstate(all="ignore"):
        quantizer.quantize(np.ascontiguousarray(bits).reshape(-1), out.reshape(-1))  # type: ignore[attr-defined]
    return out


def beside_every_magnitude(rng: np.random.Generator) -> np.ndarray:
    """(blocks, 32) the largest number first: its half, quarter, ..., and others of any mantissa below it."""
    halves = FINITE[:, np.newaxis].astype(np.int64) - np.arange(10) * 128
    others = FINITE[:, np.newaxis] - rng.integers(0, 1200, (FINITE.size, 22))
    bits = np.maximum(np.concatenate([halves, others], axis=1), 0).astype(np.uint16)
    bits[:, 1:] |= rng.integers(0, 2, (FINITE.size, 31), np.uint16) << 15
    return bits


@pytest.mark.parametrize("kind", KINDS)
def test_blocks_with_any_largest_number_are_those_that_numpy_makes(
    kind: GgmlType, rng: np.random.Generator
) -> None:
    bits = beside_every_magnitude(rng)
    found = quantized_by(native_quantizer(kind, bits.size), bits, kind)
    expected = quantized_by(BlockQuantizer(kind, bits.size), bits, kind)
    np.testing.assert_array_equal(found, expected)


def test_every_quotient_of_two_mantissas_is_rounded_as_gguf_py_does() -> None:
    bits = np.concatenate([native_blocks._every_quotient(0x4200 | mantissa) for mantissa in range(128)])
    found = quantized_by(NativeQ8(bits.size), bits, GgmlType.Q8_0)
    numbers = (bits.astype(np.uint32) << 16).view(np.float32)
    expected = gguf.quants.quantize(numbers, gguf.GGMLQuantizationType.Q8_0)
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


def test_what_a_cpu_makes_of_activations_would_not_do(rng: np.random.Generator) -> None:
    """Else there would be no need to look which blocks it rounds otherwise."""
    bits = beside_every_magnitude(rng)[0x3F80:0x4000]  # one of each mantissa
    numbers = (bits.astype(np.uint32) << 16).view(np.float32).reshape(-1)
    out = np.zeros((2, len(bits) * 34), np.uint8)
    block_quantizer.activation_quantizer()(numbers, out[0])
    block_quantizer.reference_quantizer(GgmlType.Q8_0)(numbers, out[1])
    assert (out[0] != out[1]).any()


@pytest.mark.parametrize("bad", [0x7F80, 0xFF80, 0x7FC0, 0xFFFF])
def test_what_is_not_finite_is_left_to_the_reference(bad: int, rng: np.random.Generator) -> None:
    bits = beside_every_magnitude(rng)[0x3F00:0x3F10]
    bits[3, 7] = bad
    found = quantized_by(NativeQ8(bits.size), bits, GgmlType.Q8_0)
    expected = np.zeros_like(found)
    numbers = (bits.astype(np.uint32) << 16).view(np.float32).reshape(-1)
    block_quantizer.reference_quantizer(GgmlType.Q8_0)(numbers, expected.reshape(-1))
    np.testing.assert_array_equal(found, expected)


@pytest.fixture
def without_llama_cpp(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fail(*_: object) -> None:
        raise EngineUnavailable("not here", hint="")

    monkeypatch.setattr(native_blocks, "reference_quantizer", fail)
    yield


@pytest.mark.parametrize("kind", KINDS)
def test_without_llama_cpp_numpy_makes_the_same_file(
    kind: GgmlType, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    folder = write_llama(tmp_path / "model")
    native = convert(folder, tmp_path / "a.gguf", kind.name.lower()).path.read_bytes()
    request.getfixturevalue("without_llama_cpp")
    assert isinstance(encode._block_quantizer(kind), BlockQuantizer)
    assert convert(folder, tmp_path / "b.gguf", kind.name.lower()).path.read_bytes() == native


@pytest.mark.parametrize(
    "others", ["[lambda: Encoder(GgmlType.Q4_0)]", "[native]"], ids=["encoder", "native"]
)
def test_threads_that_begin_at_once_load_llama_cpp_once(others: str) -> None:
    """Two that both found it missing would both take it away again: the second got a KeyError."""
    program = f"""
import importlib.util, time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from edge_runtime.gguf.types import GgmlType
from edge_runtime.backends.llama.library import native
from edge_tools.convert.encode import Encoder
find_spec, imports = importlib.util.find_spec, []
def slowly(name):
    imports.append(name)
    time.sleep(0.1)  # time for the other threads
    return find_spec(name)
importlib.util.find_spec = slowly
makers = [lambda: Encoder(GgmlType.Q8_0), *{others}]
barrier = Barrier(len(makers))
list(ThreadPoolExecutor(len(makers)).map(lambda make: (barrier.wait(), make()), makers))
assert imports == ["llama_cpp"], imports
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


@pytest.mark.parametrize(("numbers", "size_bytes"), [(32, 33), (32, 35), (33, 34), (0, 34)])
def test_room_that_does_not_fit_is_refused(numbers: int, size_bytes: int) -> None:
    quantize = block_quantizer.reference_quantizer(GgmlType.Q8_0)
    with pytest.raises(ValueError, match=f"{numbers} numbers do not fill {size_bytes} bytes of Q8_0"):
        quantize(np.zeros(numbers, np.float32), np.zeros(size_bytes, np.uint8))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_nothing(kind: GgmlType) -> None:
    block_quantizer.reference_quantizer(kind)(np.zeros(0, np.float32), np.zeros(0, np.uint8))


def test_another_build_of_the_type_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(GgmlType.Q4_0, "block_bytes", 20)
    with pytest.raises(EngineUnavailable, match="another Q4_0"):
        block_quantizer.reference_quantizer(GgmlType.Q4_0)


def test_a_function_that_the_library_does_not_have_is_said_to_be_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def without_it(name: str, *types: object) -> object:
        return ggml_tensor.ggml_function("no_" + name, *types)

    monkeypatch.setattr(block_quantizer, "ggml_function", without_it)
    with pytest.raises(EngineUnavailable, match="has no no_quantize_row_q8_0"):
        block_quantizer.activation_quantizer()
