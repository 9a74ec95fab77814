"""Every architecture with random weights, small: llama.cpp loads it and its logits are numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edge_tools.synth import Quantizations, scaled, shape_named, write_model

from edge_runtime import Runtime
from edge_runtime.backends.backend import BackendOptions, Chunk, DecodeStatus
from edge_runtime.backends.llama import LlamaBackend

VOCABULARY_TOKENS = 1024  # with all of Gemma's tokens for single bytes
TYPES = {
    "gemma-3-1b": "Q5_0",
    "gemma-3n-e2b": "Q4_0",
    "gemma-4-e2b": "Q4_K",
    "gemma-4-e4b": "IQ4_NL",
    "phi-3-mini-4k": "Q5_K",
    "qwen2.5-0.5b": "Q4_1",
    "qwen3-0.6b": "BF16",
    "smollm2-135m": "F16",
    "tinyllama-1.1b": "Q6_K",
}


@pytest.fixture(params=sorted(TYPES))
def model_path(request: pytest.FixtureRequest, tmp_path: Path, gemma_path: Path) -> Path:
    """Each shape in another type, so that llama.cpp meets them all."""
    shape = scaled(shape_named(request.param), 0.05).with_values({}, VOCABULARY_TOKENS)
    types = Quantizations.named(body=TYPES[request.param], embedding="Q6_K", ple="Q4_0", other="Q8_0")
    return write_model(tmp_path / "model.gguf", shape, types, tokenizer=gemma_path).path


def test_the_engine_generates_and_its_logits_are_finite(model_path: Path) -> None:
    with Runtime.open(model_path, context_tokens=256) as runtime:
        usage = runtime.generate("Rain falls.", raw=True, temperature=0, max_tokens=4).usage
    assert usage.prompt_tokens > 1
    assert usage.completion_tokens >= 1

    backend = LlamaBackend(model_path, BackendOptions(context_tokens=256, threads=2))
    try:
        tokens = backend.tokenize("Rain falls on the plain.", add_special=True, parse_special=False)
        assert backend.decode([Chunk(0, 0, tokens, wants_logits=True)]) is DecodeStatus.DONE
        logits = backend.logits(0)
        assert logits.shape == (VOCABULARY_TOKENS,)
        assert np.isfinite(logits).all()
        assert 0.01 < logits.std() < 30  # neither all the same nor at the limits
    finally:
        backend.close()
