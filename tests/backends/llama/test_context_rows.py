"""Rows of logits belong to their chunks, whatever kind of step came before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.builders import tiny_llama_gguf

from edge_runtime.backends.backend import BackendOptions, Chunk, DecodeStatus, Float32Array
from edge_runtime.backends.llama import LlamaBackend

OPTIONS = BackendOptions(context_tokens=64, max_sequences=2, threads=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    return path


@pytest.fixture
def backend(path: Path) -> Iterator[LlamaBackend]:
    backend = LlamaBackend(path, OPTIONS)
    yield backend
    backend.close()


def alone(path: Path, tokens: list[int]) -> Float32Array:
    """Logits behind `tokens`, from a model that has done nothing else."""
    backend = LlamaBackend(path, OPTIONS)
    assert backend.decode([Chunk(0, 0, tokens, wants_logits=True)]) is DecodeStatus.DONE
    row = backend.logits(0).copy()
    backend.close()
    return row


def test_rows_of_two_conversations_after_a_step_of_one(backend: LlamaBackend, path: Path) -> None:
    """The row of a single token is kept from step to step: a step of another kind must not get it."""
    backend.decode([Chunk(0, 0, [5], wants_logits=True)])
    np.testing.assert_allclose(backend.logits(0), alone(path, [5]), atol=1e-4)
    backend.decode([Chunk(0, 1, [6], wants_logits=True), Chunk(1, 0, [7, 8], wants_logits=True)])
    np.testing.assert_allclose(backend.logits(0), alone(path, [5, 6]), atol=1e-4)
    np.testing.assert_allclose(backend.logits(1), alone(path, [7, 8]), atol=1e-4)
    backend.decode([Chunk(1, 2, [9], wants_logits=True)])
    np.testing.assert_allclose(backend.logits(0), alone(path, [7, 8, 9]), atol=1e-4)
    backend.decode([Chunk(0, 2, [10], wants_logits=True)])
    np.testing.assert_allclose(backend.logits(0), alone(path, [5, 6, 10]), atol=1e-4)


def test_one_token_after_another_and_a_prompt_between_them(backend: LlamaBackend, path: Path) -> None:
    tokens: list[int] = []
    for chunk in ([5], [6], [7, 8, 9], [10], [11]):
        backend.decode([Chunk(0, len(tokens), chunk, wants_logits=True)])
        tokens += chunk
        np.testing.assert_allclose(backend.logits(0), alone(path, tokens), atol=1e-4)
