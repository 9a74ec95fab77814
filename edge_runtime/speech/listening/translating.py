"""An utterance in English, whatever it was spoken in: the gist that Whisper itself can give."""

from __future__ import annotations

from ..audio import SPEECH_RATE_HZ, Samples
from ..recognition.recognizer import RecognitionOptions, Recognizer
from .gates import is_believable_mean
from .language import LanguageChoice


def translate(recognizer: Recognizer, language: LanguageChoice, samples: Samples) -> str:
    """(n,) -> English; nothing where there are hardly any words in it."""
    options = RecognitionOptions(language=language.code, translate=True)
    found = recognizer.recognize(samples, options)
    length_s = len(samples) / SPEECH_RATE_HZ
    language.heard(found, length_s)
    believable = is_believable_mean(found.mean_logprob, found.no_speech_probability, length_s)
    return found.text if believable else ""
