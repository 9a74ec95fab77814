"""Parts that recognizers without a model share: scripted_speech and tone_speech."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_runtime.speech.audio import Samples
from edge_runtime.speech.recognition.recognizer import (
    Recognition,
    RecognitionOptions,
    RecognizedWord,
    StopReason,
)
from edge_runtime.speech.vad import FRAME_SAMPLES


@dataclass(frozen=True)
class LoudSpeech:
    """A SpeechModel: what is loud is speech."""

    least_level: float = 0.5
    frame_samples: int = FRAME_SAMPLES

    def probabilities(self, frames: Samples) -> Samples:
        is_loud = np.abs(frames) >= self.least_level
        return np.where(is_loud.mean(axis=1) > 0.5, 0.95, 0.02).astype(np.float32)

    def reset(self) -> None:
        pass


def recognition(
    words: Sequence[RecognizedWord],
    options: RecognitionOptions,
    *,
    text: str | None = None,  # else that of the words
    language: str = "en",  # what is spoken
    logprob: float = -0.1,
    no_speech_probability: float = 0.0,
    stopped_by: StopReason = StopReason.END,
) -> Recognition:
    tokens = tuple(token for word in words for token in word.tokens)
    return Recognition(
        text=words_text(words) if text is None else text,
        tokens=tokens,
        token_logprobs=(logprob,) * len(tokens),
        mean_logprob=logprob,
        language=options.language or language,
        language_probability=1.0 if options.language else 0.95,
        no_speech_probability=no_speech_probability,
        stopped_by=stopped_by,
        context_s=10.0,
        words=tuple(words) if options.words else (),
    )


def words_text(words: Sequence[RecognizedWord]) -> str:
    return "".join(word.text for word in words).strip()
