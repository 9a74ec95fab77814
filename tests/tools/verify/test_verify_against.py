"""`edge-runtime verify --against`: a file beside another, an earlier report, a manifest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from edge_tools import tensor_data
from edge_tools.verify import Problem, verify_model
from support import tiny_model
from support.builders import RawTensor, gguf_bytes
from support.model_files import copied, overwrite, quantized, tensor

from edge_runtime.cli.command_line import main
from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType

Capture = pytest.CaptureFixture[str]
NAN16, INF16, ONE16 = b"\x00\x7e", b"\x00\xfc", b"\x00\x3c"
NAN32 = b"\x00\x00\xc0\x7f"
DOWN = "blk.1.ffn_down.weight"


def lines(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


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


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"files": []}',
        '{"files": [{"contents": null}]}',
        '{"files": [{"contents": {"tensors": [1]}}]}',
        '{"files": [{"contents": {"tensors": [{"name": "x"}]}}]}',
    ],
)
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
    assert "no file of gemma-3-1b-it is called tiny.gguf" in capsys.readouterr().err
    assert main(["verify", str(tiny), "--against", "no-such-model"]) == 3
