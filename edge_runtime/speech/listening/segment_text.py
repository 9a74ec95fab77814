"""The words of one speech segment while it grows, as recognition passes confirm them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..audio import SPEECH_RATE_HZ, Samples
from ..recognition.recognizer import Recognition, RecognitionOptions, RecognizedWord, Recognizer
from .agreement import Guess, certain_words, compare, follow, tokens_of
from .gates import is_believable, is_runaway, mean_logprob
from .language import LanguageChoice
from .stats import ListenStats

Words = tuple[RecognizedWord, ...]

# A pass that covered so much of the quiet after the last word need not be repeated at the end.
_COVERED_ENOUGH_S = 0.1
# Most of a pass's cost is the encoder's, by the length it takes. Over 111 s in five languages, passes of at
# least 7 s had the errors of passes of 8 s (29 of 244 words), for a seventeenth less of its time.
_PASS = RecognitionOptions(words=True, second_try=False, least_context_s=7.0)
_LAST_PASS = RecognitionOptions(words=True)
_NOTHING, _SILENCE = Guess(), np.zeros(0, np.float32)
_TOUCHES_S = 0.1  # nearer to the end of the sound, a word may be cut off: times are not exact
_LONGEST_LEAD_S = 2.0
# Speech after the last word that is recognized once more, alone. A sentence said twice is written once:
# with the first as prefix, Whisper takes the second for the same one and ends.
_LEFT_OUT_S = 1.5


class Carried(NamedTuple):
    """State that the segment after a cut takes over. Times count from the start of `lead`."""

    final: Words = ()  # words that are certain, and whose sound goes on after the cut
    guess: Guess = _NOTHING  # what is thought to follow them
    lead: Samples = _SILENCE  # (n,) sound before the cut whose words are not final


class SegmentText:
    """Times of words are seconds from the segment's start."""

    def __init__(
        self,
        recognizer: Recognizer,
        language: LanguageChoice,
        stats: ListenStats,
        carried: Carried | None = None,
    ) -> None:
        """`carried`: from a segment that was cut where this one begins."""
        self.final, self.guess, self._lead = carried or Carried()
        self.processed_samples = 0  # of the segment, by the last pass
        self._plausible = True  # the last pass did not run away
        self._recognizer, self._language, self._stats = recognizer, language, stats
        self._no_speech_probability = 0.0

    @property
    def lead_s(self) -> float:
        """How long before the segment's start times begin to count."""
        return len(self._lead) / SPEECH_RATE_HZ

    def run_pass(self, samples: Samples) -> Words:
        """Recognize the segment as far as it goes, (n,): the words that have become certain."""
        recognition = self._recognize(samples, _PASS)
        self.processed_samples, self._plausible = len(samples), not is_runaway(recognition)
        if not self._plausible:
            return ()
        sound_s = self.lead_s + len(samples) / SPEECH_RATE_HZ
        self.guess = compare(self.guess, follow(recognition.words, self.final))
        trusted = self._language.settled and bool(self._credible(sound_s))
        count = certain_words(self.guess, sound_s) if trusted else 0
        certain, self.guess = (
            self.guess.words[:count],
            Guess(self.guess.words[count:], self.guess.passes[count:]),
        )
        self.final += certain
        return certain

    def has_processed(self, end_sample: int) -> bool:
        """Whether the last pass went so far that another one would find the same."""
        return self.processed_samples >= end_sample - _COVERED_ENOUGH_S * SPEECH_RATE_HZ

    @property
    def shown(self) -> Words:
        """The guess, as far as it is worth showing."""
        return self._credible(self.lead_s + self.processed_samples / SPEECH_RATE_HZ)

    def finish(self, samples: Samples) -> Words:
        """The segment is over, (n,): the words that were not certain yet."""
        if not self._plausible or not self.has_processed(len(samples)):
            self._run_last_pass(samples)
        if not self.final and self._language.reconsider(
            self._recognizer, samples, mean_logprob(self.guess.words)
        ):
            self.guess = _NOTHING
            self._run_last_pass(samples)
        words = self._believed(self.lead_s + len(samples) / SPEECH_RATE_HZ)
        return words + self._left_out(samples, words, _LEFT_OUT_S)

    def cut(self, samples: Samples) -> tuple[Words, Carried]:
        """The segment ends here, (n,), in the middle of speech: what is certain now, and the rest.

        A word belongs to the side on which its middle lies. Where nothing beyond the cut has been
        processed, the last word may be half a word: it waits for the sound that follows.
        """
        end_s = self.lead_s + len(samples) / SPEECH_RATE_HZ
        last_s = end_s
        if not self._plausible or self.processed_samples < len(samples):
            self._run_last_pass(samples)
            last_s -= _TOUCHES_S
        rest = [n for n, word in enumerate(self.guess.words) if _is_beyond(word, end_s, last_s)]
        count = min(rest, default=len(self.guess.words))
        later = Guess(self.guess.words[count:], self.guess.passes[count:])
        self.guess = Guess(self.guess.words[:count])
        words = self._believed(end_s)
        if not later.words:  # the next segment gets no more than the lead
            left_out = self._left_out(samples, words, _LONGEST_LEAD_S)
            words += tuple(word for word in left_out if word.end_s <= end_s - _TOUCHES_S)
        return words, self._carry(self.final + words, later, samples)

    def _carry(self, final: Words, guess: Guess, samples: Samples) -> Carried:
        sound = np.concatenate((self._lead, samples))
        end_s = len(sound) / SPEECH_RATE_HZ
        again = tuple(word for word in final if word.end_s > end_s + _TOUCHES_S)
        seam_s = end_s if again else max(final[-1].end_s if final else 0.0, end_s - _LONGEST_LEAD_S)
        lead = sound[round(min(seam_s, end_s) * SPEECH_RATE_HZ) :].copy()
        shift_s = len(lead) / SPEECH_RATE_HZ - end_s
        return Carried(_moved(again, shift_s), Guess(_moved(guess.words, shift_s), guess.passes), lead)

    def _run_last_pass(self, samples: Samples) -> None:
        recognition = self._recognize(samples, _LAST_PASS)
        self.guess = Guess(follow(recognition.words, self.final))

    def _left_out(self, samples: Samples, words: Words, least_s: float) -> Words:
        """Words spoken after `words` that a prefix kept from being written."""
        if not self.final:
            return ()
        start_s = (*self.final, *words)[-1].end_s
        rest = np.concatenate((self._lead, samples))[round(start_s * SPEECH_RATE_HZ) :]
        if len(rest) < least_s * SPEECH_RATE_HZ:
            return ()
        self._stats.decodes += 1
        found = self._recognizer.recognize(rest, replace(_LAST_PASS, language=self._language.code))
        is_good = is_believable(found.words, found.no_speech_probability, len(rest) / SPEECH_RATE_HZ)
        return _moved(found.words, start_s) if is_good and not is_runaway(found) else ()

    def _believed(self, end_s: float) -> Words:
        rest, self.guess = self._credible(end_s), _NOTHING
        return rest

    def _credible(self, end_s: float) -> Words:
        start_s = self.final[-1].end_s if self.final else 0.0
        believable = is_believable(self.guess.words, self._no_speech_probability, end_s - start_s)
        return self.guess.words if believable else ()

    def _recognize(self, samples: Samples, options: RecognitionOptions) -> Recognition:
        self._stats.decodes += 1
        recognition = self._recognizer.recognize(
            np.concatenate((self._lead, samples)),
            replace(options, language=self._language.code),
            prefix=tokens_of(self.final),
            draft=tokens_of(self.guess.words),
        )
        self._no_speech_probability = recognition.no_speech_probability
        self._language.update(recognition, len(samples) / SPEECH_RATE_HZ)
        return recognition


def _is_beyond(word: RecognizedWord, middle_s: float, end_s: float) -> bool:
    """Whether its middle lies behind middle_s; where that is not all the sound, its end behind end_s."""
    return (word.start_s + word.end_s) / 2 >= middle_s or (end_s < middle_s and word.end_s > end_s)


def _moved(words: Words, seconds: float) -> Words:
    return tuple(replace(word, start_s=word.start_s + seconds, end_s=word.end_s + seconds) for word in words)
