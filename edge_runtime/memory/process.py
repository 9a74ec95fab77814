"""Memory of the process itself: Python, libraries, vocabulary, context tables.

Measured on x86-64, Linux 6.18, Python 3.11, numpy 2.4, llama-cpp-python 0.3.36, with
SmolLM2 135M (49,152 tokens, 48,900 merges), Gemma 3 270M and models of Gemma 3n's and
4's shapes (262,144 tokens, no merges), as RssAnon and RssFile of /proc/self/status.
"""

from __future__ import annotations

from ..gguf.header import GgufHeader
from ..gguf.types import GgufStringArray
from .shape import ModelShape

INTERPRETER_BYTES = 25_500_000  # anonymous: Python, numpy, our modules
LIBRARIES_BYTES = 24_000_000  # file: what is touched of Python's, numpy's and llama.cpp's code
_BYTES_PER_TOKEN = 220  # 196 after loading; checking the header and drawing a token leave the rest
_BYTES_PER_MERGE = 210
_CONTEXT_BASE_BYTES = 1_000_000
_BYTES_PER_CELL = 60  # position, sequences, shift
_BYTES_PER_LOGIT = 4
_BYTES_PER_PAGE = 8  # of a page table, on every 64-bit system
_KERNEL_BASE_BYTES = 500_000  # stacks and other tables: our assumption


def vocabulary_bytes(header: GgufHeader, shape: ModelShape) -> int:
    """Tables of token texts and ids, llama.cpp's and the header's own."""
    merges = header.metadata.get("tokenizer.ggml.merges")
    count = len(merges) if isinstance(merges, GgufStringArray) else 0
    tokens = header.vocabulary_size or shape.vocabulary_tokens
    return _BYTES_PER_TOKEN * tokens + _BYTES_PER_MERGE * count


def context_table_bytes(shape: ModelShape, cells: int, max_sequences: int) -> int:
    """Lists of cells, a row of logits for each sequence, a list of all token ids."""
    rows = (max_sequences + 1) * _BYTES_PER_LOGIT * shape.vocabulary_tokens
    return _CONTEXT_BASE_BYTES + _BYTES_PER_CELL * cells + rows


def kernel_bytes(mapped_bytes: int, page_bytes: int) -> int:
    """What the kernel itself keeps for the process, and a control group charges to it.

    VmPTE of /proc/self/status: 0.7 MB for SmolLM2 135M, 7.9 MB for a Gemma 3n E2B that
    maps 3.8 GB and holds 2.0 GB.
    """
    return _KERNEL_BASE_BYTES + mapped_bytes // page_bytes * _BYTES_PER_PAGE
