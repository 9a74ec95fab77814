"""Scales and values that are no numbers are found where the engine would meet them."""

from __future__ import annotations

import struct

import gguf
import numpy as np
import pytest
from edge_tools.verify.numbers import NumberScan
from numpy.typing import NDArray

from edge_runtime.gguf.types import GgmlType

Capture = pytest.CaptureFixture[str]
NAN16, INF16, ONE16 = b"\x00\x7e", b"\x00\xfc", b"\x00\x3c"
NAN32 = b"\x00\x00\xc0\x7f"
DOWN = "blk.1.ffn_down.weight"


# Of each type: where a half-precision number stands in a block. Compared below with what
# the gguf package makes of a block that is damaged there.
HALVES = {
    GgmlType.Q4_0: (0,),
    GgmlType.Q4_1: (0, 2),
    GgmlType.Q5_0: (0,),
    GgmlType.Q5_1: (0, 2),
    GgmlType.Q8_0: (0,),
    GgmlType.Q2_K: (80, 82),
    GgmlType.Q3_K: (108,),
    GgmlType.Q4_K: (0, 2),
    GgmlType.Q5_K: (0, 2),
    GgmlType.Q6_K: (208,),
    GgmlType.IQ2_XXS: (0,),
    GgmlType.IQ2_XS: (0,),
    GgmlType.IQ2_S: (0,),
    GgmlType.IQ3_XXS: (0,),
    GgmlType.IQ3_S: (0,),
    GgmlType.IQ1_S: (0,),
    GgmlType.IQ4_NL: (0,),
    GgmlType.IQ4_XS: (0,),
    GgmlType.TQ1_0: (52,),
    GgmlType.TQ2_0: (64,),
    GgmlType.F16: (0,),
}


def scanned(kind: GgmlType, blocks: NDArray[np.uint8]) -> NumberScan:
    scan = NumberScan(kind)
    half = len(blocks) // 2  # in two pieces
    scan.add(blocks[:half].reshape(-1))
    scan.add(blocks[half:].reshape(-1))
    return scan


def finite_weights(kind: GgmlType, blocks: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(blocks, weights) as the gguf package sees them."""
    with np.errstate(all="ignore"):
        weights = gguf.quants.dequantize(blocks.reshape(1, -1), gguf.GGMLQuantizationType(int(kind)))
    return np.isfinite(weights).reshape(len(blocks), -1)


@pytest.mark.parametrize("kind", HALVES, ids=lambda kind: kind.name)
@pytest.mark.parametrize(("bits", "name"), [(NAN16, "NaN"), (INF16, "infinity"), (b"\x00\x7c", "infinity")])
def test_a_bad_scale_is_found_where_the_engine_would_meet_it(
    kind: GgmlType, bits: bytes, name: str, rng: np.random.Generator
) -> None:
    for place in HALVES[kind]:
        blocks = rng.integers(0, 256, (8, kind.block_bytes), np.uint8)
        for at in HALVES[kind]:
            blocks[:, at : at + 2] = list(ONE16)
        assert finite_weights(kind, blocks).all()
        assert scanned(kind, blocks).bad_blocks == 0
        blocks[5, place : place + 2] = list(bits)
        assert not finite_weights(kind, blocks)[5].all()
        scan = scanned(kind, blocks)
        assert (scan.blocks, scan.bad_blocks, scan.first_bad) == (8, 1, name)
        assert scan.first_bad_offset_bytes == 5 * kind.block_bytes + place


@pytest.mark.parametrize("kind", HALVES, ids=lambda kind: kind.name)
def test_a_block_is_zero_when_all_its_scales_are(kind: GgmlType, rng: np.random.Generator) -> None:
    blocks = rng.integers(0, 256, (8, kind.block_bytes), np.uint8)
    for place in HALVES[kind]:
        blocks[:, place : place + 2] = list(ONE16)
    for number, place in enumerate(HALVES[kind]):
        assert scanned(kind, blocks).zero_blocks == 0
        blocks[6, place : place + 2] = [0, 0x80 * number]  # minus zero is zero too
    scan = scanned(kind, blocks)
    assert (scan.zero_blocks, scan.first_zero_offset_bytes) == (1, 6 * kind.block_bytes)


def test_the_scale_of_iq1_m_is_spread_over_four_words() -> None:
    blocks = np.zeros((2, GgmlType.IQ1_M.block_bytes), np.uint8)
    blocks[1, 49::2] = [0xF0, 0xF0, 0xF0, 0x70]  # 0x7FFF: the upper 4 bits of each, the lowest first
    blocks[0, 49::2] = [0x00, 0x00, 0xC0, 0x30]  # 0x3C00: one
    assert finite_weights(GgmlType.IQ1_M, blocks).tolist() == [[True] * 256, [False] * 256]
    scan = scanned(GgmlType.IQ1_M, blocks)
    assert (scan.bad_blocks, scan.zero_blocks, scan.first_bad_offset_bytes) == (1, 0, 56 + 48)


@pytest.mark.parametrize(
    ("kind", "good", "bad", "name"),
    [
        (GgmlType.F32, struct.pack("<f", 1), NAN32, "NaN"),
        (GgmlType.F32, struct.pack("<f", -3e38), struct.pack("<f", -np.inf), "infinity"),
        (GgmlType.BF16, b"\x80\x3f", b"\x81\x7f", "NaN"),
        (GgmlType.BF16, b"\x80\x3f", b"\x80\xff", "infinity"),
        (GgmlType.F64, struct.pack("<d", 1), struct.pack("<d", np.nan), "NaN"),
        (GgmlType.MXFP4, bytes([127] + 16 * [9]), bytes([255] + 16 * [9]), "NaN"),
        (GgmlType.Q1_0, ONE16 + bytes(16), NAN16 + bytes(16), "NaN"),
        (GgmlType.Q2_0, ONE16 + bytes(16), INF16 + bytes(16), "infinity"),
        (GgmlType.Q8_K, struct.pack("<f", 1) + bytes(288), NAN32 + bytes(288), "NaN"),
    ],
)
def test_other_numbers_are_looked_at_too(kind: GgmlType, good: bytes, bad: bytes, name: str) -> None:
    blocks = np.frombuffer(good * 3 + bad, np.uint8).reshape(4, -1)
    scan = scanned(kind, blocks)
    assert (scan.blocks, scan.bad_blocks, scan.first_bad) == (4, 1, name)
    assert (scan.first_bad_offset_bytes, scan.zero_blocks) == (3 * kind.block_bytes, 0)


def test_integers_and_the_scales_of_nvfp4_are_always_good() -> None:
    for kind in (GgmlType.I32, GgmlType.NVFP4):
        scan = scanned(kind, np.full((4, kind.block_bytes), 0xFF, np.uint8))
        assert (scan.blocks, scan.bad_blocks, scan.zero_blocks) == (4, 0, 0)
