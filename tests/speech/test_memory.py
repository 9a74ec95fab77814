"""A chat model and a speech model in one plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import tiny_whisper
from support.memory_models import body, header, option

from edge_runtime.cli.command_line import main
from edge_runtime.errors import ModelNotFound
from edge_runtime.memory import Held, MemoryPart, PartKind, faster_whisper_parts, plan_memory, speech_parts
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.speech.memory import plan_speech
from edge_runtime.speech.whisper import ctranslate2_weights, weight_bytes

MB = 1_000_000
WEIGHT_BYTES = 121_700_000  # of Whisper base
MEASURED_BYTES = 266 * MB  # the median peak of three processes, with 30 s at once
PYTHON_BYTES = 44 * MB  # of them, without any of it

Capture = pytest.CaptureFixture[str]


def test_the_parts_of_whisper_base_are_what_was_measured() -> None:
    total = sum(part.size_bytes for part in speech_parts(WEIGHT_BYTES))
    assert total == pytest.approx(MEASURED_BYTES - PYTHON_BYTES, rel=0.05)


def test_both_models_are_in_one_plan() -> None:
    model = header("llama", 8, tensors=body(8, 100 * MB))
    alone = plan_memory(model, option())
    both = plan_memory(model, option(beside=speech_parts(WEIGHT_BYTES)))
    beside = sum(part.size_bytes for part in speech_parts(WEIGHT_BYTES))
    assert both.total_bytes - alone.total_bytes == pytest.approx(beside, rel=0.01)  # and page tables
    assert both.part_bytes(PartKind.SPEECH_MODEL) > 0
    assert both.minimum_bytes > alone.minimum_bytes


def test_a_budget_that_holds_one_alone_streams_or_refuses_with_both() -> None:
    model = header("llama", 8, tensors=body(8, 100 * MB))
    budget_bytes = plan_memory(model, option()).comfortable_bytes
    assert not plan_memory(model, option(), budget_bytes).choices.streamed_bytes
    assert plan_memory(model, option(beside=speech_parts(WEIGHT_BYTES)), budget_bytes).choices.streamed_bytes


def write(path: Path, size_bytes: int) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"\0" * size_bytes)


def test_our_own_pair_is_weighed_with_its_data(tmp_path: Path) -> None:
    for name, size_bytes in (("encoder.onnx", 1), ("encoder.data", 20), ("decoder.onnx", 300)):
        write(tmp_path / name, size_bytes)
    write(tmp_path / "decoder.data", 4_000)
    write(tmp_path / "model.bin", 50_000)
    assert weight_bytes(tmp_path) == 4_321


def test_of_an_export_only_the_files_that_are_opened_count(tmp_path: Path) -> None:
    for name in ("encoder_model.onnx", "encoder_model_quantized.onnx", "decoder_model.onnx"):
        write(tmp_path / "onnx" / name, {"encoder_model_quantized.onnx": 1}.get(name, 1_000))
    write(tmp_path / "onnx" / "decoder_model_merged.onnx", 20)
    write(tmp_path / "onnx" / "decoder_model_merged.onnx_data", 300)
    assert weight_bytes(tmp_path) == 321
    (tmp_path / "onnx" / "decoder_model_merged.onnx").unlink()
    assert weight_bytes(tmp_path) == 1_001


def test_of_faster_whisper_the_number_of_weights_counts(tmp_path: Path) -> None:
    """145 MB of F16 or 79 MB of 8 bits on the disk are the same in memory."""
    parts = faster_whisper_parts(72_600_000)
    assert sum(part.size_bytes for part in parts) == pytest.approx(333 * MB, rel=0.05)
    folder = tiny_whisper.write_folder(tmp_path / "tiny")
    weights = ctranslate2_weights(folder)
    assert weights and 1.5 < (folder / "model.bin").stat().st_size / weights < 3  # F16, and names
    assert plan_speech(folder) == faster_whisper_parts(weights)
    write(tmp_path / "tiny" / "encoder.onnx", 1)
    write(tmp_path / "tiny" / "decoder.onnx", 1)
    assert ctranslate2_weights(folder) is None


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no Whisper model"):
        plan_speech(tmp_path)


def test_a_speech_model_that_is_not_here_is_planned_from_the_catalog(tiny: Path, capsys: Capture) -> None:
    assert main(["plan", str(tiny), "--budget", "2GB", "--with", "whisper-base"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("speech model ") for line in lines)
    assert max(map(len, lines)) <= 80


def test_json_tells_the_parts_of_both(tiny: Path, capsys: Capture) -> None:
    assert main(["plan", str(tiny), "--with", "whisper-base", "--budget", "1GB", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    names = [part["name"] for part in found["parts"]]
    assert {"KV cache", "speech work memory", "voice detector"} <= set(names)
    assert sum(part["bytes"] for part in found["parts"] if part["held"] != "flash") == found["total_bytes"]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--with", "whisper-base", "--budget", "100MB"], 4, "speech model"),
        (["--with", "whisper-bsae"], 3, "whisper-bsae"),
        (["--with", "smollm2-135m-instruct"], 3, "is a chat model"),
        (["--with", "whisper-base", "--measure"], 2, "exclude each other"),
    ],
)
def test_what_cannot_be_planned_is_named(
    tiny: Path, capsys: Capture, arguments: list[str], status: int, words: str
) -> None:
    assert main(["plan", str(tiny), *arguments]) == status
    assert words in capsys.readouterr().err


def test_an_open_runtime_has_planned_for_both(tiny: Path) -> None:
    beside = (MemoryPart(PartKind.SPEECH_MODEL, 30 * MB, Held.ANONYMOUS),)
    with Runtime.open(tiny, budget="1GB", context_tokens=32, threads=1, beside=beside) as runtime:
        assert runtime.plan.part_bytes(PartKind.SPEECH_MODEL) == 30 * MB
