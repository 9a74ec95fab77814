"""`edge-runtime verify`: what is wrong with a file is found and named, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gguf
import numpy as np
import pytest
import tiny_model
from builders import RawTensor, gguf_bytes, tiny_llama_gguf
from numpy.typing import NDArray

from edge_runtime.cli import main
from edge_runtime.errors import ModelFileInvalid, OptionInvalid
from edge_runtime.gguf_header import GgufHeader, read_header
from edge_runtime.gguf_types import GgmlType, TensorInfo
from edge_runtime.progress import Advance, QuietProgress
from edge_runtime.tools import tensor_data
from edge_runtime.tools.synth import QUANTIZATIONS, Quantizations, scaled, shape_named, write_model
from edge_runtime.tools.tensor_data import read_pieces
from edge_runtime.tools.verify import Problem, verify_model
from edge_runtime.tools.verify.numbers import NumberScan

Capture = pytest.CaptureFixture[str]
NAN16, INF16, ONE16 = b"\x00\x7e", b"\x00\xfc", b"\x00\x3c"
NAN32 = b"\x00\x00\xc0\x7f"
DOWN = "blk.1.ffn_down.weight"


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    return path


def quantized(path: Path, kind: GgmlType = GgmlType.Q4_0, shape: str = "smollm2-135m") -> Path:
    """A sound model of a few megabytes, its matrices of one type."""
    tokenizer = path.with_name("tokenizer.gguf")
    tokenizer.write_bytes(tiny_llama_gguf())
    small = scaled(shape_named(shape), 0.01).with_values({}, vocabulary_tokens=400)
    return write_model(path, small, Quantizations(*[kind] * 5), tokenizer=tokenizer).path


def tensor(path: Path, name: str) -> TensorInfo:
    return next(tensor for tensor in read_header(path).tensors if tensor.name == name)


def overwrite(path: Path, at: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def copied(path: Path) -> Path:
    """The same file again."""
    other = path.with_name("copy.gguf")
    other.write_bytes(path.read_bytes())
    return other


def lines(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


# --- sound files -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", QUANTIZATIONS)
def test_a_sound_file_is_good(kind: GgmlType, tmp_path: Path) -> None:
    report = verify_model(quantized(tmp_path / "model.gguf", kind))
    assert (report.problems, report.warnings) == ((), ())
    assert report.checked == ("structure", f"numbers ({len(report.tensors)} tensors)", report.checked[2])
    assert report.checked[2] == "tokenizer (11 texts there and back)"


def test_the_command_says_so(tiny: Path, capsys: Capture) -> None:
    assert main(["verify", str(tiny)]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("tiny.gguf: good; checked: structure, numbers (20 tensors), tokenizer")
    assert err == ""


def test_every_shape_of_ours_is_good(tmp_path: Path) -> None:
    for shape in ("gemma-3n-e2b", "gemma-4-e2b", "qwen2.5-0.5b"):
        report = verify_model(quantized(tmp_path / f"{shape}.gguf", shape=shape))
        assert report.problems == (), shape


# --- where the numbers of a block stand ---------------------------------------------------

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


# --- damaged files ------------------------------------------------------------------------


def test_a_scale_that_is_no_number_is_named_with_its_place(tmp_path: Path, capsys: Capture) -> None:
    path = quantized(tmp_path / "model.gguf")
    name = "blk.0.attn_q.weight"
    at = tensor(path, name).offset_bytes + 3 * 18  # the fourth block
    overwrite(path, at, NAN16)
    assert main(["verify", str(path)]) == 3
    count = tensor(path, name).size_bytes // 18
    first, last = capsys.readouterr().out.splitlines()
    assert first == (
        f"problem: {name}, byte {at}: expected finite scales, found NaN (1 of {count} blocks are bad)"
    )
    assert last.startswith("model.gguf: 1 wrong; checked: structure")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_no_number_is_a_problem(tiny: Path, value: float) -> None:
    at = tensor(tiny, "output_norm.weight").offset_bytes + 4 * 31
    overwrite(tiny, at, struct.pack("<f", value))
    (problem,) = verify_model(tiny).problems
    assert (problem.where, problem.offset_bytes, problem.expected) == (
        "output_norm.weight",
        at,
        "finite values",
    )


def test_zero_blocks_are_a_warning(tmp_path: Path, capsys: Capture) -> None:
    path = quantized(tmp_path / "model.gguf")
    found = tensor(path, "blk.0.attn_q.weight")
    overwrite(path, found.offset_bytes + 5 * 18, bytes(18))
    assert main(["verify", str(path)]) == 0
    count = found.size_bytes // 18
    first = capsys.readouterr().out.splitlines()[0]
    assert first == (
        f"warning: blk.0.attn_q.weight, byte {found.offset_bytes + 5 * 18}: "
        f"expected scales other than zero, found zero in 1 of {count} blocks"
    )


@pytest.mark.parametrize("kind", [GgmlType.Q4_0, GgmlType.F16])
def test_a_matrix_of_zeros_is_a_problem(kind: GgmlType, tmp_path: Path) -> None:
    path = quantized(tmp_path / "model.gguf", kind)
    found = tensor(path, "blk.0.attn_q.weight")
    overwrite(path, found.offset_bytes, bytes(found.size_bytes))
    (problem,) = verify_model(path).problems
    assert (problem.where, problem.offset_bytes) == (found.name, found.offset_bytes)
    assert "zero in all" in problem.found


def test_zeros_where_they_do_no_harm_are_a_warning(tmp_path: Path) -> None:
    """Keys of a layer that reads another's cache, which converters make up; and a bias."""
    path = quantized(tmp_path / "model.gguf", shape="gemma-3n-e2b")
    layers = read_header(path).block_count
    for layer in (0, (layers or 0) - 1):
        found = tensor(path, f"blk.{layer}.attn_k.weight")
        overwrite(path, found.offset_bytes, bytes(found.size_bytes))
    report = verify_model(path)
    assert [problem.where for problem in report.problems] == ["blk.0.attn_k.weight"]
    assert [warning.where for warning in report.warnings] == [f"blk.{(layers or 0) - 1}.attn_k.weight"]
    path = quantized(tmp_path / "qwen.gguf", shape="qwen2.5-0.5b")
    found = tensor(path, "blk.0.attn_q.bias")
    overwrite(path, found.offset_bytes, bytes(found.size_bytes))
    report = verify_model(path)
    assert (report.problems, [warning.where for warning in report.warnings]) == ((), ["blk.0.attn_q.bias"])


