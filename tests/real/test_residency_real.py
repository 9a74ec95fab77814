"""A model of 300 MB held to a plan: the same answers, fewer pages, and everything given back.

It has Gemma 3n's shape: layers whose widest matrices are large enough to hold, now and then, a
whole block that can be streamed, and a table of per-layer embeddings of a quarter of the file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from edge_tools.synth import Quantizations, scaled, shape_named, write_model
from support.mapped_file import linux_only
from support.places import ROOT

from edge_runtime import Runtime
from edge_runtime.backends.backend import BackendOptions, Chunk, DecodeStatus, Float32Array
from edge_runtime.backends.guard.probe import probe_result
from edge_runtime.backends.llama import LlamaBackend, repack_type
from edge_runtime.device.process_memory import resident_kinds
from edge_runtime.errors import MemoryBudgetExceeded
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.memory import KvType, PlanOptions, plan_memory, this_platform
from edge_runtime.memory.choose import LEAST_PLE_CACHE_BYTES
from edge_runtime.memory.residency import MemoryMonitor, ResidencyLayout, plan_layout
from edge_runtime.memory.residency.mapping import ModelMapping
from edge_runtime.values.records import FinishReason
from scripts.benchmarks.limits.group import limited_group, why_refused

pytestmark = linux_only
REFUSED = why_refused()
VOCABULARY_TOKENS = 24576
MB = 1_000_000
STREAMED_BYTES, WINDOW_BYTES = 20 * MB, 8 * MB
CONTEXT_TOKENS, MICRO_BATCH_TOKENS = 512, 64


@pytest.fixture(scope="session")
def model_path(tmp_path_factory: pytest.TempPathFactory, gemma_path: Path) -> Path:
    shape = scaled(shape_named("gemma-3n-e2b"), 0.25).with_values(
        {"feed_forward_length": {"cycle": [8704]}}, VOCABULARY_TOKENS
    )
    types = Quantizations.named(body="Q4_0", embedding="Q6_K", ple="Q4_0", other="Q8_0")
    path = tmp_path_factory.mktemp("residency") / "model.gguf"
    return write_model(path, shape, types, tokenizer=gemma_path).path


@pytest.fixture
def header(model_path: Path) -> GgufHeader:
    """Of the file, which is not in the page cache."""
    descriptor = os.open(model_path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)
    return read_header(model_path)


def repacked(tensor: TensorInfo) -> bool:
    return repack_type(int(tensor.type), tensor.shape) is not None


def layout_of(header: GgufHeader, *, streamed_bytes: int = 0, cap_bytes: int = 32 * MB) -> ResidencyLayout:
    return plan_layout(
        header,
        repack=repacked,
        streamed_bytes=streamed_bytes,
        window_bytes=WINDOW_BYTES,
        ple_cache_bytes=cap_bytes,
    )


@contextmanager
def loaded(header: GgufHeader, layout: ResidencyLayout | None) -> Iterator[LlamaBackend]:
    options = BackendOptions(
        context_tokens=CONTEXT_TOKENS,
        batch_tokens=MICRO_BATCH_TOKENS,
        threads=2,
        residency=layout,
        gpu_layers=0,
    )
    backend = LlamaBackend(header.path, options)
    try:
        yield backend
    finally:
        backend.close()


def random_tokens(count: int) -> list[int]:
    return [int(token) for token in np.random.default_rng(5).integers(300, VOCABULARY_TOKENS, count)]


def some_logits(backend: LlamaBackend) -> Float32Array:
    """(4, vocabulary): after a prompt, and after each of three tokens."""
    tokens, rows = random_tokens(43), []
    for start, end in ((0, 40), (40, 41), (41, 42), (42, 43)):
        backend.arm_abort()
        assert backend.decode([Chunk(0, start, tokens[start:end], wants_logits=True)]) is DecodeStatus.DONE
        rows.append(backend.logits(0).copy())
    return np.stack(rows)


def streaming_budget(header: GgufHeader) -> int:
    """Some MB below what works without streaming, all settings fixed as open_streaming() fixes them."""
    options = PlanOptions(
        context_tokens=CONTEXT_TOKENS,
        kv_type=KvType.F16,
        micro_batch_tokens=MICRO_BATCH_TOKENS,
        threads=2,
        platform=this_platform(),
    )
    full = plan_memory(header, options, None)
    saved_bytes = full.choices.ple_cache_bytes - LEAST_PLE_CACHE_BYTES  # what goes first
    return full.total_bytes - saved_bytes - 5 * MB


def open_streaming(header: GgufHeader) -> Runtime:
    return Runtime.open(
        header.path,
        budget=streaming_budget(header),
        context_tokens=CONTEXT_TOKENS,
        kv_type="f16",
        micro_batch_tokens=MICRO_BATCH_TOKENS,
        threads=2,
        gpu_layers=0,
    )


# --- the same answers --------------------------------------------------------------------------


def test_logits_are_the_same_held_streamed_or_left_alone(header: GgufHeader) -> None:
    with loaded(header, None) as backend:
        alone = some_logits(backend)
    with loaded(header, layout_of(header)) as backend:
        held = some_logits(backend)
    with loaded(header, layout_of(header, streamed_bytes=STREAMED_BYTES)) as backend:
        streamed = some_logits(backend)
        assert backend.keeper is not None and backend.keeper.figures().streamed_bytes > STREAMED_BYTES
    assert np.isfinite(alone).all() and alone.std() > 0.01
    np.testing.assert_array_equal(held, alone)
    # What is streamed has no copy in another order, and adds up its products in another one.
    np.testing.assert_allclose(streamed, alone, atol=0.05 * alone.std())


def test_the_rows_of_low_ids_stay_when_the_rest_is_trimmed(header: GgufHeader) -> None:
    options = {"context_tokens": CONTEXT_TOKENS, "threads": 2, "gpu_layers": 0}
    with Runtime.open(header.path, ple_locked="4MB", **options) as runtime:  # type: ignore[arg-type]
        keeper = runtime._backend.keeper
        assert keeper is not None
        runtime.generate(random_tokens(100), max_tokens=2, ignore_end=True)
        assert runtime.memory_usage().ple_resident_bytes > 4 * MB
        keeper.trim_ple()
        left_bytes = runtime.memory_usage().ple_resident_bytes
        assert 3.9 * MB < left_bytes < 4.1 * MB  # a map may begin before the rows, and is then estimated
        locked_bytes = runtime.memory_usage().locked_bytes
        assert locked_bytes == 0 or 3.9 * MB < locked_bytes <= 4 * MB  # 0: RLIMIT_MEMLOCK is small


# --- fewer pages ---------------------------------------------------------------------------------


def test_after_loading_little_of_the_file_is_in_memory(header: GgufHeader) -> None:
    before = (resident_kinds() or (0, 0))[1]
    layout = layout_of(header)
    with loaded(header, layout) as backend:
        grown_bytes = (resident_kinds() or (0, 0))[1] - before
        used_bytes = sum(place.end - place.start for place in layout.used)
        assert grown_bytes < used_bytes + 8 * MB < 0.3 * header.file_size_bytes
        assert backend.keeper is not None and backend.keeper.ple_resident_bytes() < MB


def test_rows_of_500_random_tokens_stay_under_their_cap(header: GgufHeader) -> None:
    cap_bytes, tokens = MB, random_tokens(500)
    with loaded(header, layout_of(header, cap_bytes=cap_bytes)) as backend:
        keeper = backend.keeper
        assert keeper is not None
        monitor = MemoryMonitor(None)
        monitor.start(keeper)
        most_bytes = 0
        for start in range(0, 500, 25):
            chunk = Chunk(0, start, tokens[start : start + 25], wants_logits=True)
            assert backend.decode([chunk]) is DecodeStatus.DONE
            most_bytes = max(most_bytes, keeper.ple_resident_bytes())
            monitor.look()
            assert keeper.ple_resident_bytes() <= cap_bytes
        monitor.close()
        assert monitor.trim_count >= 1
        assert 0.5 * cap_bytes < most_bytes < 1.4 * cap_bytes  # it is used, and 25 tokens beyond it


def test_streamed_weights_stay_in_their_window(header: GgufHeader) -> None:
    layout = layout_of(header, streamed_bytes=STREAMED_BYTES)
    names = {tensor.name for tensor in layout.streamed}
    assert sum(t.place.end - t.place.start for t in layout.streamed) >= STREAMED_BYTES and len(names) > 3
    before = (resident_kinds() or (0, 0))[1]
    with loaded(header, layout) as backend:
        some_logits(backend)
        used_bytes = sum(place.end - place.start for place in layout.used)
        most_bytes, end_s = used_bytes + WINDOW_BYTES + 12 * MB, time.monotonic() + 20
        while (resident_kinds() or (0, 0))[1] - before >= most_bytes:  # the thread drops what was too late
            assert time.monotonic() < end_s
            time.sleep(0.05)


# --- as a program ----------------------------------------------------------------------------------


def test_a_budget_that_needs_streaming_is_kept_and_can_be_cancelled(header: GgufHeader) -> None:
    with open_streaming(header) as runtime:
        assert runtime.plan.choices.streamed_bytes > 0
        whole = runtime.generate(random_tokens(20), temperature=0, max_tokens=8)
        assert whole.timings.reread_bytes_per_token > MB  # weights come from the device for each token
        stream = runtime.generate(random_tokens(450), stream=True, temperature=0)
        time.sleep(0.05)  # in the middle of the prompt
        stream.cancel()
        started_s = time.monotonic()
        assert stream.result().finish_reason is FinishReason.CANCELLED
        assert time.monotonic() - started_s < 5
        again = runtime.generate(random_tokens(20), temperature=0, max_tokens=8)
        assert again.text == whole.text
        usage = runtime.memory_usage()
        assert usage.locked_bytes > 0
        assert usage.ple_resident_bytes <= runtime.plan.choices.ple_cache_bytes


def test_closing_gives_back_threads_descriptors_and_the_map(header: GgufHeader) -> None:
    def held() -> tuple[set[str], int]:
        return {t.name for t in threading.enumerate()}, len(list(Path("/proc/self/fd").iterdir()))

    before = held()
    with open_streaming(header) as runtime:
        runtime.generate(random_tokens(5), max_tokens=2)
        names = {thread.name for thread in threading.enumerate()}
        assert {"edge-runtime-weights", "edge-runtime-memory"} <= names
        assert ModelMapping([header.path]).found
    assert held() == before
    assert not ModelMapping([header.path]).found


def test_a_budget_that_is_too_small_is_refused_before_anything_starts(
    header: GgufHeader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(tmp_path / "store"))  # where nothing is known yet
    log = tmp_path / "runs"
    child = tmp_path / "python"
    child.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexit 1\n')
    child.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(child))
    with pytest.raises(MemoryBudgetExceeded) as caught:
        Runtime.open(header.path, budget=60 * MB)
    assert caught.value.hint
    assert not log.exists()
    assert not ModelMapping([header.path]).found


_RUN = """
import sys
from edge_runtime import Runtime
path, budget, context, micro_batch = sys.argv[1], *map(int, sys.argv[2:])
with Runtime.open(path, budget=budget, context_tokens=context, kv_type="f16",
                  micro_batch_tokens=micro_batch, threads=2, gpu_layers=0) as runtime:
    reply = runtime.generate([n * 37 % 24000 + 300 for n in range(200)], max_tokens=24, temperature=0)
    print(runtime.plan.choices.streamed_bytes > 0, reply.usage.completion_tokens)
