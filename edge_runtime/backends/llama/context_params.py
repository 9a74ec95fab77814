"""llama.cpp's parameters of a context, for a run and for a dry run alike."""

from __future__ import annotations

from typing import Any

from ..context_settings import ContextSettings
from .library import native

_NO_FLASH_ATTENTION = 0  # source: enum llama_flash_attn_type; by default llama.cpp decides


def context_params(
    settings: ContextSettings, *, embeddings: bool = False, output_rows: int | None = None
) -> Any:
    """A llama_context_params with everything that decides what the context takes.

    output_rows: how many tokens of a step may have a row of logits; None: one a sequence.
    More than that would end the process.
    """
    params = native().llama_context_default_params()
    params.n_ctx = settings.context_tokens * settings.max_sequences
    params.n_batch = params.n_ubatch = min(settings.batch_tokens, params.n_ctx)
    params.n_seq_max = settings.max_sequences
    # One pool of cells for all: copying a shared prefix then costs nothing.
    params.kv_unified = True
    # Layers with a sliding window keep the window, not everything: 27 MiB instead of 72 for
    # Gemma 3 270M at 4096 tokens. The price: going back further means evaluating again.
    params.swa_full = False
    # A row of logits a sequence, not one a token: at 262,144 tokens of vocabulary
    # and a batch of 512 that is 537 MB less in the compute buffer.
    params.n_outputs_max = output_rows or (params.n_batch if embeddings else settings.max_sequences)
    params.n_threads = params.n_threads_batch = settings.threads
    params.embeddings = embeddings
    params.type_k = params.type_v = settings.kv_type.ggml_number
    if not settings.flash_attention:
        params.flash_attn_type = _NO_FLASH_ATTENTION
    params.no_perf = True
    return params
