"""The worker thread and its inbox. Callers submit and listen; only the worker touches the model."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from ...backends.backend import Backend, Float32Array
from ...backends.sealed_state import is_sound, seal
from ...errors import EdgeRuntimeError, EngineClosed
from ...values.output_file import output_path
from .request import Failed, GenerationRequest, Ticket
from .slots import common_prefix
from .worker import Worker, fault, tell

T = TypeVar("T")
_logger = logging.getLogger(__name__)

_MOST_FAULTS_IN_A_ROW = 3  # then the engine closes: whoever waits would wait for ever


class Engine:
    """Safe to use from any number of threads."""

    def __init__(self, make_backend: Callable[[], Backend]) -> None:
        """Start the worker and load the model on it. Raises what make_backend raises."""
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._make_backend = make_backend
        self._closing = False
        self._process_id = os.getpid()
        self._lock = threading.Lock()  # guards _closing against a submit in the same moment
        self._worker: Worker | None = None
        ready: Future[Backend] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="edge-runtime", daemon=True)
        self._thread.start()
        self.backend = ready.result()
        # A daemon thread inside native code while the interpreter goes down can crash it.
        atexit.register(self.close)

    # --- from any thread -------------------------------------------------------------

    def submit(self, request: GenerationRequest) -> Ticket:
        """Queue a request; its events arrive through request.emit. Raises EngineClosed."""
        ticket = Ticket(request, time.perf_counter(), self._wake_for)
        self._post(lambda: self._enqueue(ticket))
        return ticket

    def require_own_process(self) -> None:
        """The worker thread does not live on in a forked child, where nobody would answer.

        Raises EngineClosed there.
        """
        if os.getpid() != self._process_id:
            raise EngineClosed(
                f"this model was opened by process {self._process_id}, and cannot be used in a fork of it",
                hint="open it in the child process",
            )

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` on the worker thread, between two steps, and return its result."""
        if threading.current_thread() is self._thread:
            return function()
        future: Future[T] = Future()
        self._post(lambda: _settle(future, function))
        return future.result()

    def embed(self, token_lists: Sequence[Sequence[int]]) -> Float32Array:
        """(texts, embedding length), rows of length 1. Raises ContextFull."""
        return self.call(lambda: self.backend.embed(token_lists))

    def save_state(self, tokens: Sequence[int], path: Path) -> int:
        """Write the state of the conversation that begins most like `tokens`; bytes written, or 0.

        0: no idle slot knows any of it.
        """
        return self.call(lambda: self._save_state(tokens, path))

    def load_state(self, path: Path) -> int:
        """Bring a saved conversation into an idle slot; how many of its tokens are there now, or 0."""
        return self.call(lambda: self._load_state(path))

    def close(self) -> None:
        """End every request with EngineClosed, stop the worker, free the model. Can be called twice.

        In a forked child it does nothing: the model is the parent's.
        """
        if os.getpid() != self._process_id:
            return
        with self._lock:
            first, self._closing = not self._closing, True
        if first:
            if self._worker is not None and self._worker.computing:
                self.backend.abort()
            self._inbox.put(_nothing)  # wakes the worker
        if threading.current_thread() is not self._thread:
            self._thread.join()
        atexit.unregister(self.close)

    def _post(self, command: Callable[[], None]) -> None:
        self.require_own_process()  # first: a lock that was held while forking stays so
        with self._lock:
            if self._closing:
                raise EngineClosed("the engine is closed", hint="open the runtime again")
            self._inbox.put(command)

    def _wake_for(self, ticket: Ticket) -> None:
        worker = self._worker
        if worker is not None and os.getpid() == self._process_id:
            worker.unsettled = True  # before abort(): see Worker._evaluate
            if ticket in worker.computing:
                self.backend.abort()
            self._inbox.put(_nothing)  # in case the worker sleeps

    # --- on the worker thread --------------------------------------------------------

    def _run(self, ready: Future[Backend]) -> None:
        try:
            backend = self._make_backend()
        except BaseException as error:  # noqa: BLE001 - handed over to the caller's thread
            self._closing = True
            ready.set_exception(error)
            return
        self.backend = backend
        self._worker = Worker(backend)
        ready.set_result(backend)
        try:
            self._serve(self._worker)
        finally:
            self._shut_down(self._worker)

    def _serve(self, worker: Worker) -> None:
        faults = 0  # in a row
        while not self._closing:
            self._take_commands(block=not worker.busy)
            if self._closing:
                return
            try:
                worker.step()
                faults = 0
            except Exception as error:  # the thread must live: the fault ends these requests, not the next
                _logger.exception("fault in the engine's step")
                faults += 1
                if not self._reset(worker, fault(error)) or faults == _MOST_FAULTS_IN_A_ROW:
                    return

    def _reset(self, worker: Worker, error: EdgeRuntimeError) -> bool:
        """False when not even that works: the engine has to close."""
        try:
            worker.reset(error)
        except Exception:
            _logger.exception("the engine closes")
            return False
        return True

    def _take_commands(self, *, block: bool) -> None:
        if not block and self._inbox.empty():
            return
        try:
            while True:
                self._inbox.get(block=block)()
                block = False
        except Empty:
            pass

    def _shut_down(self, worker: Worker) -> None:
        """Reached by close(), and by a fault that reset() could not mend. Nobody is left waiting."""
        with self._lock:
            self._closing = True
        worker.fail_everything()
        self._take_commands(block=False)  # calls that came in before the door closed still get an answer
        worker.fail_everything()
        try:
            self.backend.close()
        except Exception:  # there is no caller to tell
            _logger.exception("the model could not be freed")

    def _enqueue(self, ticket: Ticket) -> None:
        try:
            self._open_worker().enqueue(ticket)
        except Exception as error:  # noqa: BLE001 - told to the caller
            tell(ticket, Failed(error if isinstance(error, EdgeRuntimeError) else fault(error)))

    def _open_worker(self) -> Worker:
        assert self._worker is not None
        return self._worker

    def _save_state(self, tokens: Sequence[int], path: Path) -> int:
        worker = self._open_worker()
        idle = [slot for slot in worker.slots if slot.job is None]
        best = max(idle, key=lambda slot: common_prefix(slot.tokens, tokens), default=None)
        if best is None or not best.tokens or not common_prefix(best.tokens, tokens):
            return 0
        with output_path(path, force=True, option="path") as partial:
            self.backend.save_sequence(best.sequence, best.tokens, partial)
            return seal(partial, self.backend.state_key)

    def _load_state(self, path: Path) -> int:
        worker = self._open_worker()
        idle = [slot for slot in worker.slots if slot.job is None]
        if not idle or not is_sound(path, self.backend.state_key):
            return 0
        slot = min(idle, key=lambda slot: (len(slot.tokens) > 0, slot.last_used_step))
        slot.tokens, slot.pending = self.backend.load_sequence(slot.sequence, path), ()
        spelled = b"".join(self.backend.token_text(token).spelled for token in slot.tokens)
        slot.text = spelled.decode(errors="replace") or None
        return len(slot.tokens)


def _nothing() -> None:
    pass


def _settle(future: Future[Any], function: Callable[[], Any]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # noqa: BLE001 - raised again where the result is awaited
        future.set_exception(error)
