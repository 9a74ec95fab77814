"""Silero VAD (version 5 and 6) in onnxruntime: the probability of speech for each 32 ms."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from ...backends.onnx.session import onnx_errors, open_session
from ...errors import ModelUnsupported
from ..audio import SPEECH_RATE_HZ, Samples

FRAME_SAMPLES = 512
_CONTEXT_SAMPLES = 64  # the end of the frame before, in front of each frame; source: silero_vad/utils_vad.py
_STATE_SIZE = 128  # of the LSTM
_MOST_FRAMES_AT_ONCE = 64


class SileroModel:
    """The network and its state from the frames before.

    Reads both kinds of file that the silero-vad package brings: one frame a call (state in,
    state out), and `silero_vad_16k_sequence.onnx`, which takes many frames a call for a
    third to half of the work, with the same results to the last bit.
    """

    frame_samples = FRAME_SAMPLES

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Raises EngineUnavailable, ModelNotFound, ModelFileInvalid, ModelUnsupported (another model)."""
        session = open_session(Path(path))
        names = {entry.name for entry in session.get_inputs()}
        if {"input", "h", "c"} <= names:
            self._graph: _SequenceGraph | _StepGraph = _SequenceGraph(session)
        elif {"input", "state"} <= names:
            self._graph = _StepGraph(session, takes_rate="sr" in names)
        else:
            raise _not_silero(path, f"it takes {', '.join(sorted(names))}")
        refused: tuple[type[Exception], ...] = (*onnx_errors(), ValueError, IndexError)
        self.reset()
        try:
            self.probabilities(np.zeros((1, FRAME_SAMPLES), np.float32))
        except refused as error:  # other shapes or outputs than Silero's
            raise _not_silero(path, str(error)) from error
        self.reset()

    def probabilities(self, frames: Samples) -> Samples:
        """(n, 512) sound in [-1, 1] at 16 kHz -> (n,) in [0, 1]. The frames follow those given before."""
        found = [
            self._run(frames[n : n + _MOST_FRAMES_AT_ONCE])
            for n in range(0, len(frames), _MOST_FRAMES_AT_ONCE)
        ]
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def reset(self) -> None:
        """Forget the frames before."""
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._graph.reset()

    def _run(self, frames: Samples) -> Samples:
        contexts = np.vstack((self._context, frames[:-1, -_CONTEXT_SAMPLES:]))  # (n, 64)
        self._context = frames[-1, -_CONTEXT_SAMPLES:].copy()
        return self._graph.run(np.concatenate((contexts, frames), axis=1, dtype=np.float32))


def _not_silero(path: str | os.PathLike[str], found: str) -> ModelUnsupported:
    return ModelUnsupported(
        f"{os.fspath(path)} is not a Silero VAD of version 5 or 6: {found}",
        hint="edge-runtime models pull silero-vad",
        path=os.fspath(path),
    )


class _SequenceGraph:
    def __init__(self, session: Any) -> None:
        self._session = session
        self.reset()

    def reset(self) -> None:
        self._hidden = self._cell = np.zeros((1, 1, _STATE_SIZE), np.float32)

    def run(self, frames: Samples) -> Samples:
        """(n, 576) -> (n,)"""
        feed = {"input": frames, "h": self._hidden, "c": self._cell}
        found, self._hidden, self._cell = self._session.run(["speech_probs", "hn", "cn"], feed)
        return np.asarray(found, np.float32).reshape(-1)


class _StepGraph:
    def __init__(self, session: Any, *, takes_rate: bool) -> None:
        self._session = session
        self._rate = {"sr": np.array(SPEECH_RATE_HZ, np.int64)} if takes_rate else {}
        self.reset()

    def reset(self) -> None:
        self._state = np.zeros((2, 1, _STATE_SIZE), np.float32)

    def run(self, frames: Samples) -> Samples:
        """(n, 576) -> (n,)"""
        return np.array([self._step(frames[n : n + 1]) for n in range(len(frames))], np.float32)

    def _step(self, frame: Samples) -> float:
        feed = {"input": frame, "state": self._state, **self._rate}
        found, self._state = self._session.run(["output", "stateN"], feed)
        return float(found[0, 0])
