"""One request on its way through a slot: from prompt tokens to the last piece of text."""

from __future__ import annotations

import secrets
import statistics
import time
from array import array

import numpy as np

from ...backends.backend import Backend, Float32Array
from ...device.process_memory import device_read_bytes
from ...values.records import FinishReason, Reply, TextPiece, Timings, TokenLogprob, Usage
from .request import Finished, Ticket
from .text import TextAssembler


class Job:
    def __init__(self, ticket: Ticket, tokens: list[int], cached_tokens: int, backend: Backend) -> None:
        """Raises OptionInvalid when the request's grammar cannot be read."""
        options = ticket.request.options
        seed = options.sampling.seed
        self.ticket, self.tokens, self.cached_tokens = ticket, tokens, cached_tokens
        self.next_tokens: tuple[int, ...] = ()  # drawn, not yet evaluated; one, once it answers
        self.completion_tokens = 0
        self._options, self._backend = options, backend
        self._emit, self._token_text = ticket.request.emit, backend.token_text
        self._max_tokens = options.max_tokens or -1
        self._wants_logprobs = options.top_logprobs is not None
        self._sampler = backend.make_sampler(
            options.sampling,
            ticket.request.grammar,
            secrets.randbelow(2**32 - 1) if seed is None else seed,
        )
        self._assembler = TextAssembler(options.stop)
        self._text: list[str] = []
        self._logprobs: list[TokenLogprob] = []
        self._pending_logprobs: list[TokenLogprob] = []
        self._spelled: list[bytes] = []  # each token sent, control tokens spelled out
        self._last_token = -1  # of these
        self._started_s = self._first_token_s = self._last_token_s = time.perf_counter()
        self.pauses_s = array("d")  # how long the model stood still between two decodes
        self._read_bytes_before = 0  # from storage, until the first token

    def advance(self, logits: Float32Array, decoded_s: float, *, is_last: bool) -> FinishReason | None:
        """Draw the next token and send what it says. Returns why to stop, or None.

        decoded_s: when its logits were ready. is_last: the context takes no more.
        """
        raw = logits.copy() if self._wants_logprobs else None
        token = self._sampler.sample(logits)
        self._last_token_s = decoded_s
        self.completion_tokens += 1
        if self.completion_tokens == 1:
            self._first_token_s = decoded_s
            self._read_bytes_before = device_read_bytes() or 0
        text = self._token_text(token)
        if text.is_end and not self._options.ignore_end:
            return FinishReason.STOP
        self._spelled.append(text.spelled)
        self._last_token = token
        if raw is not None:
            self._pending_logprobs.append(self._describe(raw, token, text.shown))
        self._send(self._assembler.push(text.shown))
        if self._assembler.stopped:
            return FinishReason.STOP
        if is_last or self.completion_tokens == self._max_tokens:
            return FinishReason.LENGTH
        self.next_tokens = (token,)
        return None

    def _send(self, text: str) -> None:
        if not text:
            return
        self._text.append(text)
        pending: tuple[TokenLogprob, ...] = ()
        if self._pending_logprobs:
            pending = tuple(self._pending_logprobs)
            self._logprobs.extend(pending)
            self._pending_logprobs.clear()
        self._emit(TextPiece(text, pending))

    def _describe(self, logits: Float32Array, token: int, piece: bytes) -> TokenLogprob:
        top_count = self._options.top_logprobs or 0
        wide = logits.astype(np.float64)
        wide -= wide.max()
        wide -= np.log(np.exp(wide).sum())
        top = np.argpartition(-wide, top_count)[:top_count] if top_count else np.zeros(0, int)
        top = top[np.argsort(-wide[top])]
        return TokenLogprob(
            token,
            piece.decode(errors="replace"),
            float(wide[token]),
            tuple((int(i), self._show(int(i)), float(wide[i])) for i in top),
        )

    def _show(self, token: int) -> str:
        return self._backend.token_text(token).spelled.decode(errors="replace")

    def finish(self, reason: FinishReason) -> None:
        """Send what was held back and the whole reply; free the sampler."""
        self._send(self._assembler.finish())
        self._logprobs.extend(self._pending_logprobs)
        reply = self._reply(reason)
        self.close()
        self.ticket.request.emit(Finished(reply))

    def _reply(self, reason: FinishReason) -> Reply:
        return Reply(
            text="".join(self._text),
            finish_reason=reason,
            usage=Usage(len(self.tokens), self.cached_tokens, self.completion_tokens),
            timings=self._timings(),
            logprobs=tuple(self._logprobs),
            dropped_turns=self.ticket.request.dropped_turns,
        )

    def _timings(self) -> Timings:
        prefill_s = self._first_token_s - self._started_s
        decode_s = self._last_token_s - self._first_token_s
        return Timings(
            time_to_first_token_s=self._first_token_s - self.ticket.submitted_s,
            prefill_tokens_per_s=_rate(len(self.tokens) - self.cached_tokens, prefill_s),
            decode_tokens_per_s=_rate(self.completion_tokens - 1, decode_s),
            reread_bytes_per_token=self._reread_bytes() / max(self.completion_tokens - 1, 1),
            between_decodes_us=statistics.median(self.pauses_s) * 1e6 if self.pauses_s else 0.0,
        )

    def _reread_bytes(self) -> int:
        """The whole process's, so that requests which run side by side see each other's."""
        return (device_read_bytes() or 0) - self._read_bytes_before if self.completion_tokens > 1 else 0

    def tokens_left(self, evaluated_tokens: int) -> tuple[int, ...]:
        """What has been drawn and sent but not evaluated: at most one, when the answer was cut off."""
        drawn = len(self.tokens) + len(self._spelled)
        return (self._last_token,) if evaluated_tokens == drawn - 1 >= len(self.tokens) else ()

    def whole_text(self) -> str | None:
        """Prompt and answer; None where the answer ends inside a character or has not begun, or the
        prompt's text is not known."""
        prompt = self.ticket.request.text
        if not self._spelled or prompt is None:
            return None
        try:
            return prompt + b"".join(self._spelled).decode()
        except UnicodeDecodeError:
            return None

    def close(self) -> None:
        self._sampler.close()


def cancelled_reply(ticket: Ticket) -> Reply:
    """For a request that was cancelled before its turn came."""
    waited_s = time.perf_counter() - ticket.submitted_s
    return Reply("", FinishReason.CANCELLED, Usage(0, 0, 0), Timings(waited_s, 0.0, 0.0, 0.0))


def _rate(count: int, duration_s: float) -> float:
    return count / duration_s if count > 0 and duration_s > 0 else 0.0
