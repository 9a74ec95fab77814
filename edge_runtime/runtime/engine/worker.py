"""The worker's step: take requests in, compose one batch, evaluate it, draw tokens."""

from __future__ import annotations

import logging
import time
from collections import deque

from ...backends.backend import Backend, Chunk, DecodeStatus
from ...errors import BackendFailed, ContextFull, EdgeRuntimeError, EngineClosed
from ...values.records import FinishReason
from .job import Job, cancelled_reply
from .request import Event, Failed, Finished, Ticket
from .slots import Slot, take_slot, tokens_like

_logger = logging.getLogger(__name__)

# While others wait for their next token, a prompt is evaluated in parts of this
# size, so that nobody's stream stalls for longer than such a part takes.
_PREFILL_BESIDE_OTHERS_TOKENS = 64


class Worker:
    """All state that belongs to the worker thread. One call of step() is one llama_decode."""

    def __init__(self, backend: Backend) -> None:
        self.slots = [Slot(sequence) for sequence in range(backend.max_sequences)]
        self.waiting: deque[Ticket] = deque()
        self.unsettled = False  # set by any thread: someone came, went, or was cancelled
        self.computing: frozenset[Ticket] = frozenset()  # read by other threads, to abort a long step
        self._backend = backend
        self._active: list[Slot] = []
        self._chunks: list[Chunk] = []
        self._decode_returned_s = 0.0
        self._step_count = 0

    @property
    def busy(self) -> bool:
        return bool(self._active or self.waiting or self.unsettled)

    def step(self) -> None:
        """Advance everybody by one step. Errors go to the request they belong to.

        Between two tokens of the same requests almost nothing happens here: after
        a decode the caches are cold, and every line of Python costs microseconds.
        """
        if self.unsettled:
            self._settle()
        if self._active:
            self._evaluate()

    def enqueue(self, ticket: Ticket) -> None:
        self.waiting.append(ticket)
        self.unsettled = True

    def _settle(self) -> None:
        """Drop who is cancelled, admit who waits, and put together the next step."""
        self.unsettled = False
        self._drop_cancelled()
        self._admit()
        self._compose()

    def _drop_cancelled(self) -> None:
        for slot in self.slots:
            if slot.job and slot.job.ticket.cancelled:
                self._finish(slot, FinishReason.CANCELLED)
        for ticket in [ticket for ticket in self.waiting if ticket.cancelled]:
            self.waiting.remove(ticket)
            try:
                tell(ticket, Finished(cancelled_reply(ticket)))
            except Exception as error:
                _logger.exception("fault while a request was cancelled")
                tell(ticket, Failed(fault(error)))

    def _admit(self) -> None:
        while self.waiting and any(slot.job is None for slot in self.slots):
            ticket = self.waiting.popleft()
            try:
                self._start(ticket)
            except EdgeRuntimeError as error:
                tell(ticket, Failed(error))
            except Exception as error:
                _logger.exception("fault while a request was started")
                tell(ticket, Failed(fault(error)))
                self._forget_idle()  # one of them may be half taken

    def _start(self, ticket: Ticket) -> None:
        request = ticket.request
        tokens = tokens_like(self.slots, self._backend, request.tokens, request.text)
        self._require_room(tokens)
        taken = take_slot(self.slots, self._backend, tokens)
        assert taken is not None  # _admit has seen an idle slot
        slot, cached_tokens = taken
        slot.job = Job(ticket, tokens, cached_tokens, self._backend)

    def _forget_idle(self) -> list[Slot]:
        idle = [slot for slot in self.slots if slot.job is None and slot.tokens]
        for slot in idle:
            slot.forget(self._backend)
        return idle

    def _require_room(self, tokens: list[int]) -> None:
        limit = self._backend.context_tokens
        if not tokens:
            raise ContextFull(
                "the prompt is empty and this model has no begin-of-text token",
                hint="give at least one word",
                prompt_tokens=0,
                context_tokens=limit,
            )
        if len(tokens) >= limit:
            raise ContextFull(
                f"the prompt has {len(tokens)} tokens; the context holds {limit}, one of them for the answer",
                hint="shorten it, or open the model with a larger context_tokens=",
                prompt_tokens=len(tokens),
                context_tokens=limit,
            )

    def _compose(self) -> None:
        """One token for everybody who is answering, and as much of the prompts as the step holds."""
        jobs = [(slot, slot.job) for slot in self.slots if slot.job]
        self._active = [slot for slot, job in jobs if job.next_tokens]
        room = self._backend.batch_tokens - len(self._active)
        if self._active:
            room = min(room, _PREFILL_BESIDE_OTHERS_TOKENS)
        for slot, job in jobs:
            if not job.next_tokens and room > 0:
                start = len(slot.tokens)
                slot.chunk.first_position = start
                slot.chunk.tokens = job.tokens[start : start + room]
                slot.chunk.wants_logits = start + room >= len(job.tokens)
                room -= len(slot.chunk.tokens)
                self._active.append(slot)
        self._chunks = [slot.chunk for slot in self._active]
        self.computing = frozenset(slot.job.ticket for slot in self._active if slot.job)

    def _evaluate(self) -> None:
        self._backend.arm_abort()
        if self.unsettled:  # a cancel() that comes later than this line aborts the decode
            return
        started_s = time.perf_counter()
        try:
            status = self._backend.decode(self._chunks)
        except BackendFailed as error:
            self.reset(error)
            return
        pause_s, self._decode_returned_s = started_s - self._decode_returned_s, time.perf_counter()
        if status is DecodeStatus.DONE:
            self._collect(pause_s)
        elif status is DecodeStatus.ABORTED:
            self._roll_back()
        else:
            self._make_room()

    def _collect(self, pause_s: float) -> None:
        """Take the results of a step; `pause_s` is how long the model stood still before it."""
        self._step_count += 1
        for index, slot in enumerate(self._active):
            slot.tokens += slot.chunk.tokens
            slot.last_used_step = self._step_count
            if slot.chunk.wants_logits:
                self._advance(slot, index, pause_s)
            else:
                self.unsettled = True  # the next part of its prompt

    def _advance(self, slot: Slot, chunk_index: int, pause_s: float) -> None:
        job = slot.job
        assert job is not None
        if job.next_tokens:
            job.pauses_s.append(pause_s)
        else:
            self.unsettled = True  # from now on one token a step
        position = len(slot.tokens)
        try:
            reason = job.advance(
                self._backend.logits(chunk_index),
                self._decode_returned_s,
                is_last=position >= self._backend.context_tokens,
            )
        except EdgeRuntimeError as error:
            self._fail(slot, error)
            return
        except Exception as error:
            _logger.exception("fault while a token was drawn")
            self._fail(slot, fault(error))
            return
        if reason is not None:
            self._finish(slot, reason)
        else:
            slot.chunk.first_position = position
            slot.chunk.tokens = job.next_tokens

    def _finish(self, slot: Slot, reason: FinishReason) -> None:
        self.unsettled = True
        job = slot.job
        assert job is not None
        try:
            slot.pending, slot.text = job.tokens_left(len(slot.tokens)), job.whole_text()
            job.finish(reason)
        except Exception as error:
            _logger.exception("fault while an answer was finished")
            self._fail(slot, fault(error))
        slot.job = None

    def _fail(self, slot: Slot, error: EdgeRuntimeError) -> None:
        self.unsettled = True
        job, slot.job = slot.job, None
        if job is None:
            return
        tell(job.ticket, Failed(error))
        try:
            job.close()
        except Exception:  # the answer is lost already; others are not
            _logger.exception("a sampler could not be freed")

    def reset(self, error: EdgeRuntimeError) -> None:
        """The context may be dirty: nobody's cache can be trusted any more."""
        for slot in self.slots:
            self._fail(slot, error)
        self._active = []
        for slot in self.slots:
            slot.forget(self._backend)

    def _roll_back(self) -> None:
        """Take back the part of an aborted step that was evaluated."""
        self.unsettled = True
        for slot in self._active:
            if not self._backend.remove(slot.sequence, len(slot.tokens)):
                self._restart(slot)

    def _restart(self, slot: Slot) -> None:
        slot.forget(self._backend)
        if slot.job and slot.job.next_tokens:  # its answer cannot be evaluated again from the prompt alone
            self._fail(slot, BackendFailed("another request's cancellation lost this one", session_good=True))

    def _make_room(self) -> None:
        """No room in the cache: forget idle conversations; with none left, the last comer fails."""
        if not self._forget_idle():
            slot = self._active[-1]
            self._fail(slot, ContextFull("the cache is full", hint="open fewer conversations at once"))
            slot.forget(self._backend)

    def fail_everything(self) -> None:
        """At close: every request under way or waiting ends with EngineClosed."""
        error = EngineClosed("the engine was closed", hint="open the runtime again")
        for slot in self.slots:
            self._fail(slot, error)
        while self.waiting:
            tell(self.waiting.popleft(), Failed(error))


def tell(ticket: Ticket, event: Event) -> None:
    """The last event of a request. A listener that fails has nobody but itself to tell."""
    try:
        ticket.request.emit(event)
    except Exception:
        _logger.exception("a listener failed")


def fault(error: BaseException) -> BackendFailed:
    """What the callers are told of an exception that nothing in the engine expects."""
    found = BackendFailed(
        f"a fault in the engine ended this request: {type(error).__name__}: {error}",
        hint="the next request can succeed; please report this",
        session_good=True,
    )
    found.__cause__ = error
    return found
