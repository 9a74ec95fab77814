"""Whisper in faster-whisper: a folder as CTranslate2 has it, without conversion.

faster-whisper opens and encodes. Its transcribe() takes the beginning of a transcript as text alone, and
encodes 30 s each time: so the CTranslate2 model inside it writes and aligns. A draft spares nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import BackendFailed, ConversionError, EngineUnavailable, ModelFileInvalid, ModelNotFound
from ..recognition.recognizer import StopReason
from .alignment import POSITIONS_PER_S
from .attempt import Attempt, Guard, Language, Wanted
from .config import WhisperConfig
from .ctranslate2_file import open_ctranslate2
from .features import FRAMES_PER_S
from .greedy import Transcript, log_sum
from .loop_guard import usual_tokens
from .model_files import read_object, whole_numbers
from .network import Encoded
from .shape import WhisperShape, are_heads, read_shape
from .vocabulary import Vocabulary

MODEL_NAME = "model.bin"
_STATES = "encoder_states"
_LEAST_TOKENS = 4  # asked for fewer, CTranslate2 returns nothing
_FAILURES = RuntimeError, ValueError, IndexError, OverflowError, MemoryError


def is_ctranslate2(folder: Path) -> bool:
    return (folder / MODEL_NAME).is_file()


def read_ctranslate2(folder: Path) -> WhisperShape:
    """Its sizes, once all that it names is there: CTranslate2 itself would read past its tables.

    Raises ModelNotFound and ModelFileInvalid.
    """
    if not (folder / "tokenizer.json").is_file():
        raise ModelNotFound(
            f"{folder / 'tokenizer.json'}: no such file; without it faster-whisper would ask the network",
            hint="put the tokenizer.json of the model there: its source has it",
            path=str(folder),
        )
    try:
        with open_ctranslate2(folder / MODEL_NAME) as file:
            shape = read_shape(file)
    except ConversionError as error:
        raise ModelFileInvalid(f"{folder}: {error}", hint=error.hint, path=str(folder)) from error
    _check_settings(folder / "config.json", shape)
    return shape


def _check_settings(path: Path, shape: WhisperShape) -> None:
    content = read_object(path)
    tokens = [*whole_numbers(content, "lang_ids", path), *whole_numbers(content, "suppress_ids_begin", path)]
    heads = content.get("alignment_heads", [[0, 0]])  # absent: it takes its own choice
    if not (heads and are_heads(heads, shape) and all(0 <= token < shape.vocabulary for token in tokens)):
        raise ModelFileInvalid(
            f"{path}: lang_ids, suppress_ids_begin or alignment_heads names what {MODEL_NAME} lacks:"
            f" it has {shape.vocabulary} tokens, and {shape.heads} heads in each of"
            f" {shape.decoder_layers} layers",
            hint="the folder mixes files of two models: fetch it again",
            path=str(path),
        )


class FasterWhisper:
    """A folder's model: numbers in, numbers out."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        """A folder that read_ctranslate2 has checked. Raises EngineUnavailable and ModelFileInvalid."""
        self._folder = folder
        faster_whisper = _load(folder)
        try:
            self._whisper: Any = faster_whisper.WhisperModel(
                str(folder), device="cpu", compute_type="auto", cpu_threads=threads, local_files_only=True
            )
        except Exception as error:
            raise ModelFileInvalid(
                f"{folder} is not a model that faster-whisper can open: {error}",
                hint="fetch it again, or edge-runtime models pull whisper-base",
                path=str(folder),
            ) from error
        self.is_multilingual = bool(self._whisper.model.is_multilingual)

    def encode(self, features: NDArray[np.float32]) -> Any:
        with self._failing():
            return self._whisper.encode(features)

    def generate(
        self, states: Any, prompt: Sequence[int], prefix: Sequence[int], most: int, suppressed: Sequence[int]
    ) -> Any:
        """Greedily, at most `most` tokens, or a few more where that is little; with those of the prefix."""
        with self._failing():
            (found,) = self._whisper.model.generate(
                states,
                [[*prompt, *prefix]],
                beam_size=1,
                max_length=2 * max(most, _LEAST_TOKENS),  # half of it is for the transcript
                suppress_blank=not prefix,  # after a prefix, too, it would keep the transcript from ending
                suppress_tokens=list(suppressed),
                return_logits_vocab=True,
                return_no_speech_prob=True,
            )
        return found

    def align(
        self, states: Any, prompt: Sequence[int], tokens: Sequence[int], frames: int
    ) -> list[tuple[int, int]]:
        """(token, position) along the path through the sound, the end as one more token."""
        with self._failing():
            (found,) = self._whisper.model.align(states, list(prompt), [list(tokens)], frames)
        return list(found.alignments)

    def detect_language(self, states: Any) -> list[tuple[str, float]]:
        """("<|en|>", probability), the likeliest first."""
        with self._failing():
            (found,) = self._whisper.model.detect_language(states)
        return list(found)

    def close(self) -> None:
        self._whisper = None

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except _FAILURES as error:
            raise BackendFailed(
                f"{self._folder}: CTranslate2 stopped: {error}",
                hint="the files may be damaged: fetch the model again",
                path=str(self._folder),
            ) from error


