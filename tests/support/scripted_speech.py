"""Speech without a voice: sound that says where in the stream it is, and a recognizer with a script.

A sample's size is its position; it is at least a half where somebody speaks. So the recognizer knows
which piece it was given, whoever cut it, and says the words of the script that lie in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from support.speech_parts import recognition, words_text

from edge_runtime.speech.audio import SPEECH_RATE_HZ, AudioBlock, Samples
from edge_runtime.speech.recognition.recognizer import (
    Recognition,
    RecognitionOptions,
    RecognizedWord,
    StopReason,
)

_SPEECH, _STEP = 0.5, 2.0**-23  # exact in float32 for four minutes
_PARTS = 10_000  # added to the token of a word that was cut off


@dataclass(frozen=True)
class Spoken:
    text: str
    start_s: float
    end_s: float


def sentence(text: str, start_s: float, *, word_s: float = 0.4) -> list[Spoken]:
    """Words of one length, without a pause."""
    return [
        Spoken(word, start_s + n * word_s, start_s + (n + 1) * word_s) for n, word in enumerate(text.split())
    ]


def sound(script: Sequence[Spoken], length_s: float) -> Samples:
    positions = np.arange(round(length_s * SPEECH_RATE_HZ), dtype=np.float64)
    samples = positions * _STEP / 4
    for word in script:
        spoken = slice(round(word.start_s * SPEECH_RATE_HZ), round(word.end_s * SPEECH_RATE_HZ))
        samples[spoken] = _SPEECH + positions[spoken] * _STEP
    return samples.astype(np.float32)


class Heard:
    """A piece of such sound: where its spoken samples lie, in it and in the stream."""

    def __init__(self, samples: Samples) -> None:
        self.indices = np.flatnonzero(samples >= _SPEECH)
        self.positions = np.rint((samples[self.indices].astype(np.float64) - _SPEECH) / _STEP)
        self.end_s = float(self.positions[-1] + 1) / SPEECH_RATE_HZ if len(self.positions) else 0.0

    def find(self, word: Spoken) -> tuple[float, float, float] | None:
        """(start, end, how much of its end is missing) in seconds from the piece's start."""
        first, last = word.start_s * SPEECH_RATE_HZ, word.end_s * SPEECH_RATE_HZ
        begin, end = np.searchsorted(self.positions, [first - 0.5, last - 0.5])
        if begin == end:
            return None
        lost_s = (last - 1 - self.positions[end - 1]) / SPEECH_RATE_HZ
        lost_before_s = (self.positions[begin] - first) / SPEECH_RATE_HZ
        if lost_before_s > (word.end_s - word.start_s) / 2:  # it is taken for part of the word before
            return None
        return self.indices[begin] / SPEECH_RATE_HZ, (self.indices[end - 1] + 1) / SPEECH_RATE_HZ, lost_s


@dataclass
class SoundSource:
    samples: Samples
    block_samples: int = 1_600
    error: Exception | None = None  # raised after the sound
    taken_s: float = 0.0

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SPEECH_RATE_HZ

    def __iter__(self) -> Iterator[AudioBlock]:
        for start in range(0, len(self.samples), self.block_samples):
            block = AudioBlock(self.samples[start : start + self.block_samples], start)
            self.taken_s = block.end_sample / SPEECH_RATE_HZ
            yield block
        if self.error is not None:
            raise self.error


@dataclass
class Timer:
    """Time that passes only when somebody works."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class Call:
    end_s: float  # where in the stream its last spoken sample is
    length_s: float
    options: RecognitionOptions
    prefix: tuple[int, ...]
    draft: tuple[int, ...]


@dataclass
class ScriptedRecognizer:
    """Hears the words that begin in the piece; one that goes on after it, it hears in part."""

    script: Sequence[Spoken]
    timer: Timer = field(default_factory=Timer)
    cost_s: float = 0.2  # a call's
    language: str = "en"  # what is spoken
    logprob: float = -0.1
    no_speech_probability: float = 0.0
    runaway_below_s: float = 0.0  # at a shorter piece the guard stops it, if no second try is allowed
    runaway_above_s: float = 60.0  # at a longer one in any case
    mishears: dict[str, tuple[str, float]] = field(
        default_factory=dict
    )  # word -> (other, until the piece's end)
    most_prefix_tokens: int = 1_000  # after so many it writes nothing more
    most_words: int = 1_000  # of a piece: there it ends early
    foreign: dict[str, str] = field(default_factory=dict)  # word -> its language, if that is another one
    calls: list[Call] = field(default_factory=list)
    sample_rate_hz: int = SPEECH_RATE_HZ
    longest_s: float = 30.0
    languages: tuple[str, ...] = ("en", "fr", "de")

    def recognize(
        self,
        samples: Samples,
        options: RecognitionOptions | None = None,
        *,
        prefix: Sequence[int] = (),
        draft: Sequence[int] = (),
    ) -> Recognition:
        options = options or RecognitionOptions()
        assert len(samples) <= self.longest_s * SPEECH_RATE_HZ
        heard, length_s = Heard(samples), len(samples) / SPEECH_RATE_HZ
        self.calls.append(Call(heard.end_s, length_s, options, tuple(prefix), tuple(draft)))
        self.timer.now_s += self.cost_s
        spoken = options.language or self._language_of(heard)
        words = [
            word
            for word in self._words(heard, tuple(prefix))
            if self.foreign.get(word.text.strip(), self.language) == spoken or not self.foreign
        ][: len(prefix) + self.most_words]
        runaway = length_s > self.runaway_above_s
        runaway |= length_s < self.runaway_below_s and not options.second_try
        return recognition(
            words,
            options,
            text=f"English: {words_text(words)}" if options.translate else None,
            language=self._language_of(heard),
            logprob=self.logprob,
            no_speech_probability=self.no_speech_probability,
            stopped_by=StopReason.GUARD if runaway else StopReason.END,
        )

    def detect_language(self, samples: Samples) -> tuple[str, float]:
        self.timer.now_s += self.cost_s
        return self._language_of(Heard(samples)), 0.99

    def close(self) -> None:
        pass

    def _language_of(self, heard: Heard) -> str:
        """That of the first word that is all there."""
        found = (word for word in self.script if (place := heard.find(word)) and place[2] < 0.05)
        first = next(found, None)
        return self.foreign.get(first.text, self.language) if first else self.language

    def _words(self, heard: Heard, prefix: tuple[int, ...]) -> list[RecognizedWord]:
        words = [self._word(token, heard.find(self.script[token % _PARTS]), heard) for token in prefix]
        if len(prefix) >= self.most_prefix_tokens:
            return words
        first = prefix[-1] % _PARTS + 1 if prefix else 0
        for index, word in enumerate(self.script[first:], first):
            found = heard.find(word)
            if found and found[1] - found[0] > 0.05:
                words.append(self._word(index + (_PARTS if found[2] > 0.05 else 0), found, heard))
        return words

    def _word(self, token: int, found: tuple[float, float, float] | None, heard: Heard) -> RecognizedWord:
        text = self.script[token % _PARTS].text
        other, until_s = self.mishears.get(text, ("", 0.0))
        text = other if heard.end_s < until_s else text
        if token >= _PARTS:
            text = text[: len(text) // 2] + "-"
        start_s, end_s, _ = found or (0.0, 0.0, 0.0)
        return RecognizedWord(f" {text}", start_s, end_s, float(np.exp(self.logprob)), (token,))
