"""The interface of a sound file that is being decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .timeline import Loss


class SoundPiece(NamedTuple):
    frames: NDArray[np.float32]  # (samples, channels); floats as they are in the file
    rate_hz: int
    lost_before: int = 0  # samples, at rate_hz


class BrokenOff(Exception):
    """The rest cannot be read; the system's reason."""


class DecodedSound(Protocol):
    codec: str  # as FFmpeg calls it
    rate_hz: int
    channels: int
    duration_s: float | None
    promised_s: float | None  # by the file's own header, where that can be believed

    @property
    def read_s(self) -> float:
        """So far, holes included."""

    @property
    def damaged_packets(self) -> int: ...

    @property
    def losses(self) -> Sequence[Loss]:
        """What could not be decoded so far, in order."""

    def pieces(self) -> Iterator[SoundPiece]:
        """Raises BrokenOff."""
