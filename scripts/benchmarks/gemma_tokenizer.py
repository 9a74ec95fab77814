"""Gemma's tokenizer as a checkpoint has it, out of a GGUF file: tokenizer.model and tokenizer.json."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_runtime.gguf.header import read_header

_SPACE = "\u2581"
_CONTROL = 3  # the numbers of sentencepiece_model.proto, which GGUF's are too


def write_tokenizer(gguf: Path, folder: Path) -> None:
    """tokenizer.json has half a million merges, worked out from the pieces, as the real one does (33 MB)."""
    metadata: dict[str, Any] = dict(read_header(gguf).metadata)
    texts = [text.decode() for text in metadata["tokenizer.ggml.tokens"].iter_bytes()]
    scores = metadata["tokenizer.ggml.scores"].tolist()
    kinds = metadata["tokenizer.ggml.token_type"].tolist()
    (folder / "tokenizer.model").write_bytes(b"".join(map(_piece, texts, scores, kinds)))
    ids = {text: number for number, text in enumerate(texts)}
    special = [text for text, kind in zip(texts, kinds, strict=True) if kind == _CONTROL]
    content = {
        "version": "1.0",
        "added_tokens": [{"id": ids[text], "content": text, "special": True} for text in special],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": _SPACE},
        "model": {"type": "BPE", "byte_fallback": True, "vocab": ids, "merges": list(_merges(texts, ids))},
    }
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    settings = {"tokenizer_class": "GemmaTokenizer", "bos_token": "<bos>", "eos_token": "<eos>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({**settings, "add_bos_token": True}))


def _merges(texts: Sequence[str], ids: dict[str, int]) -> Iterator[list[str]]:
    """Every way to put a piece together of two others, earlier pieces first."""
    for text in texts:
        for cut in range(1, len(text)):
            if text[:cut] in ids and text[cut:] in ids:
                yield [text[:cut], text[cut:]]


def _piece(text: str, score: float, kind: int) -> bytes:
    """Of a ModelProto: text, score and type. Format: https://protobuf.dev/programming-guides/encoding"""
    raw = text.encode()
    body = b"\x0a" + _varint(len(raw)) + raw + b"\x15" + struct.pack("<f", score) + b"\x18" + _varint(kind)
    return b"\x0a" + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])
