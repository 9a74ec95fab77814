"""`edge-runtime diff`: errors worked out by hand, the worst tensor first."""

from __future__ import annotations

import json
import math
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest
from edge_tools import tensor_data
from edge_tools.dequantize import dequantize
from edge_tools.diff import Difference, TensorError, diff_models
from edge_tools.synth.blocks import random_blocks
from numpy.typing import NDArray
from support.builders import RawTensor, Typed, gguf_bytes, tiny_llama_gguf

from edge_runtime.cli.command_line import main
from edge_runtime.errors import ModelUnsupported
from edge_runtime.gguf.types import GgmlType

Capture = pytest.CaptureFixture[str]
Tensors = dict[str, "NDArray[np.float32] | RawTensor"]
UINT32, UINT64, INT8 = 4, 10, 1
LLAMA = {"general.architecture": "llama"}


def write(path: Path, tensors: Tensors, metadata: dict[str, object] | None = None) -> Path:
    path.write_bytes(gguf_bytes({**LLAMA, **(metadata or {})}, tensors))
    return path


def quantized(values: NDArray[np.float32], kind: GgmlType) -> RawTensor:
    raw = gguf.quants.quantize(values, gguf.GGMLQuantizationType(int(kind)))
    return RawTensor(values.shape[::-1], int(kind), raw.tobytes())


def compared(folder: Path, a: Tensors, b: Tensors) -> Difference:
    return diff_models(write(folder / "a.gguf", a), write(folder / "b.gguf", b))


def error_of(folder: Path, a: list[float], b: list[float]) -> TensorError:
    one, other = np.array([a], np.float32), np.array([b], np.float32)
    (change,) = compared(folder, {"w": one}, {"w": other}).tensors
    assert change.error is not None
    return change.error


