"""One part of what a process holds in memory: its kind, its size, and how it is held."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Held(Enum):
    """Who can take the memory back."""

    ANONYMOUS = "anonymous"  # nobody: it must stay, or be swapped
    FILE = "file"  # the kernel, which reads it again when needed
    LOCKED = "locked"  # nobody: file pages that are pinned
    FLASH = "flash"  # not in RAM


class PartKind(Enum):
    """All parts that a plan can have; `label` is for people."""

    label: str

    def __new__(cls, value: str, label: str) -> PartKind:
        member = object.__new__(cls)
        member._value_ = value
        member.label = label
        return member

    BODY = "body", "body"
    BODY_REPACKED = "body_repacked", "body, repacked"
    EMBEDDING = "embedding", "embedding"
    EMBEDDING_REPACKED = "embedding_repacked", "embedding, repacked"
    OUTPUT = "output", "output"
    OUTPUT_REPACKED = "output_repacked", "output, repacked"
    EMBEDDING_TABLE = "embedding_table", "embedding table"
    EMBEDDING_ROWS = "embedding_rows", "embedding rows"
    REPACKED_ORIGINALS = "repacked_originals", "originals of repacked weights"
    STREAMED_WEIGHTS = "streamed_weights", "streamed weights"
    STREAMING_WINDOW = "streaming_window", "streaming window"
    PLE = "ple", "per-layer embeddings"
    PLE_CACHE = "ple_cache", "PLE cache"
    PLE_LOCKED_ROWS = "ple_locked_rows", "PLE rows of low ids"
    PLE_PAGES = "ple_pages", "PLE pages"
    KV_CACHE = "kv_cache", "KV cache"
    COMPUTE_BUFFERS = "compute_buffers", "compute buffers"
    ATTENTION_MASKS = "attention_masks", "attention masks"
    ATTENTION_SCORES = "attention_scores", "attention scores"
    SCRATCH_MEMORY = "scratch_memory", "scratch memory"
    CONTEXT_TABLES = "context_tables", "context tables"
    VOCABULARY = "vocabulary", "vocabulary"
    PYTHON = "python", "Python"
    LIBRARIES = "libraries", "libraries"
    KERNEL = "kernel", "kernel"
    SPEECH_MODEL = "speech_model", "speech model"
    SPEECH_MODEL_MAPPED = "speech_model_mapped", "speech model, mapped"
    SPEECH_WORK_MEMORY = "speech_work_memory", "speech work memory"
    SPEECH_LIBRARIES = "speech_libraries", "speech libraries"
    VOICE_DETECTOR = "voice_detector", "voice detector"


@dataclass(frozen=True)
class MemoryPart:
    kind: PartKind
    size_bytes: int
    held: Held
    detail: str = ""

    @property
    def name(self) -> str:
        """For people."""
        return self.kind.label

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "kind": self.kind.value,
            "bytes": self.size_bytes,
            "held": self.held.value,
        }
