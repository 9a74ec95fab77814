"""Layer patterns and tensor names: sliding layers, layers that own a cache."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import BOOL, Typed
from support.gguf_files import model

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.layer_patterns import owning_layers, periodic, sliding_layers
from edge_runtime.gguf.tensor_names import layer_tensor, split_name


def test_period_counts_from_the_first_layer() -> None:
    assert periodic(6, 3) == [True, True, False, True, True, False]
    assert periodic(3, 1) == [False] * 3
    assert periodic(3, 0) == [True] * 3


@pytest.mark.parametrize(
    ("architecture", "values", "full"),
    [
        ("gemma3", {}, [5]),
        ("gemma3n", {}, [4]),
        ("gemma3", {"attention.sliding_window_pattern": 2}, [1, 3, 5]),
        ("gemma4", {"attention.sliding_window_pattern": Typed(BOOL, [True, False] * 3)}, [1, 3, 5]),
    ],
)
def test_full_layers(tmp_path: Path, architecture: str, values: dict[str, object], full: list[int]) -> None:
    header = model(tmp_path, architecture, {"block_count": 6, "attention.sliding_window": 16, **values})
    assert [layer for layer, slides in enumerate(sliding_layers(header)) if not slides] == full


@pytest.mark.parametrize(
    ("architecture", "shared", "owning"), [("gemma3n", 15, 20), ("gemma4", 15, 20), ("llama", 0, 35)]
)
def test_layers_that_own_a_cache(tmp_path: Path, architecture: str, shared: int, owning: int) -> None:
    header = model(tmp_path, architecture, {"block_count": 35, "attention.shared_kv_layers": shared})
    assert owning_layers(header) == owning


def test_more_shared_layers_than_there_are(tmp_path: Path) -> None:
    header = model(tmp_path, "gemma4", {"block_count": 4, "attention.shared_kv_layers": 9})
    assert owning_layers(header) == 0
    header = model(tmp_path, "gemma4", {"block_count": 4, "attention.shared_kv_layers": "all"})
    with pytest.raises(ModelFileInvalid, match="shared_kv_layers: expected a whole number"):
        owning_layers(header)


def test_names_of_layers_go_both_ways() -> None:
    assert split_name(layer_tensor(12, "ffn_up.weight")) == (12, "ffn_up.weight")
    for name in ("token_embd.weight", "blk.x.ffn_up.weight", "blk.1", "blk.1.", "my.blk.1.x", "blk.٣.x"):
        assert split_name(name) is None
