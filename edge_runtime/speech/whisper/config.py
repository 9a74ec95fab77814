"""The configuration of a Whisper model: special tokens and sizes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import ModelFileInvalid
from .vocabulary import Vocabulary

_TASKS = {"translate", "transcribe", "startoflm", "startofprev", "nocaptions", "nospeech", "notimestamps"}
_ENDS = {"endoftext", "startoftranscript"}


@dataclass(frozen=True)
class WhisperConfig:
    mel_bins: int  # 80; 128 for the large models from v3 on
    most_positions: int  # that the decoder can hold, prompt included: 448
    end: int  # text tokens are below it
    start: int
    no_timestamps: int
    no_speech: int | None
    transcribe: int | None  # None: a model for English alone, as are the next two
    translate: int | None
    languages: Mapping[str, int]  # {"en": 50259, ...}
    suppressed: NDArray[np.int64]
    suppressed_at_start: NDArray[np.int64]

    def for_english_alone(self) -> WhisperConfig:
        """Such a model's vocabulary can have tokens of languages and tasks that it was never taught."""
        return replace(self, languages={}, transcribe=None, translate=None)

    def prompt(self, language: str, *, translate: bool) -> tuple[int, ...]:
        """The control tokens before a transcript; `language` is one of `languages`."""
        task = self.translate if translate else self.transcribe
        if task is None or not self.languages:
            return self.start, self.no_timestamps
        return self.start, self.languages[language], task, self.no_timestamps


def make_config(
    vocabulary: Vocabulary,
    *,
    mel_bins: int,
    most_positions: int,
    suppressed: Iterable[int],
    suppressed_at_start: Iterable[int],
    path: Path,
) -> WhisperConfig:
    """Control tokens are found by name. Raises ModelFileInvalid, naming `path`, where one is missing."""
    named = {text[2:-2]: token for text, token in vocabulary.control_tokens.items()}
    missing = sorted({"endoftext", "startoftranscript", "notimestamps"} - set(named))
    if missing:
        raise ModelFileInvalid(
            f"{path}: the vocabulary lacks <|{missing[0]}|>, which every Whisper model has",
            hint="the folder mixes files of two models, or is not Whisper",
            path=str(path),
        )
    languages = {name: token for name, token in named.items() if name not in _TASKS | _ENDS}
    return WhisperConfig(
        mel_bins=mel_bins,
        most_positions=most_positions,
        end=named["endoftext"],
        start=named["startoftranscript"],
        no_timestamps=named["notimestamps"],
        no_speech=named.get("nospeech", named.get("nocaptions")),
        transcribe=named.get("transcribe"),
        translate=named.get("translate"),
        languages=languages,
        suppressed=_ids(suppressed, vocabulary, path),
        suppressed_at_start=_ids(suppressed_at_start, vocabulary, path),
    )


def _ids(tokens: Iterable[int], vocabulary: Vocabulary, path: Path) -> NDArray[np.int64]:
    found = sorted({token for token in tokens if token != -1})
    if found and not (found[0] >= 0 and found[-1] < len(vocabulary)):
        raise ModelFileInvalid(
            f"{path}: a suppressed token is not between 0 and {len(vocabulary) - 1}: {found[0]}, {found[-1]}",
            hint="the folder mixes files of two models",
            path=str(path),
        )
    return np.array(found, np.int64)
