"""The real models that the benchmarks run, in the engine alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from edge_runtime.backends.backend import BackendOptions
from edge_runtime.backends.llama import LlamaBackend
from edge_runtime.catalog.catalog import locate
from edge_runtime.runtime.engine import Engine, Failed, Finished, GenerationRequest
from edge_runtime.runtime.engine.request import Event
from edge_runtime.values.records import GenerationOptions, Reply, SamplingOptions

THREADS = 2
CONTEXT_TOKENS = 4096
MODELS = ("smollm2-135m-instruct", "gemma-3-270m")
GREEDY = SamplingOptions(temperature=0.0)
GEMMA_STYLE = SamplingOptions(temperature=1.0, top_k=64, top_p=0.95, min_p=0.0, seed=1)


def model_path(name: str) -> Path:
    return locate(name).path


@contextmanager
def open_engine(name: str, **options: Any) -> Iterator[Engine]:
    settings = BackendOptions(**{"context_tokens": CONTEXT_TOKENS, "threads": THREADS, **options})
    engine = Engine(lambda: LlamaBackend(model_path(name), settings))
    try:
        yield engine
    finally:
        engine.close()


def submit(engine: Engine, prompt: str | tuple[int, ...], **options: Any) -> SimpleQueue[Event]:
    events: SimpleQueue[Event] = SimpleQueue()
    if isinstance(prompt, str):
        prompt = tuple(engine.backend.tokenize(prompt, add_special=True, parse_special=True))
    engine.submit(GenerationRequest(prompt, GenerationOptions(**options), events.put))
    return events


def wait(events: SimpleQueue[Event]) -> Reply:
    while True:
        event = events.get()
        if isinstance(event, Finished):
            return event.reply
        if isinstance(event, Failed):
            raise event.error


def generate(engine: Engine, prompt: str | tuple[int, ...], **options: Any) -> Reply:
    return wait(submit(engine, prompt, **options))