def test_a_file_that_was_cut_is_a_problem_with_an_offset(tiny: Path, capsys: Capture) -> None:
    tiny.write_bytes(tiny.read_bytes()[:-40_000])
    assert main(["verify", str(tiny), "--json"]) == 3
    found = json.loads(capsys.readouterr().out)
    assert (found["good"], found["checked"], found["tensors"]) == (False, ["structure"], [])
    (problem,) = found["problems"]
    assert problem["where"] == "header" and problem["offset_bytes"] > 0
    assert problem["expected"].endswith("where the file ends")


def test_a_header_that_makes_no_sense_is_a_problem_and_the_weights_are_still_read(tmp_path: Path) -> None:
    path = tmp_path / "odd.gguf"
    path.write_bytes(tiny_llama_gguf(changes={"llama.block_count": 3}))
    overwrite(path, tensor(path, DOWN).offset_bytes, NAN32)
    report = verify_model(path)
    assert [problem.where for problem in report.problems] == ["llama.block_count", DOWN]
    assert not any("tokenizer" in words for words in report.checked)


def test_an_adapter_is_no_language_model_and_not_wrong(tmp_path: Path) -> None:
    path = tmp_path / "adapter.gguf"
    metadata = {"general.architecture": "llama", "general.type": "adapter"}
    path.write_bytes(gguf_bytes(metadata, {"a.weight.lora_a": np.ones((2, 4), np.float32)}))
    report = verify_model(path)
    assert report.is_good
    assert "adapter" in report.warnings[0].found


def test_a_missing_file_is_an_error(capsys: Capture) -> None:
    assert main(["verify", "nowhere/x.gguf"]) == 3
    assert "does not exist" in capsys.readouterr().err


def test_control_characters_of_a_name_are_gone(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "nasty.gguf"
    tensors = {"\x1b]0;title\x07.weight": np.full((2, 32), np.nan, np.float32)}
    path.write_bytes(gguf_bytes({"general.architecture": "llama"}, tensors))
    assert main(["verify", str(path)]) == 3
    out = capsys.readouterr().out
    assert "problem: ]0;title.weight, byte" in out
    assert not set(out) & {"\x1b", "\x07"}


# --- the tokenizer ------------------------------------------------------------------------


def test_a_tokenizer_that_changes_texts_is_a_problem(tmp_path: Path) -> None:
    """Bytes that are stored as ordinary tokens come out as their names."""
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf(changes={"tokenizer.ggml.token_type": [2, 3, 3] + [1] * 297}))
    problems = verify_model(path).problems
    assert {problem.where for problem in problems} == {"tokenizer"}
    assert any("Grüße" in problem.expected and "<0xC3>" in problem.found for problem in problems)


