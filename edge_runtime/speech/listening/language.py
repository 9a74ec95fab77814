"""The language of a stream: detected once, and kept unless the evidence against it is good."""

from __future__ import annotations

from ..audio import SPEECH_RATE_HZ, Samples
from ..recognition.recognizer import Recognition, Recognizer

_SURE, _SURE_AFTER_S = 0.8, 1.5
_TAKEN_AFTER_S = 4.0  # whatever its probability
_DOUBT_LOGPROB = -0.7  # words in the wrong language are unlikely ones
_DOUBT_AFTER_S = 2.0
_OTHER_PROBABILITY = 0.9


class LanguageChoice:
    def __init__(self, given: str | None) -> None:
        self.code = given  # None: not known yet
        self.latest = given or ""  # of the last recognition
        self._fixed = given is not None

    @property
    def settled(self) -> bool:
        return self.code is not None

    def update(self, recognition: Recognition, duration_s: float) -> None:
        """A piece was recognized; without a language being given, if none is settled."""
        self.latest = recognition.language
        if self.settled:
            return
        sure = recognition.language_probability >= _SURE and duration_s >= _SURE_AFTER_S
        if sure or duration_s >= _TAKEN_AFTER_S:
            self.code = recognition.language

    def reconsider(self, recognizer: Recognizer, samples: Samples, mean_logprob: float) -> bool:
        """After an utterance whose words were unlikely: whether the language has changed."""
        if self._fixed or not self.settled or mean_logprob > _DOUBT_LOGPROB:
            return False
        if len(samples) < _DOUBT_AFTER_S * SPEECH_RATE_HZ:
            return False
        code, probability = recognizer.detect_language(samples)
        if code == self.code or probability < _OTHER_PROBABILITY:
            return False
        self.code = code
        return True
