"""The interface between the engine and the library underneath; `backends/llama` implements it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..memory.residency import ResidencyKeeper, ResidencyLayout
from ..values.records import SamplingOptions, TokenText
from .context_settings import ContextSettings

Float32Array = NDArray[np.float32]


@dataclass(slots=True)
class Chunk:
    """Consecutive tokens of one sequence, for one step. A slot owns one and rewrites it."""

    sequence: int
    first_position: int
    tokens: Sequence[int]
    wants_logits: bool  # of its last token


class DecodeStatus(Enum):
    DONE = "done"
    NO_ROOM = "no room"  # nothing was evaluated; the session is good
    ABORTED = "aborted"  # a part may have been evaluated


class TokenSampler(Protocol):
    """Draws tokens for one request; holds its random state and its grammar."""

    def sample(self, logits: Float32Array) -> int:
        """(vocabulary,) logits -> token id. May change `logits` in place."""

    def close(self) -> None: ...


class Backend(Protocol):
    """One model with one context. Everything but abort() belongs to one thread."""

    vocabulary_size: int
    context_tokens: int  # most that one sequence may hold
    max_sequences: int
    batch_tokens: int  # most tokens in one step
    state_key: bytes  # names the model and library that a saved state belongs to
    window_tokens: int  # sliding attention window; 0: none
    keeper: ResidencyKeeper | None  # of the pages of its weights

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...
    def tokenize_prompt(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...
    def token_text(self, token: int) -> TokenText: ...
    def is_control(self, token: int) -> bool: ...
    def decode(self, chunks: Sequence[Chunk]) -> DecodeStatus: ...
    def logits(self, chunk_index: int) -> Float32Array: ...
    def abort(self) -> None: ...
    def arm_abort(self) -> None: ...
    def remove(self, sequence: int, first_position: int) -> bool: ...
    def copy(self, source: int, target: int, end_position: int) -> None: ...
    def first_position(self, sequence: int) -> int: ...
    def save_sequence(self, sequence: int, tokens: Sequence[int], path: Path) -> int: ...
    def load_sequence(self, sequence: int, path: Path) -> list[int]: ...
    def make_sampler(self, sampling: SamplingOptions, grammar: str | None, seed: int) -> TokenSampler: ...
    def embed(self, token_lists: Sequence[Sequence[int]]) -> Float32Array: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class BackendOptions(ContextSettings):
    """A model and its context."""

    use_extra_bufts: bool = True  # repacked weights: faster, a copy of some tensors in another order
    gpu_layers: int | None = None  # None: all that a GPU can take
    residency: ResidencyLayout | None = None  # None: the mapping is left to the system