def test_a_vocabulary_that_llama_cpp_refuses_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf(changes={"tokenizer.ggml.model": "brandnew"}))
    (problem,) = verify_model(path).problems
    assert (problem.where, problem.expected) == ("tokenizer", "a vocabulary that llama.cpp can use")
    assert "brandnew" in problem.found


def test_tokenizers_that_change_letters_on_purpose_are_not_tried(tmp_path: Path) -> None:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf(changes={"tokenizer.ggml.model": "t5"}))
    report = verify_model(path)
    assert report.is_good and "on purpose" in report.warnings[0].found


# --- against something known --------------------------------------------------------------


def test_a_copy_is_the_same(tmp_path: Path) -> None:
    path = quantized(tmp_path / "model.gguf")
    report = verify_model(copied(path), against=path)
    assert report.is_good
    assert "every tensor against model.gguf" in report.checked
    content = path.read_bytes()
    for result in report.tensors:
        found = tensor(path, result.name)
        data = content[found.offset_bytes : found.offset_bytes + found.size_bytes]
        assert result.sha256 == hashlib.sha256(data).hexdigest()


def test_one_wrong_byte_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_data, "PIECE_ELEMENTS", 4096)  # so that it is not in the first piece
    path = quantized(tmp_path / "model.gguf")
    other = copied(path)
    at = tensor(path, "blk.1.ffn_up.weight").offset_bytes + 18 * 700 + 9
    byte = path.read_bytes()[at]
    overwrite(other, at, bytes([byte ^ 0x10]))
    overwrite(other, at + 3000 * 18, bytes([1]))  # only the first one is named
    expected = f"blk.1.ffn_up.weight, byte {at}: expected byte 0x{byte:02X}, found 0x{byte ^ 0x10:02X}"
    assert lines(verify_model(other, against=path).problems) == [expected]
    assert verify_model(other).is_good  # the damage makes sense as a weight


def test_tensors_that_are_missing_added_or_of_another_kind_are_named(tmp_path: Path) -> None:
    a, b = tmp_path / "a.gguf", tmp_path / "b.gguf"
    metadata = {"general.architecture": "llama"}
    ones = np.ones((2, 32), np.float32)
    a.write_bytes(gguf_bytes(metadata, {"only_a": ones, "both": ones, "shape": ones, "type": ones}))
    half = RawTensor((32, 2), int(GgmlType.F16), ones.astype("<f2").tobytes())
    tensors = {"both": ones, "shape": ones.reshape(4, 16), "type": half, "only_b": ones}
    b.write_bytes(gguf_bytes(metadata, tensors))
    found = {problem.where: problem for problem in verify_model(b, against=a).problems}
    assert {name: (problem.expected, problem.found) for name, problem in found.items()} == {
        "only_a": ("this tensor, as in a.gguf", "none"),
        "only_b": ("no such tensor, as in a.gguf", "one"),
        "shape": ("F32 of 32 x 2", "F32 of 16 x 4"),
        "type": ("F32 of 32 x 2", "F16 of 32 x 2"),
    }


