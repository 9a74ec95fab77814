"""Numbers on their way from a checkpoint's type into a GGUF file's."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
from edge_tools.convert.encode import Encoder, quantized

from edge_runtime.gguf.types import GgmlType


@pytest.mark.parametrize("kind", [GgmlType.BF16, GgmlType.F16, GgmlType.Q8_0, GgmlType.Q4_0])
def test_quantizing_is_what_gguf_py_does(kind: GgmlType) -> None:
    rng = np.random.default_rng(11)
    rows = np.concatenate(
        [
            rng.standard_normal((400, 64), np.float32) * np.float32(scale)
            for scale in (0, 1e-42, 1e-8, 0.02, 1, 300, 1e30)
        ]
    )
    rows += np.float32(0)  # without any -0.0: see the next test but one
    rows[5] = np.arange(64) - 31.5  # ties
    rows[6, ::2] = 127
    rows[6, 1::2] = 0.5
    rows[7] = np.tile([-8, 8], 32)
    with np.errstate(all="ignore"):
        expected = gguf.quants.quantize(rows, gguf.GGMLQuantizationType(int(kind)))
    assert bytes(quantized(rows, kind)) == np.ascontiguousarray(expected).tobytes()


def test_a_nan_stays_one_in_bf16() -> None:
    numbers = np.array([0x7F800001, 0xFFFFFFFF, 0x7F800000], np.uint32).view(np.float32)
    found = np.frombuffer(quantized(numbers, GgmlType.BF16), "<u2")
    assert found.tolist() == [0x7FC0, 0xFFFF, 0x7F80]


@pytest.mark.parametrize(("kind", "scale"), [(GgmlType.Q8_0, 0x0000), (GgmlType.Q4_0, 0x8000)])
def test_zeros_of_either_sign_have_the_scale_that_ggml_gives_them(kind: GgmlType, scale: int) -> None:
    """ggml looks for what is larger than 0.0, and divides that by 127 or by -8; gguf-py keeps a -0.0."""
    numbers = np.array([-0.0, 0.0] * 32, np.float32)
    blocks = np.frombuffer(quantized(numbers, kind), np.uint8).reshape(2, -1)
    assert blocks[:, :2].copy().view("<u2").ravel().tolist() == [scale, scale]


@pytest.mark.parametrize("kind", [GgmlType.Q8_0, GgmlType.Q4_0])
def test_every_number_half_way_between_two_steps_is_rounded_as_gguf_py_does(kind: GgmlType) -> None:
    halves = np.arange(-126.5, 127, dtype=np.float32)
    near = [np.nextafter(halves, np.float32(end)) for end in (-1e9, 1e9)]
    rows = np.concatenate([halves, *near])[: 24 * 31].reshape(24, 31)
    rows = np.concatenate([rows, np.full((24, 1), 127, np.float32)], axis=1)  # one step is 1
    expected = gguf.quants.quantize(rows, gguf.GGMLQuantizationType(int(kind)))
    assert bytes(quantized(rows, kind)) == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("kind", [GgmlType.BF16, GgmlType.F16, GgmlType.F32, GgmlType.Q8_0, GgmlType.Q4_0])
def test_an_encoder_that_was_used_before_makes_the_same(kind: GgmlType, rng: np.random.Generator) -> None:
    encoder = Encoder(kind)
    for count in (96, 32, 64):
        stored = rng.standard_normal(count).astype("<f8")
        assert bytes(encoder.encode(stored, "F64")) == bytes(quantized(stored.astype(np.float32), kind))
