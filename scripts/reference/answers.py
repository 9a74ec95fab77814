"""Answers of llama.cpp with our file, next to those of transformers with the checkpoint."""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from edge_runtime.backends.backend import BackendOptions, Chunk, Float32Array
from edge_runtime.backends.llama import LlamaBackend
from edge_runtime.backends.llama.library import last_log_lines, native
from edge_runtime.errors import EdgeRuntimeError, ModelLoadFailed

from .compare import Comparison

# In standard deviations of the logits: llama.cpp has keys, values and tables in half precision.
_TIE = 0.1
_LEAST_COSINE = 0.9999
_MOST_FROM_MERGED = 0.05  # in the same deviations: both sides run in llama.cpp, on the same weights


def compare_answer(row: Comparison, path: Path, said: Path, adapter: Path | None = None) -> None:
    """Load the file in llama.cpp and ask it what transformers was asked.

    Only F32 weights are the checkpoint's own: with another type it is enough that the file runs.
    """
    expected = json.loads(said.read_text())
    try:
        with opened(path, adapter) as backend:
            if row.type != "f32":
                _check_it_runs(row, backend, expected)
            elif "embedding" in expected:
                _compare_embedding(row, backend, expected)
            else:
                _compare_tokens(row, backend, expected)
    except EdgeRuntimeError as error:
        row.differences.append(f"{error}: {str(error.facts)[-300:]}")


def compare_merged(row: Comparison, model: Path, adapter: Path, merged: Path, prompt: list[int]) -> None:
    """An adapter beside its model answers as the model does with the adapter's changes in its weights."""
    beside, inside = logits_after(model, prompt, adapter), logits_after(merged, prompt)
    distance = float(np.abs(beside - inside).max() / inside.std())
    row.answer += f"; {distance:.4f} from merged"
    if not distance <= _MOST_FROM_MERGED:
        row.differences.append(f"logits are {distance} standard deviations from those of merged weights")


def logits_after(model: Path, prompt: list[int], adapter: Path | None = None) -> Float32Array:
    """(vocabulary,)"""
    with opened(model, adapter) as backend:
        backend.decode([Chunk(0, 0, prompt, wants_logits=True)])
        return np.array(backend.logits(0), np.float32)


@contextmanager
def opened(path: Path, adapter: Path | None = None) -> Iterator[LlamaBackend]:
    """A model, and an adapter applied in full. Raises ModelLoadFailed."""
    backend = LlamaBackend(path, BackendOptions(context_tokens=64, threads=1))
    try:
        if adapter is not None:
            _use_adapter(backend, adapter)
        yield backend
    finally:
        backend.close()


def _use_adapter(backend: LlamaBackend, path: Path) -> None:
    c = native()
    adapter = c.llama_adapter_lora_init(backend._model.pointer, os.fsencode(path))
    if not adapter:
        raise ModelLoadFailed(f"{path}: llama.cpp refused the adapter", log=last_log_lines())
    adapters, scales = (type(adapter) * 1)(adapter), (ctypes.c_float * 1)(1.0)
    c.llama_set_adapters_lora(backend._context.pointer, adapters, 1, scales)


def _check_it_runs(row: Comparison, backend: LlamaBackend, expected: dict[str, Any]) -> None:
    if "embedding" in expected:
        answer = backend.embed([expected["prompt"]])
    else:
        backend.decode([Chunk(0, 0, expected["prompt"], wants_logits=True)])
        answer = backend.logits(0)
    row.answer = "runs"
    if not np.isfinite(answer).all():
        row.differences.append("llama.cpp's answer has numbers that are none")


def _compare_embedding(row: Comparison, backend: LlamaBackend, expected: dict[str, Any]) -> None:
    found, wanted = backend.embed([expected["prompt"]])[0], np.array(expected["embedding"])
    cosine = float(found @ wanted / np.linalg.norm(wanted))
    row.answer = f"embedding, cosine {cosine:.6f}"
    if not cosine >= _LEAST_COSINE:
        row.differences.append(f"llama.cpp's embedding has the cosine {cosine} to transformers'")


def _compare_tokens(row: Comparison, backend: LlamaBackend, expected: dict[str, Any]) -> None:
    wanted = expected["tokens"]
    found = list(_greedy_tokens(backend, expected["prompt"], wanted, expected["vocabulary"]))
    clear = [index for index, margin in enumerate(expected["margins"]) if margin > _TIE]
    same = sum(found[index] == wanted[index] for index in range(len(wanted)))
    row.answer = f"{same} of {len(wanted)} tokens, {len(wanted) - len(clear)} of them nearly tied"
    if any(found[index] != wanted[index] for index in clear) or not clear:
        row.differences.append(f"llama.cpp chooses {found}, transformers {wanted}")


def _greedy_tokens(
    backend: LlamaBackend, prompt: list[int], expected: list[int], vocabulary: int
) -> Iterator[int]:
    """Of the first `vocabulary`, what llama.cpp would choose after the prompt and each expected token."""
    chunk = Chunk(0, 0, prompt, wants_logits=True)
    for place, token in enumerate(expected, start=len(prompt)):
        backend.decode([chunk])
        yield int(np.argmax(backend.logits(0)[:vocabulary]))
        chunk = Chunk(0, place, [token], wants_logits=True)
