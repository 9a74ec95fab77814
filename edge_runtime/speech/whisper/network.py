"""The interface of a Whisper network that decoding needs, independent of its file layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Encoded:
    """What the encoder made of the sound. The tensors stay with onnxruntime: 12 MB for 10 s (base)."""

    tensors: Mapping[str, Any]
    positions: int  # 50 for each second


@dataclass(frozen=True)
class Cache:
    """What the decoder remembers of its tokens."""

    tensors: Mapping[str, Any]
    length: int  # tokens


@dataclass(frozen=True)
class Step:
    logits: NDArray[np.float32]  # (n, vocabulary); the caller may write into it
    cache: Cache  # of all tokens so far
    alignment: (
        NDArray[np.float32] | None
    )  # (heads, n, positions) attention; None: not asked for, or not known


class Network(Protocol):
    frames_at_least: int  # the encoder takes no fewer
    vocabulary_size: int  # columns of its logits
    has_alignment: bool  # it gives the position in the sound that a token came from

    def encode(self, features: NDArray[np.float32]) -> Encoded:
        """(1, bins, frames), an even number of frames up to 3000."""

    def step(
        self, encoded: Encoded, tokens: Sequence[int], cache: Cache | None, *, alignment: bool = False
    ) -> Step:
        """The tokens, at least one, follow those in the cache; each sees only those before it."""

    def cut(self, cache: Cache, length: int) -> Cache:
        """The cache of its first `length` tokens, at least one."""

    def close(self) -> None: ...
