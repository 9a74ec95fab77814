"""A Whisper model of 40 KB with random weights, as CTranslate2 writes it, and what it computes, in numpy."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.speech.whisper.network import Cache, Encoded, Network, Step

Floats = NDArray[np.float32]

MEL, WIDTH, HEADS, INNER, LAYERS, POSITIONS, TOKENS, VOCABULARY = 6, 16, 2, 32, 2, 40, 24, 90
ALIGNING = [[1, 1], [0, 0], [1, 0]]
_TYPES = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}
_ERF = np.vectorize(math.erf, otypes=[np.float64])


def variables(seed: int = 3) -> dict[str, NDArray[Any]]:
    """By CTranslate2's names."""
    rng = np.random.default_rng(seed)

    def random(*shape: int) -> NDArray[np.float16]:
        return (rng.standard_normal(shape) / math.sqrt(shape[-1])).astype(np.float16)

    def linear(name: str, outputs: int, inputs: int) -> dict[str, NDArray[Any]]:
        return {f"{name}/weight": random(outputs, inputs), f"{name}/bias": random(outputs)}

    def norm(name: str) -> dict[str, NDArray[Any]]:
        return {f"{name}/gamma": 1 + random(WIDTH), f"{name}/beta": random(WIDTH)}

    found: dict[str, NDArray[Any]] = {
        "encoder/conv1/weight": random(WIDTH, MEL, 3),
        "encoder/conv1/bias": random(WIDTH),
        "encoder/conv2/weight": random(WIDTH, WIDTH, 3),
        "encoder/conv2/bias": random(WIDTH),
        "encoder/position_encodings/encodings": random(POSITIONS, WIDTH),
        "decoder/position_encodings/encodings": random(TOKENS, WIDTH),
        "decoder/embeddings/weight": random(VOCABULARY, WIDTH) * np.float16(4),
        "encoder/num_heads": np.array(HEADS, np.int16),
        "decoder/num_heads": np.array(HEADS, np.int16),
    }
    for part in ("encoder", "decoder"):
        found |= norm(f"{part}/layer_norm")
        for layer in (f"{part}/layer_{number}" for number in range(LAYERS)):
            found |= norm(f"{layer}/self_attention/layer_norm") | norm(f"{layer}/ffn/layer_norm")
            found |= linear(f"{layer}/self_attention/linear_0", 3 * WIDTH, WIDTH)
            found |= linear(f"{layer}/self_attention/linear_1", WIDTH, WIDTH)
            found |= linear(f"{layer}/ffn/linear_0", INNER, WIDTH) | linear(
                f"{layer}/ffn/linear_1", WIDTH, INNER
            )
            if part == "decoder":
                found |= norm(f"{layer}/attention/layer_norm") | linear(
                    f"{layer}/attention/linear_0", WIDTH, WIDTH
                )
                found |= linear(f"{layer}/attention/linear_1", 2 * WIDTH, WIDTH)
                found |= linear(f"{layer}/attention/linear_2", WIDTH, WIDTH)
    return found


def model_bytes(content: Mapping[str, NDArray[Any]], specification: str = "WhisperSpec") -> bytes:
    """A model.bin of binary version 6."""
    parts = [struct.pack("<I", 6), _text(specification), struct.pack("<II", 3, len(content))]
    for name, array in content.items():
        head = struct.pack(
            f"<B{array.ndim}IBI", array.ndim, *array.shape, _TYPES[array.dtype.name], array.nbytes
        )
        parts += [_text(name), head, array.tobytes()]
    alias = _text("decoder/projection/weight") + _text("decoder/embeddings/weight")
    return b"".join([*parts, struct.pack("<I", 1), alias])


def _text(text: str) -> bytes:
    return struct.pack("<H", len(text) + 1) + text.encode() + b"\0"


