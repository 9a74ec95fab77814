"""The values of a memory plan: what is held, how, what was chosen, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from ..values.kv_type import KvType
from ..values.units import ByteUnits, format_bytes
from .part import Held, MemoryPart, PartKind
from .platform import Platform


class PlePolicy(Enum):
    """Where the per-layer embeddings (PLE) of Gemma 3n and 4 live."""

    NONE = "none"  # the model has none
    RESIDENT = "resident"  # the whole table in RAM
    MAPPED = "mapped"  # an ordinary mapping: pages come, with their neighbours, and go
    CACHE = "cache"  # on flash, with a cache of rows that never outgrows its cap


@dataclass(frozen=True)
class MemoryChoices:
    """Everything the runtime is told to do."""

    context_tokens: int  # of one conversation
    kv_type: KvType = KvType.F16
    micro_batch_tokens: int = 512
    repack: bool = True
    ple_policy: PlePolicy = PlePolicy.NONE
    ple_cache_bytes: int = 0
    threads: int = 1
    file: str = ""
    streamed_bytes: int = 0  # weights that are read from flash for every token
    flash_attention: bool = True  # see attention.py

    def as_json(self) -> dict[str, Any]:
        return {
            "context_tokens": self.context_tokens,
            "kv_type": self.kv_type.value,
            "micro_batch": self.micro_batch_tokens,
            "repack": self.repack,
            "ple_policy": self.ple_policy.value,
            "ple_cache_bytes": self.ple_cache_bytes,
            "threads": self.threads,
            "file": self.file,
            "streamed_bytes": self.streamed_bytes,
            "flash_attention": self.flash_attention,
        }


@dataclass(frozen=True)
class PlanOptions:
    """What the user fixed. None: the planner picks."""

    context_tokens: int | None = None
    kv_type: KvType | None = None
    micro_batch_tokens: int | None = None
    repack: bool | None = None
    flash_attention: bool | None = None
    ple_policy: PlePolicy | None = None
    ple_cache_bytes: int | None = None
    ple_locked_bytes: int = 0  # of the table's first rows: a tokenizer's most used tokens have low ids
    threads: int | None = None
    max_sequences: int = 1
    may_stream: bool = True
    compute_factor: float = 1.0  # llama.cpp's own figures over ours: see llama_backend.dry_run
    kv_factor: float = 1.0
    platform: Platform = field(default_factory=Platform)
    beside: tuple[MemoryPart, ...] = ()  # what the same process holds besides this model: see speech_parts
    byte_units: ByteUnits = ByteUnits.DECIMAL  # of sizes in sentences: those that the budget was given in


@dataclass(frozen=True)
class MemoryPlan:
    """What a runtime with these choices holds at its peak, part by part."""

    parts: tuple[MemoryPart, ...]
    choices: MemoryChoices
    budget_bytes: int | None = None
    minimum_bytes: int = 0  # smallest budget with a plan, given what the user fixed
    comfortable_bytes: int = 0  # smallest budget without streaming
    full_speed_bytes: int = 0  # smallest budget at which an answer comes as fast as without one
    explanation: tuple[str, ...] = ()
    certain: bool = True  # False: an architecture or a file that is only guessed at
    max_sequences: int = 1
    byte_units: ByteUnits = ByteUnits.DECIMAL  # of sizes in sentences

    @property
    def fits(self) -> bool:
        return self.budget_bytes is None or self.total_bytes <= self.budget_bytes

    @property
    def total_bytes(self) -> int:
        """All that is in RAM."""
        return self._sum(Held.ANONYMOUS, Held.FILE, Held.LOCKED)

    @property
    def anonymous_bytes(self) -> int:
        return self._sum(Held.ANONYMOUS)

    @property
    def file_bytes(self) -> int:
        """File-backed pages in RAM, the locked ones included."""
        return self._sum(Held.FILE, Held.LOCKED)

    @property
    def locked_bytes(self) -> int:
        return self._sum(Held.LOCKED)

    @property
    def buffer_bytes(self) -> int:
        """What llama.cpp logs as the size of its compute buffer."""
        return self.part_bytes(PartKind.COMPUTE_BUFFERS, PartKind.ATTENTION_MASKS, PartKind.ATTENTION_SCORES)

    @property
    def context_tokens(self) -> int:
        return self.choices.context_tokens

    def part_bytes(self, *kinds: PartKind) -> int:
        """All parts of these kinds together; 0 when there is none."""
        return _total(part for part in self.parts if part.kind in kinds)

    def describe(self) -> str:
        """One line for messages: what is in RAM."""
        held = (part for part in self.parts if part.held is not Held.FLASH and part.size_bytes)
        return ", ".join(f"{part.name} {self.size_text(part.size_bytes)}" for part in held)

    def size_text(self, size_bytes: int) -> str:
        """A size in the units that this plan was asked for in."""
        return format_bytes(size_bytes, self.byte_units)

    def as_json(self) -> dict[str, Any]:
        """These keys are a promise; others may join them."""
        return {
            "fits": self.fits,
            "budget_bytes": self.budget_bytes,
            "total_bytes": self.total_bytes,
            "minimum_bytes": self.minimum_bytes,
            "parts": [part.as_json() for part in self.parts],
            "choices": self.choices.as_json(),
            "explanation": list(self.explanation),
            "anonymous_bytes": self.anonymous_bytes,
            "file_bytes": self.file_bytes,
            "comfortable_bytes": self.comfortable_bytes,
            "full_speed_bytes": self.full_speed_bytes,
            "certain": self.certain,
        }

    def _sum(self, *kinds: Held) -> int:
        return _total(part for part in self.parts if part.held in kinds)


def _total(parts: Iterable[MemoryPart]) -> int:
    return sum(part.size_bytes for part in parts)
