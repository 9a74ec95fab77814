"""Our own pair of graphs, encoder.onnx and decoder.onnx, as edge_runtime.speech.whisper.making writes them.

encoder: mel (1, bins, frames), any even number up to 3000 -> cross_k_i, cross_v_i for each layer of
the decoder. decoder: tokens (1, n), past_k_i, past_v_i (1, heads, past, size), cross_k_i, cross_v_i ->
logits (1, n, vocabulary), k_i, v_i with the past, alignment (heads that align, n, positions).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...backends.onnx.session import OnnxSession
from ...errors import ModelUnsupported
from .network import Cache, Encoded, Step

ENCODER_NAME, DECODER_NAME = "encoder.onnx", "decoder.onnx"


class OnnxPair:
    frames_at_least = 2

    def __init__(self, folder: Path, *, threads: int) -> None:
        """Raises EngineUnavailable, ModelNotFound, ModelFileInvalid, ModelUnsupported (other graphs)."""
        self._encoder = OnnxSession(folder / ENCODER_NAME, threads=threads)
        self._decoder = OnnxSession(folder / DECODER_NAME, threads=threads)
        self._cross = [name for name in self._encoder.outputs if name.startswith("cross_")]
        self._grown = [name for name in self._decoder.outputs if name.startswith(("k_", "v_"))]
        self._check(folder)
        self.mel_bins = self._encoder.size("mel", 1)
        self.vocabulary_size = self._decoder.output_size("logits", 2)
        self.has_alignment = "alignment" in self._decoder.outputs

    def encode(self, features: NDArray[np.float32]) -> Encoded:
        """See Network."""
        # Unmaps the used part of the table of tokens while the encoder needs room of its own. The call takes
        # 1 ms. Giving the heap back as well would save 10 MB of 260 and cost 4 % of the time.
        self._decoder.unmap_weights()
        found = self._encoder.run(self._cross, {"mel": self._encoder.tensor(features)})
        return Encoded(dict(zip(self._cross, found, strict=True)), features.shape[2] // 2)

    def step(
        self, encoded: Encoded, tokens: Sequence[int], cache: Cache | None, *, alignment: bool = False
    ) -> Step:
        """See Network."""
        cache = cache or self._empty_cache()
        wanted = ["logits", *self._grown, *(["alignment"] if alignment else [])]
        feed = {
            "tokens": self._decoder.tensor(np.array([tokens], np.int64)),
            **encoded.tensors,
            **cache.tensors,
        }
        found = dict(zip(wanted, self._decoder.run(wanted, feed), strict=True))
        grown = Cache({f"past_{name}": found[name] for name in self._grown}, cache.length + len(tokens))
        attention = found["alignment"].numpy() if alignment else None  # (heads, n, positions)
        return Step(found["logits"].numpy()[0], grown, attention)

    def cut(self, cache: Cache, length: int) -> Cache:
        """See Network."""
        if length == cache.length:
            return cache
        tensors = {
            name: self._decoder.tensor(np.ascontiguousarray(value.numpy()[:, :, :length]))
            for name, value in cache.tensors.items()
        }
        return Cache(tensors, length)

    def close(self) -> None:
        """See Network."""
        self._encoder.close()
        self._decoder.close()

    def _empty_cache(self) -> Cache:
        tensors = {}
        for name in (f"past_{name}" for name in self._grown):
            shape = (1, self._decoder.size(name, 1), 0, self._decoder.size(name, 3))
            tensors[name] = self._decoder.tensor(np.zeros(shape, np.float32))
        return Cache(tensors, 0)

    def _check(self, folder: Path) -> None:
        needed = {"tokens", *self._cross, *(f"past_{name}" for name in self._grown)}
        lacks = sorted(needed ^ set(self._decoder.inputs))
        if (
            lacks
            or not self._cross
            or "logits" not in self._decoder.outputs
            or self._encoder.inputs != ["mel"]
        ):
            raise ModelUnsupported(
                f"{folder}: encoder.onnx and decoder.onnx do not fit together as we know them:"
                f" {', '.join(lacks[:4]) or 'mel, cross_k_0, tokens or logits is missing'}",
                hint="convert the model again: edge-runtime models pull whisper-base",
                path=str(folder),
            )
