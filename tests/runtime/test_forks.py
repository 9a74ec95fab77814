"""A forked child is refused instead of hanging; a runtime that nobody closed is freed, with a warning."""

from __future__ import annotations

import gc
import json
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.builders import tiny_llama_gguf

from edge_runtime.errors import ChatTemplateFailed, EngineClosed
from edge_runtime.runtime.runtime import Runtime

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")

_SOON_S = 20.0


@pytest.fixture
def opened(tiny: Path) -> Iterator[Runtime]:
    with Runtime.open(tiny, context_tokens=64, threads=1) as runtime:
        yield runtime


def in_a_fork(work: Callable[[], Any]) -> Any:
    """What `work` returns in a child process. Fails when that hangs."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads and fork
        child = os.fork()
    if not child:
        signal.alarm(int(_SOON_S))  # its default action ends a process that hangs
        try:
            answer = work()
        except BaseException as error:  # noqa: BLE001 - the parent reads it
            answer = f"{type(error).__name__}: {error}"
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    assert os.WIFEXITED(status), f"the child hung, or died: {status}"
    return json.loads(text)


def refusal(call: Callable[[], Any]) -> list[str]:
    try:
        return ["returned", repr(call())]
    except EngineClosed as error:
        return [type(error).__name__, str(error), error.hint]


CALLS: dict[str, Callable[[Runtime], Any]] = {
    "chat": lambda runtime: runtime.chat([{"role": "user", "content": "a"}]),
    "generate": lambda runtime: runtime.generate("a", max_tokens=1),
    "stream": lambda runtime: list(runtime.generate("a", stream=True, max_tokens=1)),
    "embed": lambda runtime: runtime.embed("a"),
    "tokenize": lambda runtime: runtime.tokenize("a"),
    "detokenize": lambda runtime: runtime.detokenize([5]),
    "count_tokens": lambda runtime: runtime.count_tokens("a"),
    "memory_usage": lambda runtime: runtime.memory_usage(),
    "save_state": lambda runtime: runtime.save_state([{"role": "user", "content": "a"}], "state"),
}


def test_a_forked_child_is_told_to_open_its_own(opened: Runtime) -> None:
    answers = in_a_fork(lambda: {name: refusal(lambda c=call: c(opened)) for name, call in CALLS.items()})
    for name, answer in answers.items():
        kind, message, hint = answer
        assert kind == "EngineClosed", name
        assert str(os.getpid()) in message and "open it in the child process" in hint
    assert opened.generate("a", max_tokens=2, ignore_end=True).usage.completion_tokens == 2  # the parent's


def test_closing_in_a_child_leaves_the_parents_alone(opened: Runtime) -> None:
    def close() -> str:
        with opened:
            pass
        return "closed"

    assert in_a_fork(close) == "closed"
    assert opened.generate("a", max_tokens=2, ignore_end=True).usage.completion_tokens == 2


def test_a_stream_that_was_begun_before_the_fork_is_refused_in_the_child(opened: Runtime) -> None:
    with opened.generate("a", stream=True, ignore_end=True) as stream:
        answer = in_a_fork(lambda: refusal(stream.result))
        assert answer[0] == "EngineClosed" and "child process" in answer[2]
        stream.cancel()
        assert stream.result()


def test_a_fork_while_a_lock_is_held_does_not_hang(opened: Runtime) -> None:
    with opened._engine._lock:
        assert in_a_fork(lambda: refusal(lambda: opened.generate([5])))[0] == "EngineClosed"
        assert in_a_fork(lambda: opened.close()) is None


def test_a_child_opens_its_own(opened: Runtime, tiny: Path) -> None:
    """It has to be able to do what the hint says."""

    def ask() -> int:
        with Runtime.open(tiny, context_tokens=64, threads=1) as own:
            return own.generate("a", max_tokens=2, ignore_end=True).usage.completion_tokens

    assert in_a_fork(ask) == 2


# --- never closed ----------------------------------------------------------------------------


def engine_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("edge-runtime")]


def wait_until_gone(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.join(_SOON_S)
        assert not thread.is_alive()


def test_a_runtime_that_nobody_closed_is_freed_with_a_warning(tiny: Path) -> None:
    before = set(engine_threads())
    runtime: Runtime | None = Runtime.open(tiny, context_tokens=64, threads=1)
    assert runtime is not None and runtime.generate("a", max_tokens=1).usage.prompt_tokens
    own = [thread for thread in engine_threads() if thread not in before]
    assert own
    with pytest.warns(ResourceWarning, match="tiny.* was never closed"):
        runtime = None
        gc.collect()
    wait_until_gone(own)


def test_a_closed_runtime_warns_of_nothing(tiny: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Runtime.open(tiny, context_tokens=64, threads=1):
            pass
        gc.collect()


def test_a_runtime_that_could_not_be_made_warns_of_nothing(tmp_path: Path) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(tiny_llama_gguf(chat_template="{% for %}"))
    before = set(engine_threads())
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ChatTemplateFailed):
            Runtime.open(path, context_tokens=64, threads=1)
        gc.collect()
    assert [str(warning.message) for warning in caught if "closed" in str(warning.message)] == []
    wait_until_gone([thread for thread in engine_threads() if thread not in before])


def test_a_stream_keeps_its_runtime(tiny: Path) -> None:
    """Dropped at once, the runtime must not end the answer that is being read."""
    stream = Runtime.open(tiny, context_tokens=64, threads=1).generate(
        "a", stream=True, max_tokens=8, ignore_end=True
    )
    gc.collect()
    time.sleep(0.05)
    assert stream.result().usage.completion_tokens == 8
    with pytest.warns(ResourceWarning, match="never closed"):
        del stream
        gc.collect()


def test_a_child_warns_of_nothing_that_is_the_parents(tiny: Path) -> None:
    runtime: Runtime | None = Runtime.open(tiny, context_tokens=64, threads=1)

    def forget() -> list[str]:
        nonlocal runtime
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            runtime = None
            gc.collect()
        return [str(warning.message) for warning in caught]

    assert in_a_fork(forget) == []
    assert runtime is not None
    runtime.close()
