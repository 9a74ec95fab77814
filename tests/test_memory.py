from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_runtime.errors import MemoryBudgetExceeded
from edge_runtime.gguf_header import GgufHeader
from edge_runtime.gguf_types import GgmlType, TensorInfo
from edge_runtime.memory import choose_context, kv_cache_bytes, plan_memory

MIB = 2**20


def header(architecture: str, block_count: int, **values: object) -> GgufHeader:
    metadata: dict[str, object] = {
        "general.architecture": architecture,
        f"{architecture}.block_count": block_count,
        f"{architecture}.context_length": 32768,
        f"{architecture}.embedding_length": 1024,
    }
    metadata |= {f"{architecture}.{key.replace('__', '.')}": value for key, value in values.items()}
    weights = TensorInfo("blk.0.ffn_up.weight", (1024, 4096), GgmlType.F16, 0, 8 * MIB, 0)
    path = Path("some.gguf")
    return GgufHeader(path, (path,), 3, metadata, (weights,), 0, 8 * MIB)  # type: ignore[arg-type]


def test_kv_cache_of_a_llama_by_hand() -> None:
    # 30 layers x 3 KV heads x (64 + 64) x 2 bytes = 23,040 bytes a token
    llama = header("llama", 30, attention__head_count=9, attention__head_count_kv=3, attention__key_length=64,
                   attention__value_length=64)  # fmt: skip
    assert kv_cache_bytes(llama, 4096, 512) == 23_040 * 4096


def test_head_length_follows_from_the_width_when_not_given() -> None:
    # 1024 / 16 heads = 64; 2 layers x 16 x 128 x 2 bytes = 8,192 bytes a token
    assert kv_cache_bytes(header("llama", 2, attention__head_count=16), 100, 512) == 819_200


def test_gemma3_grows_only_in_every_sixth_layer() -> None:
    # 18 layers, 3 of them global; 1 KV head x (256 + 256) x 2 bytes = 1,024 bytes a token and layer;
    # the other 15 stop at the window of 512 and one batch of 512
    gemma = header("gemma3", 18, attention__head_count=4, attention__head_count_kv=1,
                   attention__key_length=256, attention__value_length=256,
                   attention__sliding_window=512)  # fmt: skip
    assert kv_cache_bytes(gemma, 4096, 512) == 1024 * (3 * 4096 + 15 * 1024)
    assert kv_cache_bytes(gemma, 300, 512) == 1024 * 18 * 300


def test_layers_that_share_a_cache_add_nothing() -> None:
    shared = header("gemma4", 4, attention__head_count=2, attention__head_count_kv=1,
                    attention__key_length=128, attention__value_length=128,
                    attention__shared_kv_layers=3)  # fmt: skip
    assert kv_cache_bytes(shared, 10, 512) == 1 * (128 + 128) * 2 * 10


def test_kv_heads_may_differ_from_layer_to_layer() -> None:
    mixed = header("llama", 3, attention__head_count=8, attention__head_count_kv=np.array([8, 0, 2]),
                   attention__key_length=10, attention__value_length=10)  # fmt: skip
    assert kv_cache_bytes(mixed, 1, 512) == (8 + 0 + 2) * 20 * 2


def test_the_parts_are_the_whole() -> None:
    plan = plan_memory(
        header("llama", 2, attention__head_count=16), context_tokens=512, max_sequences=2, batch_tokens=64
    )
    assert [part.name for part in plan.parts] == ["weights", "KV cache", "compute buffers", "process"]
    assert plan.total_bytes == sum(part.size_bytes for part in plan.parts)
    assert plan.parts[0].size_bytes == 8 * MIB and plan.parts[0].held == "file"


def test_the_context_shrinks_until_the_budget_holds() -> None:
    big = header("llama", 32, attention__head_count=16)  # 131,072 bytes a token: 512 MiB at 4096
    free = choose_context(big, None)
    tight = choose_context(big, 200 * MIB)
    assert free.context_tokens == 4096
    assert 256 <= tight.context_tokens < 4096
    assert tight.total_bytes <= 200 * MIB
    doubled = plan_memory(big, context_tokens=2 * tight.context_tokens, max_sequences=1, batch_tokens=512)
    assert doubled.total_bytes > 200 * MIB


def test_what_cannot_fit_says_what_would() -> None:
    with pytest.raises(MemoryBudgetExceeded, match=r"some\.gguf with 256 tokens.*KV cache") as caught:
        choose_context(header("llama", 32, attention__head_count=16), 50 * MIB)
    hint = caught.value.hint
    enough = int(hint.split("MB")[0].split()[-1]) * 1_000_000
    assert choose_context(header("llama", 32, attention__head_count=16), enough).context_tokens == 256


def test_a_context_that_was_asked_for_is_not_made_smaller() -> None:
    with pytest.raises(MemoryBudgetExceeded, match="2048 tokens"):
        choose_context(header("llama", 32, attention__head_count=16), 200 * MIB, context_tokens=2048)
