"""Checkpoints made of GGUF files: what other programs want to find in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.builders import gguf_bytes

from edge_runtime.gguf.header import read_header
from scripts.benchmarks.checkpoint_of import tokenizer_of


def test_an_added_token_has_every_key_that_the_tokenizers_package_wants(tmp_path: Path) -> None:
    """Source: tokenizers/src/tokenizer/added_vocabulary.rs, AddedTokenWithId and AddedToken."""
    metadata = {
        "tokenizer.ggml.tokens": ["<s>", "a", "b", "ab"],
        "tokenizer.ggml.token_type": [3, 1, 1, 1],
        "tokenizer.ggml.merges": ["a b"],
    }
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes(metadata, {"weight": np.ones(8)}))
    (added,) = tokenizer_of(read_header(path))["added_tokens"]
    assert added == {
        "id": 0,
        "content": "<s>",
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
