"""`edge-runtime verify`: what is wrong with a file is found and named, and nothing else is."""

from __future__ import annotations

import hashlib
import json
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from edge_tools import tensor_data
from edge_tools.synth import QUANTIZATIONS
from edge_tools.tensor_data import read_pieces
from edge_tools.verify import verify_model
from support import tiny_model
from support.builders import RawTensor, gguf_bytes, tiny_llama_gguf
from support.model_files import overwrite, quantized, tensor

from edge_runtime.cli.command_line import main
from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import GgmlType, TensorInfo
from edge_runtime.values.progress import Advance, QuietProgress

Capture = pytest.CaptureFixture[str]
NAN16, INF16, ONE16 = b"\x00\x7e", b"\x00\xfc", b"\x00\x3c"
NAN32 = b"\x00\x00\xc0\x7f"
DOWN = "blk.1.ffn_down.weight"


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
    found = json.loads(capsys.readouterr().out)["files"][0]["contents"]
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
