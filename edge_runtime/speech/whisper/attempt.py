"""One try at a piece of sound: language, then the transcript, under the eyes of the guard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .alignment import attended_s
from .config import WhisperConfig
from .greedy import Request, Transcript, decode
from .loop_guard import Loop, find_loop, is_too_much, spoken_times
from .network import Cache, Encoded, Network
from .vocabulary import Vocabulary

_LONGEST_PROMPT_TOKENS = 4  # start, language, task, no timestamps


class Language(NamedTuple):
    code: str
    probability: float


class Wanted(NamedTuple):
    language: str | None
    translate: bool
    prefix: tuple[int, ...]
    draft: tuple[int, ...]
    most_tokens: int | None
    alignment: bool


class Attempt(NamedTuple):
    transcript: Transcript
    language: Language
    no_speech_probability: float
    # Where each token begins, and at last where the last one ends; none where the transcript has its
    # alignment, or it is not known.
    times_s: tuple[float, ...] = ()


class Engine(Protocol):
    """An engine that transcribes a piece of sound, one try at a time."""

    frames_at_least: int  # the encoder takes no fewer
    gives_times: bool

    def encode(self, features: NDArray[np.float32]) -> Encoded:
        """(1, bins, frames), an even number of frames up to 3000."""

    def attempt(self, encoded: Encoded, wanted: Wanted, duration_s: float) -> Attempt: ...

    def detect_language(self, encoded: Encoded) -> Language: ...

    def close(self) -> None: ...


class Decoder:
    """An Engine: a network with the meaning of its tokens."""

    def __init__(self, network: Network, vocabulary: Vocabulary, config: WhisperConfig) -> None:
        self._network, self._vocabulary, self._config = network, vocabulary, config
        self.frames_at_least, self.gives_times = network.frames_at_least, network.has_alignment

    def encode(self, features: NDArray[np.float32]) -> Encoded:
        """See Engine."""
        return self._network.encode(features)

    def attempt(self, encoded: Encoded, wanted: Wanted, duration_s: float) -> Attempt:
        language, cache, logits = Language(wanted.language or "en", 1.0), None, None
        if wanted.language is None and self._config.languages:
            language, cache, logits = self._look(encoded)
        prompt = self._config.prompt(language.code, translate=wanted.translate)
        request = self._request(prompt[cache.length if cache else 0 :], wanted)
        guard = Guard(self._vocabulary, duration_s, len(wanted.prefix))
        transcript = decode(self._network, encoded, request, guard, cache)
        logits = transcript.first_logits if logits is None else logits
        return Attempt(transcript, language, self._no_speech(logits))

    def detect_language(self, encoded: Encoded) -> Language:
        return self._look(encoded)[0] if self._config.languages else Language("en", 1.0)

    def close(self) -> None:
        """See Engine."""
        self._network.close()

    def _look(self, encoded: Encoded) -> tuple[Language, Cache, NDArray[np.float32]]:
        """The likeliest language; the cache of the start token; its logits."""
        step = self._network.step(encoded, [self._config.start], None)
        codes, ids = list(self._config.languages), list(self._config.languages.values())
        probabilities = softmax(step.logits[0, ids])
        best = int(probabilities.argmax())
        return Language(codes[best], float(probabilities[best])), step.cache, step.logits[0]

    def _request(self, prompt: tuple[int, ...], wanted: Wanted) -> Request:
        config = self._config
        room = config.most_positions - _LONGEST_PROMPT_TOKENS
        return Request(
            prompt=prompt,
            prefix=wanted.prefix,
            draft=wanted.draft,
            end=config.end,
            suppressed=config.suppressed,
            suppressed_at_start=config.suppressed_at_start,
            most_tokens=min(room, wanted.most_tokens or room),
            alignment=wanted.alignment,
        )

    def _no_speech(self, logits: NDArray[np.float32]) -> float:
        if self._config.no_speech is None:
            return 0.0
        return float(softmax(logits)[self._config.no_speech])


class Guard:
    """A Watch: stops a transcript that cannot have been said."""

    def __init__(self, vocabulary: Vocabulary, duration_s: float, prefix_tokens: int) -> None:
        self._vocabulary, self._duration_s, self._prefix_tokens = vocabulary, duration_s, prefix_tokens

    def __call__(self, transcript: Transcript) -> bool:
        tokens = transcript.tokens
        loop = find_loop(tokens)
        if loop:
            extra = loop.times - self._spoken_times(transcript, loop)
            if extra:
                transcript.drop_last(min(extra * loop.size, len(tokens) - self._prefix_tokens))
                transcript.heard_s = self._heard_s(transcript)
                return True
        return is_too_much(tokens, self._vocabulary.characters, self._duration_s)

    def _spoken_times(self, transcript: Transcript, loop: Loop) -> int:
        """1 where the decoder does not tell its attention."""
        first = len(transcript.tokens) - loop.size * loop.times
        rows = transcript.alignment[first:]
        if not rows:
            return 1
        spoken = self._spoken(transcript.tokens[first : first + loop.size])
        each = [rows[start : start + loop.size] for start in range(0, len(rows), loop.size)]
        positions_s = [attended_s([phrase[n] for n in spoken], self._duration_s) for phrase in each]
        return spoken_times(positions_s)

    def _heard_s(self, transcript: Transcript) -> float | None:
        """Where the last word is; None where the decoder does not tell its attention."""
        if not transcript.alignment:
            return None
        last = self._spoken(transcript.tokens)[-1]
        return attended_s(transcript.alignment[last : last + 1], self._duration_s)

    def _spoken(self, phrase: Sequence[int]) -> list[int]:
        """Places of tokens with letters: while it writes a comma, the decoder listens anywhere."""
        texts = (self._vocabulary.text_bytes(token).decode("utf-8", "replace") for token in phrase)
        places = [n for n, text in enumerate(texts) if any(map(str.isalnum, text))]
        return places or list(range(len(phrase)))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), np.float32)
