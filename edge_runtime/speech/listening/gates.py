"""Plausibility checks: transcripts of speech, as against what Whisper makes up from noise or silence."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..audio import SPEECH_RATE_HZ, Samples, quietest_sample
from ..recognition.recognizer import (
    Recognition,
    RecognitionOptions,
    RecognizedWord,
    Recognizer,
    StopReason,
)
from .language import LanguageChoice

# Source of the pair and of its values: openai/whisper, whisper/transcribe.py.
_NO_SPEECH_PROBABILITY, _NO_SPEECH_LOGPROB = 0.6, -1.0
_WORST_LOGPROB = -1.3  # a mean below it is guessing
_LEAST_HALVED_S = 4.0  # a shorter runaway is not cut in two
_SHORT_S, _WORST_SHORT_LOGPROB = 0.8, -0.9  # a scrap of sound has to be clearer
# Of 91 words cut out tightly, 14 fall below the limits above, and 7 of them below this one; of the single
# words that Whisper makes up from a voice without words, all that fall below those do so here as well.
_WORST_WORD_LOGPROB = -0.95


def is_believable(words: Sequence[RecognizedWord], no_speech_probability: float, sound_s: float) -> bool:
    """`sound_s`: how much sound there is for these words."""
    return is_believable_mean(mean_logprob(words), no_speech_probability, sound_s)


def is_believable_mean(mean: float, no_speech_probability: float, sound_s: float) -> bool:
    """`mean`: log-probability of a token."""
    if no_speech_probability > _NO_SPEECH_PROBABILITY and mean < _NO_SPEECH_LOGPROB:
        return False
    return mean >= (_WORST_SHORT_LOGPROB if sound_s < _SHORT_S else _WORST_LOGPROB)


def is_believable_word(words: Sequence[RecognizedWord], mean: float) -> bool:
    """A single word that is all of a piece, after which Whisper is sure of the end.

    `mean`: log-probability of its tokens and of the end. Spoken alone, a word may be written in
    several ways ("Fifth", "5th", "fifth."), each of which is less likely for that.
    """
    return len(words) == 1 and mean >= _WORST_WORD_LOGPROB


def is_believable_piece(found: Recognition, sound_s: float) -> bool:
    """All of a piece was recognized at once."""
    if is_believable_word(found.words, found.mean_logprob):
        return True
    return is_believable(found.words, found.no_speech_probability, sound_s)


def is_runaway(recognition: Recognition) -> bool:
    """The recognizer's guard stopped it: what it wrote is a loop, or more than can be said."""
    return recognition.stopped_by is StopReason.GUARD


def mean_logprob(words: Sequence[RecognizedWord]) -> float:
    """Of their tokens; 0 of none."""
    count = sum(len(word.tokens) for word in words)
    total = sum(math.log(max(word.probability, 1e-30)) * len(word.tokens) for word in words)
    return total / count if count else 0.0


def translate(recognizer: Recognizer, language: LanguageChoice, samples: Samples) -> str:
    """(n,) -> an English translation by Whisper itself; "" where the result is not plausible."""
    options = RecognitionOptions(language=language.code, translate=True)
    found = recognizer.recognize(samples, options)
    length_s = len(samples) / SPEECH_RATE_HZ
    if is_runaway(found) and length_s >= _LEAST_HALVED_S:  # half of it may go well
        halves = np.split(samples, [quietest_sample(samples, length_s / 4, length_s * 3 / 4)])
        return " ".join(filter(None, (translate(recognizer, language, half) for half in halves)))
    language.update(found, length_s)
    believable = is_believable_mean(found.mean_logprob, found.no_speech_probability, length_s)
    return found.text if believable else ""
