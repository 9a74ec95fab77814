"""quantize on the real SmolLM2: it is what was asked for, and still makes sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_tools.diff import diff_models
from edge_tools.quantize import QuantizeOptions, quantize
from edge_tools.verify import verify_model

from edge_runtime import Runtime
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType

BEGINNING = "The capital of France is"


@pytest.fixture(scope="module")
def q8_0(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From Q4_1: nothing more is lost."""
    path = tmp_path_factory.mktemp("quantized") / "smollm2-q8_0.gguf"
    return quantize(smollm2_path, path, QuantizeOptions(type="Q8_0")).paths[0]


def answer(path: Path) -> str:
    with Runtime.open(path, context_tokens=512) as runtime:
        return runtime.generate(BEGINNING, raw=True, temperature=0, max_tokens=4).text


def test_q4_1_becomes_q8_0_and_answers(smollm2_path: Path, q8_0: Path) -> None:
    types = {tensor.name: tensor.type for tensor in read_header(q8_0).tensors}
    assert types["blk.3.ffn_up.weight"] is types["token_embd.weight"] is GgmlType.Q8_0
    report = verify_model(q8_0)
    assert not report.problems
    error = {c.name: c.error for c in diff_models(smollm2_path, q8_0).tensors}["blk.3.ffn_up.weight"]
    assert error is not None and error.relative_rms < 0.01
    assert "Paris" in answer(q8_0)


def test_classes_have_the_types_that_were_asked_for(q8_0: Path, tmp_path: Path) -> None:
    options = QuantizeOptions(type="Q4_0", embedding="Q4_1", body="Q6_K", split_bytes=60_000_000)
    made = quantize(q8_0, tmp_path / "mixed.gguf", options)
    types = {tensor.name: tensor.type for tensor in read_header(made.paths[0]).tensors}
    assert types["token_embd.weight"] is GgmlType.Q4_1
    assert types["blk.0.ffn_down.weight"] is GgmlType.Q6_K  # rows of 1536
    assert types["blk.0.ffn_up.weight"] is GgmlType.Q8_0  # rows of 576: blocks of 256 do not fit
    assert any("Q8_0 instead of Q6_K" in note for note in made.notes)
    assert len(made.paths) == 3 and sum(made.file_bytes) == sum(p.stat().st_size for p in made.paths)
    assert "Paris" in answer(made.paths[0])


def test_a_real_vocabulary_is_counted_to_the_byte(gemma_path: Path, tmp_path: Path) -> None:
    """262,144 tokens. A recipe of a file that is quantized already keeps what it cannot make better."""
    made = quantize(gemma_path, tmp_path / "edge.gguf", QuantizeOptions(recipe="edge-1gb"))
    assert made.size_bytes == made.paths[0].stat().st_size
    before = {tensor.name: tensor.type for tensor in read_header(gemma_path).tensors}
    assert {tensor.name: tensor.type for tensor in made.inspection.tensors} == before