def test_an_earlier_report_is_a_reference(tiny: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["verify", str(tiny), "--json"]) == 0
    report = tmp_path / "report.json"
    report.write_text(capsys.readouterr().out)
    assert main(["verify", str(tiny), "--against", str(report)]) == 0
    overwrite(tiny, tensor(tiny, DOWN).offset_bytes + 100, b"\x01")
    capsys.readouterr()
    assert main(["verify", str(tiny), "--against", str(report)]) == 3
    assert (
        f"problem: {DOWN}, byte {tensor(tiny, DOWN).offset_bytes}: expected sha256 "
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tensors": [1]}', '{"tensors": [{"name": "x"}]}'])
def test_a_report_that_is_none_is_a_usage_error(tiny: Path, text: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(OptionInvalid, match="verify --json"):
        verify_model(tiny, against=path)


def test_a_manifest_is_a_reference_for_the_whole_file(tiny: Path, capsys: Capture) -> None:
    content = tiny.read_bytes()
    manifest = tiny_model.write_manifest(
        [tiny_model.HUB_SOURCE], hashlib.sha256(content).hexdigest(), len(content)
    )
    for against in (str(manifest), tiny_model.NAME, f"{tiny_model.NAME}:Q4_0"):
        assert main(["verify", str(tiny), "--against", against]) == 0
        assert "sha256 of the file (the manifest of tiny, Q4_0)" in capsys.readouterr().out
    at = read_header(tiny).data_offset_bytes - 1  # padding: only the hash of the whole file sees it
    overwrite(tiny, at, bytes([content[at] ^ 1]))
    (problem,) = verify_model(tiny, against=manifest).problems
    assert (problem.where, problem.expected) == ("file sha256", hashlib.sha256(content).hexdigest())
    assert problem.found == hashlib.sha256(tiny.read_bytes()).hexdigest()
    tiny.write_bytes(content + bytes(32))
    (problem,) = verify_model(tiny, against=manifest).problems
    assert str(problem) == (f"file size: expected {len(content)} bytes, found {len(content) + 32} bytes")


def test_a_manifest_without_a_hash_is_no_reference(tiny: Path, capsys: Capture) -> None:
    tiny_model.write_manifest([tiny_model.HUB_SOURCE], "", 0)
    assert main(["verify", str(tiny), "--against", "tiny"]) == 2
    assert "has no sha256 for tiny.gguf" in capsys.readouterr().err


def test_the_file_of_a_manifest_must_be_clear(tiny: Path, capsys: Capture) -> None:
    assert main(["verify", str(tiny), "--against", "gemma-3-1b-it"]) == 2
    assert "none of its files is called tiny.gguf" in capsys.readouterr().err
    assert main(["verify", str(tiny), "--against", "no-such-model"]) == 3


# --- long files ---------------------------------------------------------------------------


class _Counting(QuietProgress):
    def __init__(self) -> None:
        self.seen: dict[str, tuple[int, int]] = {}

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        done = [0]

        def advance(count: int) -> None:
            done[0] += count

        yield advance
        self.seen[label] = done[0], total_bytes


def test_progress_reaches_the_end(tiny: Path) -> None:
    content = tiny.read_bytes()
    tiny_model.write_manifest([tiny_model.HUB_SOURCE], hashlib.sha256(content).hexdigest(), len(content))
    progress = _Counting()
    verify_model(tiny, against="tiny", progress=progress)
    assert progress.seen == {"sha256": (len(content),) * 2, "weights": (112_768, 112_768)}


def long_file(path: Path, kind: GgmlType, rows: int) -> Path:
    """One matrix of zeros with 65,536 columns, but for a one at its very end; takes no room on the disk."""
    row_bytes = 65_536 // kind.block_elements * kind.block_bytes
    # The header claims all the data; builders would put it into memory.
    header = gguf_bytes(
        {"general.architecture": "llama"}, {"long.weight": RawTensor((65_536, rows), int(kind))}
    )
    with path.open("wb") as file:
        file.write(header)
        file.truncate(len(header) + rows * row_bytes)
        file.seek(-kind.block_bytes, 2)
        file.write(
            b"\x00\x3c".ljust(kind.block_bytes, b"\0") if kind.block_elements > 1 else bytes([0, 0, 128, 63])
        )
    return path


def test_a_long_tensor_takes_little_memory(tmp_path: Path) -> None:
    path = long_file(tmp_path / "long.gguf", GgmlType.F32, 1000)  # 262 MB in one tensor
    other = long_file(tmp_path / "other.gguf", GgmlType.F32, 1000)
    assert path.stat().st_size > 260_000_000
    tracemalloc.start()
    try:
        report = verify_model(path, against=other)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert report.is_good
    assert (report.tensors[0].blocks, report.tensors[0].zero_blocks) == (65_536_000, 65_535_999)
    assert peak_bytes < 40_000_000


def test_a_file_that_shrinks_while_it_is_read_is_reported(tiny: Path) -> None:
    header = read_header(tiny)
    tiny.write_bytes(tiny.read_bytes()[:-20_000])
    with pytest.raises(ModelFileInvalid, match=f"{DOWN} is cut off"):
        list(read_pieces(header, tensor_named(header, DOWN)))


def tensor_named(header: GgufHeader, name: str) -> TensorInfo:
    return next(tensor for tensor in header.tensors if tensor.name == name)


def test_pieces_make_up_the_tensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_data, "PIECE_ELEMENTS", 1024)
    path = quantized(tmp_path / "model.gguf", GgmlType.Q5_1)
    header, content = read_header(path), path.read_bytes()
    for found in header.tensors:
        pieces = [piece.tobytes() for piece in read_pieces(header, found)]
        assert {len(piece) % found.type.block_bytes for piece in pieces} == {0}
        assert b"".join(pieces) == content[found.offset_bytes : found.offset_bytes + found.size_bytes]
