"""The interface of a speech recognizer, independent of its engine.

A recognizer takes one piece of at most 30 s at a time. Cutting sound into pieces, holding
back what may still change and joining the results is up to whoever uses it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ...values.checks import require_range, whole_number_or_none
from ..audio import Samples


class StopReason(str, Enum):
    END = "end"  # the model was done
    GUARD = "guard"  # it ran into a loop, or wrote more than anyone can say in that time
    LIMIT = "limit"  # the tokens it can hold, or those asked for, are used up


@dataclass(frozen=True)
class RecognizedWord:
    """`text` begins with a space where the transcript has one: joined, words give the transcript."""

    text: str
    start_s: float  # from the start of the samples
    end_s: float
    probability: float  # geometric mean over its tokens
    tokens: tuple[int, ...] = ()  # to be given as prefix; those of all words are the transcript's


@dataclass(frozen=True)
class RecognitionOptions:
    """Raises OptionInvalid for a value outside its range."""

    language: str | None = None  # a code such as "en"; None: detected, for one more pass over the sound
    translate: bool = False  # to English
    words: bool = False  # with times
    # Cost grows with the length that the encoder takes, silence after the sound included: at
    # least `least_context_s`, and `margin_s` more than the sound. Less makes Whisper loop.
    full_context: bool = False  # always the 30 s that the model was trained on
    least_context_s: float = 10.0
    margin_s: float = 2.0
    second_try: bool = True  # with twice the context, where the guard stopped the first
    most_tokens: int | None = None  # of the transcript; None: what the model can hold

    def __post_init__(self) -> None:
        require_range("least_context_s", self.least_context_s, 0.0, 30.0)
        require_range("margin_s", self.margin_s, 0.0, 30.0)
        most_tokens = whole_number_or_none("most_tokens", self.most_tokens, 1, 10_000)
        object.__setattr__(self, "most_tokens", most_tokens)


@dataclass(frozen=True)
class Recognition:
    text: str  # without space around it
    tokens: tuple[int, ...]  # a given prefix included, control tokens left out
    token_logprobs: tuple[float, ...]  # natural logarithms, one for each token
    mean_logprob: float  # of the tokens and, where it was reached, the end
    language: str  # what was spoken, as far as it is known
    language_probability: float  # 1 where the language was given
    no_speech_probability: float  # the model's own; it is often wrong
    stopped_by: StopReason
    context_s: float  # length that the encoder took in the try that won
    words: tuple[RecognizedWord, ...] = ()
    times_are_guessed: bool = False  # the model gives no positions: by the word's letters alone
    tries: int = 1
    evaluated_tokens: int = 0  # positions that the decoder calculated, in all tries
    accepted_draft_tokens: int = 0  # of the try that won


class Recognizer(Protocol):
    """Safe to use from several threads: one piece at a time, the others wait."""

    sample_rate_hz: int
    longest_s: float  # a longer piece is refused
    languages: tuple[str, ...]  # codes such as "en"

    def recognize(
        self,
        samples: Samples,
        options: RecognitionOptions = ...,
        *,
        prefix: Sequence[int] = (),
        draft: Sequence[int] = (),
    ) -> Recognition:
        """The likeliest transcript, (n,) samples in [-1, 1].

        `prefix`: tokens with which it must begin. `draft`: a guess how it goes on after
        them, say from a shorter piece with the same start; it changes the cost, not the
        result. A piece that begins like the one before also spares features.

        Raises OptionInvalid (an unknown language, too many samples, tokens that are no
        text) and EngineClosed.
        """

    def detect_language(self, samples: Samples) -> tuple[str, float]:
        """The likeliest code, and its probability among all languages."""

    def close(self) -> None:
        """Give the memory back. Calling it twice is fine."""
