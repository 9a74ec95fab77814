"""No exception in the worker may leave a caller waiting: each function it calls fails once."""

from __future__ import annotations

import inspect
import queue
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.builders import tiny_llama_gguf

from edge_runtime.backends.backend import BackendOptions
from edge_runtime.backends.llama import LlamaBackend
from edge_runtime.backends.llama.sampling import LlamaSampler
from edge_runtime.errors import BackendFailed, EdgeRuntimeError, EngineClosed
from edge_runtime.runtime.engine import Engine, Failed, Finished, GenerationRequest
from edge_runtime.runtime.engine import job as job_module
from edge_runtime.runtime.engine import slots as slots_module
from edge_runtime.runtime.engine import worker as worker_module
from edge_runtime.runtime.engine.job import Job
from edge_runtime.runtime.engine.slots import Slot
from edge_runtime.runtime.engine.text import TextAssembler
from edge_runtime.runtime.engine.worker import Worker
from edge_runtime.values.records import FinishReason, GenerationOptions, SamplingOptions, TextPiece

_SOON_S = 20.0
_TOKENS = 6


class Fault(Exception):
    """Nothing in the engine expects it."""


def functions_of(owner: Any) -> Iterator[tuple[Any, str]]:
    """Every function and method that is written in this class or module."""
    module = owner.__name__ if inspect.ismodule(owner) else owner.__module__
    for name, value in vars(owner).items():
        plain = getattr(value, "__func__", value)
        if inspect.isfunction(plain) and plain.__module__ == module:
            yield owner, name


# What the worker asks of itself and of everything below it. tell() and fault() are how it speaks.
_HOW_IT_SPEAKS = {"tell", "fault"}
PLACES = [
    (owner, name)
    for owner in (Worker, Job, Slot, TextAssembler, LlamaSampler, worker_module, job_module, slots_module)
    for owner, name in functions_of(owner)
    if name not in _HOW_IT_SPEAKS
]
BACKEND_CALLS = [
    name
    for name, value in inspect.getmembers(LlamaBackend)
    if inspect.isfunction(value) and not name.startswith("_")
] + ["tokenize", "token_text", "is_control", "decode", "logits", "arm_abort", "remove", "copy"]


@pytest.fixture
def tiny_backend(tmp_path: Path) -> Callable[[], LlamaBackend]:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    options = BackendOptions(context_tokens=64, max_sequences=2, batch_tokens=16, use_extra_bufts=False)
    return lambda: LlamaBackend(path, options)


@pytest.fixture
def engine(tiny_backend: Callable[[], LlamaBackend]) -> Iterator[Engine]:
    engine = Engine(tiny_backend)
    yield engine
    engine.close()


Events = queue.SimpleQueue[Any]


def ask(engine: Engine, **options: Any) -> Events:
    """Two that share a beginning would copy; each of these also has a stop text and log-probabilities."""
    events: Events = queue.SimpleQueue()
    sampling = SamplingOptions(temperature=0.7, repeat_penalty=1.1, seed=1)
    generation = GenerationOptions(
        sampling, max_tokens=_TOKENS, ignore_end=True, stop=("never said",), top_logprobs=2, **options
    )
    tokens = tuple(range(30, 50))
    engine.submit(GenerationRequest(tokens, generation, events.put, text="text of these"))
    return events


def last_event(events: Events) -> Finished | Failed:
    while True:
        event = events.get(timeout=_SOON_S)
        if not isinstance(event, TextPiece):
            return event


def check_that_nobody_waits(engine: Engine) -> None:
    """Several at once, one cancelled; then the engine serves again, or says that it is closed."""
    for _ in range(2):
        try:
            waiting = [ask(engine) for _ in range(3)]
            cancelled = engine.submit(
                GenerationRequest((30, 31), GenerationOptions(), (events := queue.SimpleQueue()).put)
            )
            cancelled.cancel()
            waiting.append(events)
        except EngineClosed:
            return
        for events in waiting:
            event = last_event(events)
            assert isinstance(event, Finished) or isinstance(event.error, EdgeRuntimeError)


def check_that_it_serves(engine: Engine) -> None:
    """Once the fault is gone."""
    try:
        events = ask(engine)
    except EngineClosed as error:
        assert error.hint
        return
    event = last_event(events)
    if isinstance(event, Failed):
        assert isinstance(event.error, EngineClosed)
    else:
        assert event.reply.usage.completion_tokens == _TOKENS


def failing(*_args: Any, **_keywords: Any) -> Any:
    raise Fault("on purpose")


@pytest.mark.parametrize(
    ("owner", "name"), PLACES, ids=[f"{owner.__name__.split('.')[-1]}.{name}" for owner, name in PLACES]
)
def test_a_fault_in_any_function_of_the_worker_ends_the_requests(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        if inspect.ismodule(owner):  # imported by name elsewhere
            for user in (worker_module, job_module):
                if hasattr(user, name):
                    patch.setattr(user, name, failing)
        check_that_nobody_waits(engine)
    check_that_it_serves(engine)


@pytest.mark.parametrize("name", BACKEND_CALLS)
def test_a_fault_in_any_call_of_the_backend_ends_the_requests(
    tiny_backend: Callable[[], LlamaBackend], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    engine = Engine(tiny_backend)
    real_close = engine.backend.close
    with monkeypatch.context() as patch:
        patch.setattr(engine.backend, name, failing)
        check_that_nobody_waits(engine)
        if name == "close":
            engine.close()
    check_that_it_serves(engine)
    engine.close()
    real_close()


def test_the_places_are_worth_testing() -> None:
    assert len(PLACES) > 45 and len(BACKEND_CALLS) > 10


def test_a_fault_in_one_request_leaves_the_others_alone(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sampler that breaks in the middle of one answer."""
    make_sampler = engine.backend.make_sampler
    made = []

    def make(*args: Any) -> Any:
        sampler = make_sampler(*args)
        if not made:
            monkeypatch.setattr(sampler, "sample", failing)
        made.append(sampler)
        return sampler

    monkeypatch.setattr(engine.backend, "make_sampler", make)
    first, second = last_event(ask(engine)), last_event(ask(engine))
    assert isinstance(first, Failed) and isinstance(first.error, BackendFailed)
    assert "Fault: on purpose" in str(first.error) and isinstance(first.error.__cause__, Fault)
    assert isinstance(second, Finished) and second.reply.finish_reason is FinishReason.LENGTH


def test_a_listener_that_fails_harms_nobody_else(engine: Engine) -> None:
    engine.submit(GenerationRequest((30, 31), GenerationOptions(max_tokens=2), failing))
    event = last_event(ask(engine))
    assert isinstance(event, Finished) and event.reply.usage.completion_tokens == _TOKENS