"""


@pytest.mark.skipif(bool(REFUSED), reason=f"no memory control group: {REFUSED}")
def test_under_a_hard_limit_of_its_budget_nothing_is_killed(
    header: GgufHeader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is the first start, when children try out the engine and the file."""
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(tmp_path / "store"))
    budget_bytes = streaming_budget(header)
    numbers = [str(number) for number in (budget_bytes, CONTEXT_TOKENS, MICRO_BATCH_TOKENS)]
    with limited_group(budget_bytes) as group:
        command = group.command([sys.executable, "-c", _RUN, str(header.path), *numbers])
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
        usage = group.usage()
    assert done.returncode == 0, done.stderr[-500:]
    assert usage.oom_kills == 0
    assert done.stdout.split() == ["True", "24"]
    assert probe_result() is not None  # nor was a child that tried the engine


_CHAT = """
import json, sys
from edge_runtime import Runtime
from edge_runtime.device.process_memory import resident_kinds
messages, held = [], []
with Runtime.open(sys.argv[1], context_tokens=256, threads=2, gpu_layers=0) as runtime:
    for turn in range(1, 31):
        messages.append({"role": "user", "content": f"Tell me fact number {turn} about rivers."})
        reply = runtime.chat(messages, max_tokens=12, temperature=0)
        messages.append({"role": "assistant", "content": reply.text})
        held.append(sum(resident_kinds()))
print(json.dumps({"held": held, "dropped_turns": reply.dropped_turns}))
"""


def test_a_chat_holds_after_30_turns_what_it_held_after_10(smollm2_path: Path) -> None:
    """Its context is full by then. A row of logits kept from each turn would be 4 MB."""
    command = [sys.executable, "-c", _CHAT, str(smollm2_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]
    found = json.loads(done.stdout)
    assert found["dropped_turns"] > 10
    assert abs(found["held"][29] - found["held"][9]) < 2 * MB
