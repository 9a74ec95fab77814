"""ggml's own functions turn weights into numbers: the same numbers as the gguf package, and safely."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import pytest
from support.places import ROOT

from edge_runtime.backends.llama import weight_codec
from edge_runtime.backends.llama.weight_codec import check_codec, to_float32
from edge_runtime.errors import EngineUnavailable, ModelFileInvalid, ModelUnsupported
from edge_runtime.gguf.types import GgmlType

INTEGERS = [GgmlType.I8, GgmlType.I16, GgmlType.I32, GgmlType.I64]
REFUSED = [*INTEGERS, GgmlType.F32, GgmlType.F64, GgmlType.Q8_1, GgmlType.Q8_K]
OURS_ALONE = [GgmlType.Q1_0, GgmlType.Q2_0]  # gguf 0.19 does not know how to
ONE16 = np.frombuffer(b"\x00\x3c", np.uint8)
FIELDS = weight_codec._TypeTraits._fields_


@pytest.mark.parametrize(
    "kind", [kind for kind in GgmlType if kind not in REFUSED + OURS_ALONE], ids=lambda kind: kind.name
)
def test_numbers_are_those_of_the_gguf_package(kind: GgmlType, rng: np.random.Generator) -> None:
    """Bit for bit, for blocks of random bytes: NaN and infinity among their scales too."""
    blocks = rng.integers(0, 256, 2000 * kind.block_bytes, np.uint8)
    with np.errstate(all="ignore"):
        expected = gguf.quants.dequantize(blocks.reshape(1, -1), gguf.GGMLQuantizationType(int(kind)))
    found = to_float32(blocks, kind)
    assert (found.shape, found.dtype) == ((2000 * kind.block_elements,), np.float32)
    np.testing.assert_array_equal(found, expected.reshape(-1))
    assert np.isfinite(found).mean() > 0.9


def test_one_bit_is_a_sign() -> None:
    bits = np.arange(16, dtype=np.uint8)  # the lowest bit of a byte comes first
    expected = [1 if byte >> place & 1 else -1 for byte in range(16) for place in range(8)]
    assert to_float32(np.concatenate([ONE16, bits]), GgmlType.Q1_0).tolist() == expected


def test_two_bits_count_from_minus_one() -> None:
    block = np.concatenate([ONE16, np.full(16, 0b11_10_01_00, np.uint8)])
    assert to_float32(block, GgmlType.Q2_0).tolist() == [-1, 0, 1, 2] * 16


@pytest.mark.parametrize("kind", REFUSED, ids=lambda kind: kind.name)
def test_types_that_ggml_does_not_convert_are_refused(kind: GgmlType) -> None:
    with pytest.raises(ModelUnsupported, match=f"cannot read weights of {kind.name}"):
        to_float32(np.zeros(kind.block_bytes, np.uint8), kind)


@pytest.mark.parametrize("size_bytes", [1, 17, 19, 35])
def test_a_part_of_a_block_is_refused(size_bytes: int) -> None:
    with pytest.raises(ModelFileInvalid, match=f"Q4_0 is stored in blocks of 18 bytes, found {size_bytes}"):
        to_float32(np.zeros(size_bytes, np.uint8), GgmlType.Q4_0)


def test_nothing_is_nothing_and_gaps_in_memory_do_not_matter(rng: np.random.Generator) -> None:
    assert to_float32(np.zeros(0, np.uint8), GgmlType.Q4_0).shape == (0,)
    wide = rng.integers(0, 60, (18, 2), np.uint8)
    found, expected = to_float32(wide[:, 0], GgmlType.Q4_0), to_float32(wide[:, 0].copy(), GgmlType.Q4_0)
    np.testing.assert_array_equal(found, expected)


# --- other builds --------------------------------------------------------------------------


@pytest.fixture
def read_anew() -> Iterator[None]:
    weight_codec._converters.cache_clear()
    yield
    weight_codec._converters.cache_clear()


def swapped(one: int, other: int) -> list[tuple[str, object]]:
    fields = list(FIELDS)
    fields[one], fields[other] = fields[other], fields[one]
    return fields


@pytest.mark.parametrize(
    "fields",
    [
        swapped(1, 3),  # elements and bytes of a block
        swapped(5, 6),  # to and from numbers
        [*FIELDS[:5], ("more", ctypes.c_int64), *FIELDS[5:]],
        [*FIELDS, ("more", ctypes.c_int64)],
        FIELDS[:-1],
    ],
    ids=["sizes", "functions", "inserted", "appended", "removed"],
)
@pytest.mark.usefixtures("read_anew")
def test_a_table_of_another_shape_is_not_believed(
    fields: list[tuple[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = type("Other", (ctypes.Structure,), {"_fields_": fields})
    monkeypatch.setattr(weight_codec, "_TypeTraits", other)
    with pytest.raises(EngineUnavailable, match="describes its types in another way"):
        check_codec()


@pytest.mark.usefixtures("read_anew")
def test_a_type_that_a_build_does_not_have_is_refused_and_the_others_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(GgmlType.NVFP4, "block_bytes", 40)  # as if ggml said otherwise
    with pytest.raises(ModelUnsupported, match="NVFP4"):
        to_float32(np.zeros(40, np.uint8), GgmlType.NVFP4)
    assert to_float32(np.zeros(18, np.uint8), GgmlType.Q4_0).tolist() == [0] * 32


def test_without_llama_cpp_the_error_names_the_set_up(tmp_path: Path) -> None:
    """In a process of its own: this one has loaded it."""
    code = (
        "import sys; sys.modules['llama_cpp'] = None\n"
        "from edge_runtime.cli.command_line import main\nsys.exit(main(sys.argv[1:]))"
    )
    (tmp_path / "a.gguf").write_bytes(b"GGUF")
    command = [sys.executable, "-c", code, "diff", "a.gguf", "a.gguf"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tools")))}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (6, "")
    assert "llama-cpp-python does not load" in done.stderr and "scripts/setup.sh" in done.stderr
