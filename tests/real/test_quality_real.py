"""imatrix and quality on the real models: what is known of quantizing shows in the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_tools.imatrix import compute_imatrix
from edge_tools.quality import ModelQuality, measure_quality
from edge_tools.quantize import QuantizeOptions, quantize
from support.places import ROOT

TEXT = (ROOT / "LICENSE").read_text(encoding="utf-8")
HALF = len(TEXT) // 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quality")


def kl(model: ModelQuality) -> float:
    assert model.divergence is not None
    return model.divergence.mean.value


def test_fewer_bits_are_further_away_and_an_importance_matrix_helps(smollm2_path: Path, folder: Path) -> None:
    """The matrix comes from one half of the text, the figures from the other."""
    matrix = compute_imatrix(
        smollm2_path, TEXT[HALF:], folder / "m.gguf", context_tokens=128, chunks=2, dataset="LICENSE"
    )
    assert len(matrix.uses) == 210  # 7 matrices in each of 30 layers
    assert {use.counts.item() for use in matrix.uses.values()} == {256}
    made = [
        quantize(smollm2_path, folder / f"{name}.gguf", QuantizeOptions(type=kind, imatrix=used)).paths[0]
        for name, kind, used in (
            ("q8_0", "Q8_0", None),
            ("q4_0i", "Q4_0", matrix.path),
            ("q4_0", "Q4_0", None),
        )
    ]
    quality = measure_quality(made, smollm2_path, TEXT[:HALF], context_tokens=128, chunks=2)
    near, helped, far = map(kl, quality.models)
    assert near < 0.01
    assert near < helped < 0.9 * far
    assert 1 < quality.reference.perplexity.value < 40


def test_a_large_vocabulary_is_no_distance_from_itself(gemma_path: Path) -> None:
    """262,144 tokens: steps of 64, so that the scored half of a chunk takes two of them."""
    quality = measure_quality([gemma_path], gemma_path, TEXT, context_tokens=192, chunks=1)
    assert quality.scored_tokens == 95
    assert kl(quality.models[0]) < 1e-6
    assert quality.models[0].perplexity == quality.reference.perplexity
    assert 1 < quality.reference.perplexity.value < 40
