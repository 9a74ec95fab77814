"""Greedy answers of transformers, for llama.cpp to be compared with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .cases import VOCABULARY_TOKENS, Case

_TOKENS = 8
_PROMPT = [5, 300, 77, 12, 250, 31]


def write_greedy(model: Any, path: Path, case: Case) -> None:
    """`tokens`, and with each, by how many standard deviations of the logits it is ahead of the next.

    They are the best of the first `vocabulary`: Gemma 3n's last tokens, of pictures and sound, have no
    row of their own among the per-layer embeddings, and llama.cpp takes zeros where transformers takes
    the row of token 0. Of a model without logits, `embedding`: the mean of the last hidden states.
    """
    found: dict[str, Any] = {"prompt": _PROMPT, "tokens": [], "margins": []}
    found["vocabulary"] = case.values.get("vocab_size_per_layer_input", VOCABULARY_TOKENS)
    if case.is_embedding:
        found["embedding"] = _embedding(model)
    else:
        found["tokens"], found["margins"] = map(list, zip(*_greedy(model, found["vocabulary"]), strict=True))
    path.write_text(json.dumps(found))


def _greedy(model: Any, vocabulary: int) -> list[tuple[int, float]]:
    import torch

    tokens, found = list(_PROMPT), []
    with torch.no_grad(), _deviations_of_a_sample():
        for _ in range(_TOKENS):
            logits = model(torch.tensor([tokens]), use_cache=False).logits[0, -1, :vocabulary]
            first, second = logits.topk(2).values.tolist()
            found.append((int(logits.argmax()), (first - second) / float(logits.std())))
            tokens.append(found[-1][0])
    return found


@contextmanager
def _deviations_of_a_sample() -> Iterator[None]:
    """As llama.cpp computes Gemma 3n's sparsity: divided by n - 1 where transformers divides by n.

    At real widths it makes no difference, at these ones another token.
    """
    import torch

    real = torch.std
    torch.std = lambda *args, **options: real(*args, **{**options, "unbiased": True})
    try:
        yield
    finally:
        torch.std = real


def _embedding(model: Any) -> list[float]:
    import torch

    with torch.no_grad():
        states = model(torch.tensor([_PROMPT])).last_hidden_state[0]  # (tokens, width)
        mean: list[float] = states.mean(dim=0).tolist()
        return mean