def test_a_copy_is_equal(tmp_path: Path, capsys: Capture) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.gguf").write_bytes(tiny_llama_gguf())
    command = ["diff", str(tmp_path / "a.gguf"), str(tmp_path / "b.gguf")]
    assert main(command) == 0
    assert capsys.readouterr().out == "differ: 0 metadata keys, 0 of 20 tensors\n"
    assert main([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["equal"], found["equal_tensors"], found["tensors"]) == (True, 20, [])


def test_the_numbers_are_those_worked_out_by_hand(tmp_path: Path) -> None:
    """A is (1, 2, 2, 4), of length 5; B differs by 1 in one of 4 weights, and has length 6."""
    error = error_of(tmp_path, [1, 2, 2, 4], [1, 3, 1, 5])
    assert error.max_abs == 1
    assert error.rms == pytest.approx(math.sqrt(3 / 4))
    assert error.relative_rms == pytest.approx(math.sqrt(3) / 5)
    assert error.cosine == pytest.approx((1 + 6 + 2 + 20) / (5 * 6))
    assert error.not_finite == 0


def test_zeros_have_no_direction_and_no_relative_error(tmp_path: Path) -> None:
    error = error_of(tmp_path, [0, 0], [3, 4])
    assert (error.max_abs, error.relative_rms, error.cosine) == (4, math.inf, 0)
    assert error_of(tmp_path, [3, 4], [0, 0]).relative_rms == 1
    assert error.as_json()["relative_rms"] == "inf"


def test_what_is_no_number_is_counted_and_left_out(tmp_path: Path) -> None:
    error = error_of(tmp_path, [1, 2, 3, np.nan], [1, np.inf, 4, np.nan])
    assert (error.not_finite, error.max_abs) == (2, 1)
    assert error.rms == pytest.approx(math.sqrt(1 / 2))


def test_the_worst_comes_first(tmp_path: Path, rng: np.random.Generator) -> None:
    weights = rng.standard_normal((8, 256), np.float32)
    broken = weights.copy()
    broken[0, 0] = np.nan
    names = ("a_f16", "b_q4", "c_q8", "d_same", "e_nan", "f_shape", "g_gone")
    a: Tensors = dict.fromkeys(names, weights)
    b: Tensors = {
        "a_f16": RawTensor((256, 8), int(GgmlType.F16), weights.astype("<f2").tobytes()),
        "b_q4": quantized(weights, GgmlType.Q4_0),
        "c_q8": quantized(weights, GgmlType.Q8_0),
        "d_same": weights,
        "e_nan": broken,
        "f_shape": weights.reshape(16, 128),
        "h_new": weights,
    }
    difference = compared(tmp_path, a, b)
    found = [(change.name, change.kind) for change in difference.tensors]
    assert sorted(found[:3]) == [("f_shape", "shape"), ("g_gone", "removed"), ("h_new", "added")]
    assert found[3:] == [("e_nan", "values"), ("b_q4", "type"), ("c_q8", "type"), ("a_f16", "type")]
    assert difference.equal_tensors == 1
    errors = {change.name: change.error for change in difference.tensors if change.error}
    # The step of a block is its largest weight over 8 or 127; half of it at most is lost.
    assert 0.05 < errors["b_q4"].relative_rms < 0.15 and 0.98 < errors["b_q4"].cosine < 0.999
    assert 0.002 < errors["c_q8"].relative_rms < 0.01
    assert errors["a_f16"].relative_rms < 0.0005


def test_errors_do_not_depend_on_the_pieces(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two types whose blocks are of 32 and of 256 weights, in step."""
    weights = rng.standard_normal((64, 1024), np.float32)
    a = {"w": quantized(weights, GgmlType.Q8_0)}
    raw = random_blocks(rng, GgmlType.Q6_K, weights.size // 256)
    b = {"w": RawTensor((1024, 64), int(GgmlType.Q6_K), raw)}
    whole = compared(tmp_path, a, b).tensors[0].error
    monkeypatch.setattr(tensor_data, "PIECE_ELEMENTS", 1536)  # does not divide it
    pieces = compared(tmp_path, a, b).tensors[0].error
    assert whole is not None and pieces is not None
    assert pieces.max_abs == whole.max_abs > 0
    assert (pieces.rms, pieces.cosine) == pytest.approx((whole.rms, whole.cosine))
    full = [
        gguf.quants.dequantize(np.frombuffer(data, np.uint8), gguf.GGMLQuantizationType(int(kind)))
        for data, kind in ((a["w"].data, GgmlType.Q8_0), (raw, GgmlType.Q6_K))
    ]
    assert whole.rms == pytest.approx(np.sqrt(np.mean((full[1] - full[0]).astype(np.float64) ** 2)))


@pytest.mark.parametrize("kind", GgmlType, ids=lambda kind: kind.name)
def test_every_type_is_taken_apart_or_refused(kind: GgmlType) -> None:
    piece = np.zeros(4 * kind.block_bytes, np.uint8)
    if kind.name in ("Q8_1", "Q8_K"):  # llama.cpp calculates with these, and stores none
        with pytest.raises(ModelUnsupported, match=kind.name):
            dequantize(piece, kind)
        return
    weights = dequantize(piece, kind)
    assert (weights.shape, weights.dtype) == ((4 * kind.block_elements,), np.float32)


def test_a_type_that_cannot_be_taken_apart_still_differs(tmp_path: Path, capsys: Capture) -> None:
    a = write(tmp_path / "a.gguf", {"w": RawTensor((32, 1), int(GgmlType.Q8_1), bytes(36))})
    b = write(tmp_path / "b.gguf", {"w": RawTensor((32, 1), int(GgmlType.Q8_1), bytes(35) + b"\1")})
    assert main(["diff", str(a), str(a)]) == 0
    assert main(["diff", str(a), str(b)]) == 1
    assert "llama.cpp cannot read weights of Q8_1" in capsys.readouterr().out
    assert diff_models(a, b).tensors[0].error is None


def test_metadata_is_compared_key_by_key(tmp_path: Path, capsys: Capture) -> None:
    a = write(
        tmp_path / "a.gguf",
        {},
        {
            "same": float("nan"),
            "gone": 1,
            "number": 5,
            "type": 5,
            "tokens": ["a", "b", "c", "d", "e", "f"],
            "scores": [1.0, 2.0, 3.0],
            "kind": Typed(INT8, [1, 2]),
            "sign": Typed(UINT32, [1, 2]),  # the same bytes as INT32
        },
    )
    b = write(
        tmp_path / "b.gguf",
        {},
        {
            "kind": [1, 2],
            "sign": [1, 2],
            "same": float("nan"),
            "number": 6,
            "type": "5",
            "tokens": ["a", "b", "c", "d", "e", "g"],
            "scores": [1.0, 2.0, 3.0, 4.0],
            "new": True,
        },
    )
    found = {change.key: (change.before, change.after) for change in diff_models(a, b).metadata}
    assert found == {
        "gone": ("1", None),
        "kind": ("[1, 2] (int8)", "[1, 2] (int32)"),
        "new": (None, "true"),
        "number": ("5", "6"),
        "scores": ("3 items", "[3] 4.0"),
        "sign": ("[1, 2] (uint32)", "[1, 2] (int32)"),
        "tokens": ("[5] 'f'", "[5] 'g'"),
        "type": ("5 (int)", "5 (str)"),
    }
    assert main(["diff", str(a), str(b)]) == 1
    out = capsys.readouterr().out
    assert out.startswith("- gone: 1\n~ kind\n    [1, 2] (int8)\n -> [1, 2] (int32)\n+ new: true\n")
    assert out.endswith("differ: 8 metadata keys, 0 of 0 tensors\n")


def test_long_texts_are_shown_where_they_part(tmp_path: Path, capsys: Capture) -> None:
    a = write(tmp_path / "a.gguf", {}, {"tokenizer.chat_template": "x" * 3000 + "{{ old }}"})
    b = write(tmp_path / "b.gguf", {}, {"tokenizer.chat_template": "x" * 3000 + "{{ new }}"})
    assert main(["diff", str(a), str(b)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:3] == [
        f"    [2983] …{'x' * 17}{{{{ old }}}}",
        f" -> [2983] …{'x' * 17}{{{{ new }}}}",
    ]


def test_an_integer_of_another_width_is_the_same_number(tmp_path: Path) -> None:
    a = write(tmp_path / "a.gguf", {}, {"n": 5})
    b = write(tmp_path / "b.gguf", {}, {"n": Typed(UINT64, 5)})
    assert diff_models(a, b).is_equal


def test_the_table_fits_80_columns_and_has_no_control_characters(
    tmp_path: Path, capsys: Capture, rng: np.random.Generator
) -> None:
    weights = rng.standard_normal((4, 256), np.float32)
    nasty = "\x1b[2J\x07blk." + "x" * 40
    a = write(tmp_path / "a.gguf", {nasty: weights, "w": weights}, {"k\x1b[2J": "v\x1b[2J" * 40})
    b = write(
        tmp_path / "b.gguf",
        {nasty: quantized(weights, GgmlType.Q4_0), "\x1bnew" + "y" * 50: weights},
        {"k\x1b[2J": "w\x1b[2J" * 40},
    )
    assert main(["diff", str(a), str(b)]) == 1
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert not set(out) & {"\x1b", "\x07"}
    assert "F32>Q4_0" in out and "only in A: F32 of 256 x 4" in out and "only in B" in out


def test_json_is_json_whatever_the_numbers(tmp_path: Path, capsys: Capture) -> None:
    a = write(tmp_path / "a.gguf", {"w": np.zeros((1, 32), np.float32)})
    b = write(tmp_path / "b.gguf", {"w": np.full((1, 32), np.nan, np.float32)})

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert main(["diff", str(a), str(b), "--json"]) == 1
    found = json.loads(capsys.readouterr().out, parse_constant=refuse)
    (row,) = found["tensors"]
    assert (row["kind"], row["error"]["not_finite"], found["equal"]) == ("values", 32, False)


def test_a_missing_file_is_a_model_error(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path / "a.gguf", {})
    assert main(["diff", str(path), "nowhere/b.gguf"]) == 3
    assert "does not exist" in capsys.readouterr().err


def test_long_tensors_take_little_memory(tmp_path: Path) -> None:
    """40 million weights in F16, 160 MB once they are numbers, against 43 MB in Q8_0: holes, so no disk."""
    shape = (65_536, 640)
    for name, kind, size_bytes in (("a", GgmlType.F16, 2), ("b", GgmlType.Q8_0, 34 / 32)):
        header = gguf_bytes(LLAMA, {"w": RawTensor(shape, int(kind))})
        with (tmp_path / f"{name}.gguf").open("wb") as file:
            file.write(header)
            file.truncate(len(header) + int(math.prod(shape) * size_bytes))
    tracemalloc.start()
    try:
        difference = diff_models(tmp_path / "a.gguf", tmp_path / "b.gguf")
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert difference.tensors[0].error == TensorError(0, 0, 0, 0)
    assert peak_bytes < 80_000_000
