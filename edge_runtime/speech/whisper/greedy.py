"""Greedy decoding with a given prefix and a draft that is checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..recognition.recognizer import StopReason
from .network import Cache, Encoded, Network, Step

# Logits of a token take 200 KB, several times over while they are calculated. After a wrong guess the rest
# of a draft is in vain.
_MOST_TOKENS_AT_ONCE = 16
# After a wrong guess fewer are tried: a few tokens cost little more than one, whose time is that of reading
# the weights.
_TOKENS_AFTER_A_MISS = 5


@dataclass(frozen=True)
class Request:
    prompt: tuple[int, ...]  # control tokens, at least one, without those that are in a cache
    prefix: tuple[int, ...]
    draft: tuple[int, ...]
    end: int
    suppressed: NDArray[np.int64]
    suppressed_at_start: NDArray[np.int64]
    most_tokens: int  # of the transcript
    alignment: bool = False


@dataclass
class Transcript:
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)  # one for each token, and one for the end if reached
    alignment: list[NDArray[np.float32]] = field(default_factory=list)  # (heads, positions) each, likewise
    stopped_by: StopReason = StopReason.LIMIT
    heard_s: float | None = None  # where in the sound it ends, if a loop kept it from going on
    evaluated_tokens: int = 0
    accepted_draft_tokens: int = 0
    # (vocabulary,) after the first token of the prompt
    first_logits: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def mean_logprob(self) -> float:
        return sum(self.logprobs) / max(len(self.logprobs), 1)

    def drop_last(self, count: int) -> None:
        """Without the last `count` tokens; the end was not reached."""
        for entries in (self.tokens, self.logprobs, self.alignment):
            del entries[len(entries) - min(count, len(entries)) :]


Watch = Callable[[Transcript], bool]  # called after each new token, may drop some; True: stop


def decode(
    network: Network, encoded: Encoded, request: Request, watch: Watch, cache: Cache | None = None
) -> Transcript:
    """`cache` holds what came before the prompt.

    The result is the same with and without a draft, as far as the network computes many tokens
    at once as it does one by one: int8 activations share a scale, so that two equally likely
    tokens can change places.
    """
    run = _Run(network, encoded, request, watch, cache)
    run.start()
    while not run.finished:
        run.go_on()
    return run.transcript


class _Draft:
    """A draft, used beyond a wrong token: more sound changes a word or its comma, seldom what follows."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = tuple(tokens)
        self._next = 0  # place of what should come next
        self._misses = 0  # in a row

    def accept(self, token: int) -> None:
        """Note the token that was decoded."""
        if token in self._tokens[self._next : self._next + _TOKENS_AFTER_A_MISS]:
            self._next = self._tokens.index(token, self._next) + 1
            self._misses = 0
        else:
            self._misses += 1

    def guess(self) -> tuple[int, ...]:
        """What may follow. After one wrong token that is what stood behind it, after more nothing."""
        if self._misses > 1:
            return ()
        start = self._next + self._misses
        return self._tokens[start : start + _TOKENS_AFTER_A_MISS]


class _Run:
    def __init__(
        self, network: Network, encoded: Encoded, request: Request, watch: Watch, cache: Cache | None
    ) -> None:
        self._network, self._encoded, self._request, self._watch = network, encoded, request, watch
        self._cache = cache
        self._draft = _Draft(request.draft)
        self.transcript = Transcript()
        self.finished = False

    def start(self) -> None:
        """Prompt, prefix and draft, a few tokens at a time."""
        request = self._request
        room = max(0, request.most_tokens - len(request.prefix))
        given = (*request.prefix, *request.draft[:room])  # what follows the prompt
        tokens = (*request.prompt, *given)
        for begin in range(0, len(tokens), _MOST_TOKENS_AT_ONCE):
            before = self._cache.length if self._cache else 0
            step = self._evaluate(tokens[begin : begin + _MOST_TOKENS_AT_ONCE])
            if begin == 0:
                self.transcript.first_logits = step.logits[0].copy()
            for row in range(len(step.logits)):
                place = begin + row + 1 - len(request.prompt)  # of the token that this row predicts
                if place >= 0 and not self._follow(step, row, given[place : place + 1]):
                    self._cache = self._network.cut(step.cache, before + row + 1)
                    return

    def _follow(self, step: Step, row: int, given: Sequence[int]) -> bool:
        """Take the next token. False: the given tokens end there."""
        if len(self.transcript.tokens) < len(self._request.prefix):
            self._take(step, row, given[0])
            return True
        is_right = list(given) == [self._best(step, row)]
        self._choose(step, row)
        self.transcript.accepted_draft_tokens += is_right
        return is_right and not self.finished

    def go_on(self) -> None:
        """One token at least, and what of the rest of the draft follows it."""
        room = self._request.most_tokens - len(self.transcript.tokens)
        guess = self._draft.guess()[: max(room, 0)]
        before = self._cache.length if self._cache else 0
        step = self._evaluate((*self.transcript.tokens[-1:], *guess))
        for row in range(len(step.logits)):
            if not self._follow(step, row, guess[row : row + 1]) and row < len(guess):
                self._cache = self._network.cut(step.cache, before + row + 1)
                return

    def _evaluate(self, tokens: Sequence[int]) -> Step:
        step = self._network.step(self._encoded, tokens, self._cache, alignment=self._request.alignment)
        self.transcript.evaluated_tokens += len(tokens)
        self._cache = step.cache
        return step

    def _best(self, step: Step, row: int) -> int:
        return int(self._allowed(step, row).argmax())

    def _allowed(self, step: Step, row: int) -> NDArray[np.float32]:
        """(vocabulary,) the logits without what may not come here. Written into the step itself."""
        logits: NDArray[np.float32] = step.logits[row]
        logits[self._request.suppressed] = -np.inf
        logits[self._request.end + 1 :] = -np.inf  # control tokens and timestamps
        if not self.transcript.tokens:
            logits[self._request.suppressed_at_start] = -np.inf
        return logits

    def _choose(self, step: Step, row: int) -> None:
        if len(self.transcript.tokens) >= self._request.most_tokens:
            self.finished = True  # and stopped by the limit
            return
        token = self._best(step, row)
        self._take(step, row, token)
        self._draft.accept(token)
        if token == self._request.end:
            self.transcript.tokens.pop()
            self._stop(StopReason.END)
        elif self._watch(self.transcript):
            self._stop(StopReason.GUARD)

    def _take(self, step: Step, row: int, token: int) -> None:
        transcript, logits = self.transcript, step.logits[row]
        transcript.logprobs.append(float(logits[token]) - log_sum(self._allowed(step, row)))
        transcript.tokens.append(token)
        if step.alignment is not None:
            transcript.alignment.append(step.alignment[:, row])

    def _stop(self, reason: StopReason) -> None:
        self.transcript.stopped_by = reason
        self.finished = True


def log_sum(logits: NDArray[np.float32]) -> float:
    """The logarithm of the sum of exponentials."""
    highest = float(logits.max())
    return highest + float(np.log(np.exp(logits - highest).sum()))
