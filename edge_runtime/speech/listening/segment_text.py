"""The words of one speech segment while it grows, as recognition passes confirm them."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from ..audio import SPEECH_RATE_HZ, Samples
from ..recognition.recognizer import Recognition, RecognitionOptions, RecognizedWord, Recognizer
from .agreement import Guess, certain_words, compare, follow, tokens_of
from .completion import UNWRITTEN_BEFORE_S, UNWRITTEN_S, Completion, Words, moved
from .gates import is_believable, is_believable_word, is_runaway, mean_logprob
from .language import LanguageChoice
from .stats import ListenStats

# A pass that covered so much of the quiet after the last word need not be repeated at the end.
_COVERED_ENOUGH_S = 0.1
# Most of a pass's cost is the encoder's, by the length it takes. Over 111 s in five languages, passes of at
# least 7 s had the errors of passes of 8 s (29 of 244 words), for a seventeenth less of its time.
_PASS = RecognitionOptions(words=True, second_try=False, least_context_s=7.0)
_LAST_PASS = RecognitionOptions(words=True)
_NOTHING, _SILENCE = Guess(), np.zeros(0, np.float32)
_TOUCHES_S = 0.1  # nearer to the end of the sound, a word may be cut off: times are not exact
_LONGEST_LEAD_S = 2.0


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
        self._no_speech_probability = self._mean_logprob = 0.0  # of the last pass

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
        trusted = self._language.settled and bool(self._credible(sound_s)) and not self._is_doubtful
        count = certain_words(self.guess, sound_s) if trusted else 0
        certain, self.guess = (
            self.guess.words[:count],
            Guess(self.guess.words[count:], self.guess.passes[count:]),
        )
        self.final += certain
        return certain

    @property
    def _is_doubtful(self) -> bool:
        """Whether, at the end of the segment, other words than the guess may turn out to be right:
        in another language, or before it."""
        if self.guess.words and self.guess.words[0].start_s - self._final_end_s >= UNWRITTEN_BEFORE_S:
            return True
        return not self.final and self._language.doubts(mean_logprob(self.guess.words))

    @property
    def _final_end_s(self) -> float:
        return self.final[-1].end_s if self.final else 0.0

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
        return self._completed(samples, words)

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
            count, words = len(words), self._completed(samples, words)
            words = tuple(
                word for n, word in enumerate(words) if n < count or word.end_s <= end_s - _TOUCHES_S
            )
        return words, self._carry(self.final + words, later, samples)

    def _carry(self, final: Words, guess: Guess, samples: Samples) -> Carried:
        sound = np.concatenate((self._lead, samples))
        end_s = len(sound) / SPEECH_RATE_HZ
        again = tuple(word for word in final if word.end_s > end_s + _TOUCHES_S)
        seam_s = end_s if again else max(final[-1].end_s if final else 0.0, end_s - _LONGEST_LEAD_S)
        lead = sound[round(min(seam_s, end_s) * SPEECH_RATE_HZ) :].copy()
        shift_s = len(lead) / SPEECH_RATE_HZ - end_s
        return Carried(moved(again, shift_s), Guess(moved(guess.words, shift_s), guess.passes), lead)

    def _run_last_pass(self, samples: Samples) -> None:
        recognition = self._recognize(samples, _LAST_PASS)
        self.guess = Guess(follow(recognition.words, self.final))

    def _completed(self, samples: Samples, words: Words) -> Words:
        """`words`, which follow the final ones, and what was said without being written.

        With a prefix, for example, Whisper takes a sentence said twice for one.
        """
        start_s = self._final_end_s
        rest = np.concatenate((self._lead, samples))[round(start_s * SPEECH_RATE_HZ) :]
        if not words and self.final and len(rest) < UNWRITTEN_S * SPEECH_RATE_HZ:
            return ()
        if not (words or self.final) and self._language.given == self._language.code:
            return ()  # another try would be the same
        completion = Completion(self._recognize_alone)
        parts = completion.complete(rest, moved(words, -start_s), self._language.latest)
        return moved([word for part in parts for word in part.words], start_s)

    def _recognize_alone(self, samples: Samples) -> Recognition:
        self._stats.decodes += 1
        return self._language.recognize_alone(self._recognizer, samples)

    def _believed(self, end_s: float) -> Words:
        rest, self.guess = self._credible(end_s), _NOTHING
        return rest

    def _credible(self, end_s: float) -> Words:
        if not self.final and is_believable_word(self.guess.words, self._mean_logprob):
            return self.guess.words
        sound_s = end_s - self._final_end_s
        believable = is_believable(self.guess.words, self._no_speech_probability, sound_s)
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
        self._mean_logprob = recognition.mean_logprob
        self._language.update(recognition, len(samples) / SPEECH_RATE_HZ)
        return recognition


def _is_beyond(word: RecognizedWord, middle_s: float, end_s: float) -> bool:
    """Whether its middle lies behind middle_s; where that is not all the sound, its end behind end_s."""
    return (word.start_s + word.end_s) / 2 >= middle_s or (end_s < middle_s and word.end_s > end_s)
