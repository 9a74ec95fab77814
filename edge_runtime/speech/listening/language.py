"""The language of a stream: detected once, and kept unless the evidence against it is good."""

from __future__ import annotations

from dataclasses import replace

from ..audio import SPEECH_RATE_HZ, Samples
from ..recognition.recognizer import Recognition, RecognitionOptions, Recognizer

_SURE, _SURE_AFTER_S = 0.8, 1.5
_TAKEN_AFTER_S = 4.0  # whatever its probability
_DOUBT_LOGPROB = -0.7  # words in the wrong language are unlikely ones
_DOUBT_AFTER_S = 2.0
_OTHER_PROBABILITY = 0.9
_BEGINNING_S = 6.0


class LanguageChoice:
    def __init__(self, given: str | None) -> None:
        self.code = given  # None: not known yet
        self.latest = given or ""  # of the last recognition
        self.given = given

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

    def doubts(self, mean_logprob: float) -> bool:
        """Whether words so unlikely may be in another language."""
        return self.given is None and self.settled and mean_logprob <= _DOUBT_LOGPROB

    def recognize_alone(self, recognizer: Recognizer, samples: Samples) -> Recognition:
        """A piece that may be in another language than the rest, unless the language was given."""
        options = RecognitionOptions(language=self.given, words=True)
        beginning = samples[: round(_BEGINNING_S * SPEECH_RATE_HZ)]
        if self.given is None and len(beginning) < len(samples):  # later in it, the language may change again
            options = replace(options, language=recognizer.detect_language(beginning)[0])
        found = recognizer.recognize(samples, options)
        if self.settled and found.language != self.code:
            kept = recognizer.recognize(samples, replace(options, language=self.code))
            found = max(found, kept, key=lambda one: (bool(one.words), one.mean_logprob))
        self.latest = found.language
        return found

    def reconsider(self, recognizer: Recognizer, samples: Samples, mean_logprob: float) -> bool:
        """After an utterance whose words were unlikely: whether the language has changed."""
        if not self.doubts(mean_logprob):
            return False
        if len(samples) < _DOUBT_AFTER_S * SPEECH_RATE_HZ:
            return False
        code, probability = recognizer.detect_language(samples)
        if code == self.code or probability < _OTHER_PROBABILITY:
            return False
        self.code = code
        return True