class FasterWhisperEngine:
    """An Engine."""

    frames_at_least = 2
    gives_times = True

    def __init__(
        self, model: FasterWhisper, vocabulary: Vocabulary, config: WhisperConfig, tokens: int
    ) -> None:
        """`tokens`: that the network knows."""
        self._model, self._vocabulary, self._config = model, vocabulary, config
        after_end = range(config.end + 1, tokens)  # control tokens and timestamps
        self._suppressed = [*config.suppressed.tolist(), *after_end]

    def encode(self, features: NDArray[np.float32]) -> Encoded:
        """See Engine."""
        return Encoded({_STATES: self._model.encode(features)}, features.shape[2] // 2)

    def attempt(self, encoded: Encoded, wanted: Wanted, duration_s: float) -> Attempt:
        """See Engine."""
        language = Language(wanted.language or "en", 1.0)
        if wanted.language is None:
            language = self.detect_language(encoded)
        prompt = self._config.prompt(language.code, translate=wanted.translate)
        states = encoded.tensors[_STATES]
        transcript, no_speech = self._write(states, prompt, wanted, duration_s)
        times_s = self._times_s(states, prompt, transcript.tokens, duration_s) if wanted.alignment else ()
        return Attempt(transcript, language, no_speech, times_s)

    def detect_language(self, encoded: Encoded) -> Language:
        """See Engine."""
        found = self._model.detect_language(encoded.tensors[_STATES]) if self._config.languages else []
        named = ((token[2:-2], probability) for token, probability in found)
        known = (Language(*pair) for pair in named if pair[0] in self._config.languages)
        return next(known, Language("en", 1.0))

    def close(self) -> None:
        """See Engine."""
        self._model.close()

    def _write(
        self, states: Any, prompt: Sequence[int], wanted: Wanted, duration_s: float
    ) -> tuple[Transcript, float]:
        """The guard runs once the usual number of tokens is written: CTranslate2 cannot be stopped before."""
        room = self._config.most_positions // 2  # as CTranslate2 has it
        most = max(len(wanted.prefix), min(room, wanted.most_tokens or room))
        usual = max(len(wanted.prefix), usual_tokens(duration_s))
        tokens, evaluated = list(wanted.prefix), 0
        for limit in sorted({min(usual, most), most}):
            found = self._model.generate(states, prompt, tokens, limit, self._suppressed)
            guard = Guard(self._vocabulary, duration_s, len(wanted.prefix))
            transcript = self._read(found, limit, guard, len(wanted.prefix))
            evaluated += len(prompt) + len(transcript.tokens)
            tokens = transcript.tokens
            if transcript.stopped_by is not StopReason.LIMIT:
                break
        transcript.evaluated_tokens = evaluated
        return transcript, float(found.no_speech_prob)

    def _read(self, found: Any, limit: int, guard: Guard, prefix_tokens: int) -> Transcript:
        """Token for token, as the guard would have seen it come."""
        transcript, tokens = Transcript(), found.sequences_ids[0]
        for place, row in enumerate(found.logits[0][:limit]):
            logits = np.asarray(row)
            token = tokens[place] if place < len(tokens) else self._config.end
            transcript.logprobs.append(float(logits[token]) - log_sum(logits))
            if place == len(tokens):
                transcript.stopped_by = StopReason.END
                break
            transcript.tokens.append(token)
            if place >= prefix_tokens and guard(transcript):
                transcript.stopped_by = StopReason.GUARD
                break
        return transcript

    def _times_s(
        self, states: Any, prompt: Sequence[int], tokens: Sequence[int], duration_s: float
    ) -> tuple[float, ...]:
        if not tokens:
            return ()
        start = [token for token in prompt if token != self._config.no_timestamps]  # it adds that itself
        frames = max(2, round(duration_s * FRAMES_PER_S))
        starts: dict[int, float] = {}
        for token, position in self._model.align(states, start, tokens, frames):
            starts.setdefault(token, position / POSITIONS_PER_S)
        return tuple(starts[token] for token in range(len(tokens) + 1))


def _load(folder: Path) -> Any:
    try:
        return import_module("faster_whisper")
    except (ImportError, OSError) as error:
        raise EngineUnavailable(
            f"{folder} is a CTranslate2 model; faster-whisper, which runs it, does not load: {error}",
            hint='pip install "edge-runtime[speech,faster-whisper]"; or do without it:'
            " edge-runtime models pull whisper-base",
            path=str(folder),
        ) from error
