"""Whisper as Hugging Face's Optimum exports it, and as transformers.js takes it.

encoder_model.onnx: input_features -> last_hidden_state, 30 s at a time, no less. Then either
decoder_model_merged.onnx, with a switch (use_cache_branch) between its first evaluation and the
later ones, or decoder_model.onnx and decoder_with_past_model.onnx for these. Where attention lay
is not given, and the branch for later evaluations was traced with one token: it is given one.

Source: optimum-onnx 0.1, exporters/onnx/model_configs.py (WhisperOnnxConfig) and
onnxruntime/modeling_seq2seq.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...backends.onnx.session import OnnxSession
from ...errors import ModelNotFound, ModelUnsupported
from .features import MOST_FRAMES
from .network import Cache, Encoded, Step

# The smallest first; float16 tensors at the border (_fp16, _q4f16) are not understood here.
_VARIANTS = ("_quantized", "_int8", "_uint8", "", "_q4")
_ENCODER, _MERGED, _FIRST, _LATER = (
    *("encoder_model", "decoder_model_merged"),
    *("decoder_model", "decoder_with_past_model"),
)


def is_hugging_face_export(folder: Path) -> bool:
    return _find(folder, _ENCODER) is not None


def export_graphs(folder: Path) -> list[Path]:
    """The files that HuggingFaceExport opens, as far as they are there."""
    decoders = (_MERGED,) if _find(folder, _MERGED) else (_FIRST, _LATER)
    return [path for name in (_ENCODER, *decoders) if (path := _find(folder, name))]


class HuggingFaceExport:
    frames_at_least = MOST_FRAMES
    has_alignment = False

    def __init__(self, folder: Path, *, heads: int, head_size: int, threads: int) -> None:
        """Raises EngineUnavailable, ModelNotFound, ModelFileInvalid, ModelUnsupported (another's export)."""
        self._heads, self._head_size = heads, head_size
        self._encoder = OnnxSession(_needed(folder, _ENCODER), threads=threads)
        merged = _find(folder, _MERGED)
        self._first = OnnxSession(merged or _needed(folder, _FIRST), threads=threads)
        self._later = self._first if merged else OnnxSession(_needed(folder, _LATER), threads=threads)
        self._past = [name for name in self._later.inputs if name.startswith("past_key_values.")]
        self._check(folder)
        self.vocabulary_size = self._first.output_size("logits", 2)

    def encode(self, features: NDArray[np.float32]) -> Encoded:
        """See Network."""
        feed = {"input_features": self._encoder.tensor(features)}
        (states,) = self._encoder.run(["last_hidden_state"], feed)
        return Encoded({"encoder_hidden_states": states}, features.shape[2] // 2)

    def step(
        self, encoded: Encoded, tokens: Sequence[int], cache: Cache | None, *, alignment: bool = False
    ) -> Step:
        """See Network."""
        if cache is None:
            return self._run(self._first, encoded, tokens, Cache(self._nothing(), 0))
        rows = []
        for token in tokens:
            step = self._run(self._later, encoded, [token], cache)
            rows.append(step.logits)
            cache = step.cache
        return Step(np.concatenate(rows), cache, None)

    def cut(self, cache: Cache, length: int) -> Cache:
        """See Network."""
        if length == cache.length:
            return cache
        tensors = dict(cache.tensors)
        for name in (name for name in tensors if ".decoder." in name):
            shorter = np.ascontiguousarray(tensors[name].numpy()[:, :, :length])
            tensors[name] = self._later.tensor(shorter)
        return Cache(tensors, length)

    def close(self) -> None:
        """See Network."""
        for session in (self._encoder, self._first, self._later):
            session.close()

    def _run(self, session: OnnxSession, encoded: Encoded, tokens: Sequence[int], cache: Cache) -> Step:
        length = cache.length + len(tokens)
        known = {
            "input_ids": session.tensor(np.array([tokens], np.int64)),
            "use_cache_branch": session.tensor(np.array([cache.length > 0])),
            "cache_position": session.tensor(np.arange(cache.length, length)),
            **encoded.tensors,
            **cache.tensors,
        }
        outputs = [name for name in session.outputs if name == "logits" or name.startswith("present.")]
        feed = {name: known[name] for name in session.inputs}
        found = dict(zip(outputs, session.run(outputs, feed), strict=True))
        return Step(found["logits"].numpy()[0], self._grown(cache, found, length), None)

    def _grown(self, cache: Cache, found: Mapping[str, Any], length: int) -> Cache:
        """The encoder's part is only calculated in the first evaluation; later it may come out empty."""
        tensors = dict(cache.tensors)
        for name in self._past:
            if cache.length == 0 or ".decoder." in name:
                tensors[name] = found[name.replace("past_key_values", "present")]
        return Cache(tensors, length)

    def _nothing(self) -> dict[str, Any]:
        empty = np.zeros((1, self._heads, 0, self._head_size), np.float32)
        return {name: self._first.tensor(empty) for name in self._past}

    def _check(self, folder: Path) -> None:
        given = {"input_ids", "encoder_hidden_states", "use_cache_branch", "cache_position", *self._past}
        unknown = sorted({*self._first.inputs, *self._later.inputs} - given)
        expected = {"logits", *(name.replace("past_key_values", "present") for name in self._past)}
        missing = sorted(expected - set(self._first.outputs))
        if unknown or missing or not self._past or self._encoder.inputs != ["input_features"]:
            what = f"takes {unknown[0]}" if unknown else f"lacks {(*missing, 'a cache')[0]}"
            raise ModelUnsupported(
                f"{folder}: an export that we do not know: it {what}",
                hint="export it with optimum-cli export onnx --task automatic-speech-recognition-with-past",
                path=str(folder),
            )


def _find(folder: Path, name: str) -> Path | None:
    places = (base / f"{name}{variant}.onnx" for variant in _VARIANTS for base in (folder, folder / "onnx"))
    return next((path for path in places if path.is_file()), None)


def _needed(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    if path is None:
        raise ModelNotFound(
            f"{folder}: no {name}.onnx in it, nor in its folder onnx",
            hint=f"the decoder is {_MERGED}.onnx, or {_FIRST}.onnx and {_LATER}.onnx",
            path=str(folder),
        )
    return path
