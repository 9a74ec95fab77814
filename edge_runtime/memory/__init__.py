"""Memory plans: arithmetic on a header, nothing is loaded."""

from .budget import Budget, safe_budget, system_name
from .choose import plan_memory
from .kv_cache import kv_cache_bytes
from .plan import Held, KvType, MemoryChoices, MemoryPart, MemoryPlan, PlanOptions, Platform, PlePolicy
from .platform_facts import this_platform
from .speech_part import faster_whisper_parts, speech_parts

__all__ = [
    "Budget",
    "Held",
    "KvType",
    "MemoryChoices",
    "MemoryPart",
    "MemoryPlan",
    "PlanOptions",
    "Platform",
    "PlePolicy",
    "faster_whisper_parts",
    "kv_cache_bytes",
    "plan_memory",
    "safe_budget",
    "speech_parts",
    "system_name",
    "this_platform",
]
