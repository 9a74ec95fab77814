"""The settings of one llama.cpp context."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..values.kv_type import KvType

if TYPE_CHECKING:  # a child process that only tries a context out needs no planner
    from typing_extensions import Self

    from ..memory import MemoryPlan


@dataclass(frozen=True)
class ContextSettings:
    context_tokens: int  # of one conversation
    max_sequences: int = 1
    batch_tokens: int = 512  # most that are evaluated at once
    threads: int = 1
    kv_type: KvType = KvType.F16
    flash_attention: bool = True  # a quantized cache needs it

    @classmethod
    def of_plan(cls, plan: MemoryPlan) -> Self:
        """As the planner has chosen them."""
        choices = plan.choices
        return cls(
            context_tokens=choices.context_tokens,
            max_sequences=plan.max_sequences,
            batch_tokens=choices.micro_batch_tokens,
            threads=choices.threads,
            kv_type=choices.kv_type,
            flash_attention=choices.flash_attention,
        )

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "kv_type": self.kv_type.value}

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> Self:
        return cls(**{**found, "kv_type": KvType(found["kv_type"])})