def write_folder(folder: Path, content: Mapping[str, NDArray[Any]] | None = None) -> Path:
    """model.bin, config.json and vocabulary.txt."""
    folder.mkdir(parents=True)
    (folder / "model.bin").write_bytes(model_bytes(variables() if content is None else content))
    config = {
        "alignment_heads": ALIGNING,
        "suppress_ids": [1, 2],
        "suppress_ids_begin": [3],
        "lang_ids": [86],
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocabulary.txt").write_text("".join(f"{token}\n" for token in vocabulary()))
    return folder


def vocabulary() -> list[str]:
    control = ["endoftext", "startoftranscript", "en", "translate", "transcribe", "nospeech", "notimestamps"]
    plain = [chr(0x21 + number) for number in range(VOCABULARY - len(control))]
    return [*plain, *(f"<|{name}|>" for name in control)]


def prompts_of(network: type[Network], monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The tokens that it will be given where nothing is before them."""
    found: list[tuple[int, ...]] = []
    real_step = network.step

    def step(
        self: Network, encoded: Encoded, tokens: Sequence[int], cache: Cache | None, **others: bool
    ) -> Step:
        if cache is None:
            found.append(tuple(tokens))
        return real_step(self, encoded, tokens, cache, **others)

    monkeypatch.setattr(network, "step", step)
    return found


class NumpyWhisper:
    """The same, as plainly as it can be said. Source: openai/whisper, whisper/model.py."""

    def __init__(self, content: Mapping[str, NDArray[Any]]) -> None:
        self._content = content

    def encode(self, mel: Floats) -> Floats:
        """(bins, frames) -> (positions, width)"""
        sound = self._convolve(self._convolve(mel, "encoder/conv1", 1), "encoder/conv2", 2).T
        sound = sound + self._get("encoder/position_encodings/encodings")[: len(sound)]
        for layer in (f"encoder/layer_{number}" for number in range(LAYERS)):
            inner = self._norm(sound, f"{layer}/self_attention/layer_norm")
            query, key, value = np.split(self._linear(inner, f"{layer}/self_attention/linear_0"), 3, axis=1)
            heard, _ = _attend(query, key, value)
            sound = sound + self._linear(heard, f"{layer}/self_attention/linear_1")
            sound = self._feed_forward(sound, layer)
        return self._norm(sound, "encoder/layer_norm")

    def cross(self, encoded: Floats) -> dict[str, Floats]:
        """As the graph takes it: keys (1, heads, size, positions), values (1, heads, positions, size)."""
        found: dict[str, Floats] = {}
        for number in range(LAYERS):
            stacked = self._linear(encoded, f"decoder/layer_{number}/attention/linear_1")
            key, value = (
                part.reshape(1, len(part), HEADS, -1).transpose(0, 2, 1, 3)
                for part in np.split(stacked, 2, axis=1)
            )
            found[f"cross_k_{number}"] = np.ascontiguousarray(key.transpose(0, 1, 3, 2))
            found[f"cross_v_{number}"] = np.ascontiguousarray(value)
        return found

    def decode(self, tokens: list[int], encoded: Floats) -> tuple[Floats, Floats]:
        """logits (n, vocabulary), attention (layers, heads, n, positions)"""
        table = self._get("decoder/embeddings/weight")
        text = table[tokens] + self._get("decoder/position_encodings/encodings")[: len(tokens)]
        hidden = np.triu(np.full((len(tokens), len(tokens)), -np.inf), 1)
        attention = []
        for layer in (f"decoder/layer_{number}" for number in range(LAYERS)):
            inner = self._norm(text, f"{layer}/self_attention/layer_norm")
            query, key, value = np.split(self._linear(inner, f"{layer}/self_attention/linear_0"), 3, axis=1)
            text = text + self._linear(
                _attend(query, key, value, hidden)[0], f"{layer}/self_attention/linear_1"
            )
            query = self._linear(
                self._norm(text, f"{layer}/attention/layer_norm"), f"{layer}/attention/linear_0"
            )
            key, value = np.split(self._linear(encoded, f"{layer}/attention/linear_1"), 2, axis=1)
            heard, weights = _attend(query, key, value)
            attention.append(weights)
            text = self._feed_forward(text + self._linear(heard, f"{layer}/attention/linear_2"), layer)
        return self._norm(text, "decoder/layer_norm") @ table.T, np.array(attention)

    def _get(self, name: str) -> Floats:
        return self._content[name].astype(np.float32)

    def _linear(self, rows: Floats, name: str) -> Floats:
        return rows @ self._get(f"{name}/weight").T + self._get(f"{name}/bias")

    def _norm(self, rows: Floats, name: str) -> Floats:
        centred = rows - rows.mean(axis=1, keepdims=True)
        units = centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return units * self._get(f"{name}/gamma") + self._get(f"{name}/beta")

    def _feed_forward(self, rows: Floats, layer: str) -> Floats:
        inner = self._linear(self._norm(rows, f"{layer}/ffn/layer_norm"), f"{layer}/ffn/linear_0")
        return rows + self._linear(_gelu(inner), f"{layer}/ffn/linear_1")

    def _convolve(self, sound: Floats, name: str, stride: int) -> Floats:
        kernel = self._get(f"{name}/weight")  # (out, in, 3)
        padded = np.pad(sound, ((0, 0), (1, 1)))
        starts = range(0, sound.shape[1], stride)
        windows = np.array([padded[:, start : start + 3] for start in starts])  # (n, in, 3)
        found = np.einsum("nik,oik->on", windows, kernel) + self._get(f"{name}/bias")[:, None]
        return _gelu(found)


def _gelu(values: Floats) -> Floats:
    return np.asarray(values * 0.5 * (1 + _ERF(values / math.sqrt(2))), np.float32)


def _attend(query: Floats, key: Floats, value: Floats, hidden: Any = 0.0) -> tuple[Floats, Floats]:
    """(n, width) each -> (n, width), weights (heads, n, m)"""
    query, key, value = (x.reshape(len(x), HEADS, -1).transpose(1, 0, 2) for x in (query, key, value))
    scores = query @ key.transpose(0, 2, 1) / math.sqrt(WIDTH // HEADS) + hidden
    weights = np.exp(scores - scores.max(axis=2, keepdims=True))
    weights /= weights.sum(axis=2, keepdims=True)
    return (weights @ value).transpose(1, 0, 2).reshape(-1, WIDTH), weights
