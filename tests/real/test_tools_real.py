"""inspect, verify and diff on the real SmolLM2, sound and damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from edge_tools.diff import diff_models
from edge_tools.inspect import inspect_model
from edge_tools.tensor_classes import TensorClass
from edge_tools.verify import verify_model

from edge_runtime.cli.command_line import main
from edge_runtime.gguf.header import read_header

DOWN = "blk.29.ffn_down.weight"


@pytest.fixture(scope="module")
def damaged(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One scale of a Q4_1 matrix is no number, one nibble of another is wrong."""
    path = tmp_path_factory.mktemp("damaged") / smollm2_path.name
    shutil.copyfile(smollm2_path, path)
    places = {tensor.name: tensor.offset_bytes for tensor in read_header(path).tensors}
    with path.open("r+b") as file:
        file.seek(places[DOWN] + 20 * 1000)
        file.write(b"\x00\x7e")
        file.seek(places["blk.0.attn_q.weight"] + 20 * 5 + 10)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 0x10]))
    return path


def test_the_real_model_is_whole(smollm2_path: Path, gemma_path: Path) -> None:
    report = verify_model(smollm2_path, against="smollm2-135m-instruct")
    assert (report.problems, report.warnings) == ((), ())
    assert len(report.checked) == 4
    assert verify_model(gemma_path).problems == ()


def test_damage_is_found_and_named(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(damaged), "--against", "smollm2-135m-instruct", "--json"]) == 3
    (found,) = json.loads(capsys.readouterr().out)["files"]
    assert [problem["where"] for problem in found["contents"]["problems"]] == ["file sha256", DOWN]


def test_the_difference_is_found_too(smollm2_path: Path, damaged: Path) -> None:
    difference = diff_models(smollm2_path, damaged)
    assert [change.name for change in difference.tensors] == [DOWN, "blk.0.attn_q.weight"]
    broken, nibble = (change.error for change in difference.tensors)
    assert broken is not None and broken.not_finite == 32
    assert nibble is not None and 0 < nibble.relative_rms < 0.01
    assert difference.equal_tensors == 270


def test_the_classes_are_those_of_the_model_card(smollm2_path: Path) -> None:
    inspection = inspect_model(smollm2_path)
    assert inspection.elements == 134_515_008
    sizes = {size.kind: size for size in inspection.classes}
    assert sizes[TensorClass.BODY].bits_per_weight == 5
    assert inspection.plan is not None and inspection.plan.certain
