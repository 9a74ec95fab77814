"""Memory plans: arithmetic on a header, nothing is loaded."""

from ..values.kv_type import KvType
from .budget import Budget, safe_budget, system_name
from .choose import plan_memory
from .kv_cache import kv_cache_bytes
from .load_options import LoadKeywords, LoadOptions, load_options
from .part import Held, MemoryPart, PartKind
from .plan import MemoryChoices, MemoryPlan, PlanOptions, PlePolicy
from .platform import Platform, this_platform
from .speech_part import faster_whisper_parts, speech_parts

__all__ = [
    "Budget",
    "Held",
    "KvType",
    "LoadKeywords",
    "LoadOptions",
    "MemoryChoices",
    "MemoryPart",
    "MemoryPlan",
    "PartKind",
    "PlanOptions",
    "Platform",
    "PlePolicy",
    "faster_whisper_parts",
    "kv_cache_bytes",
    "load_options",
    "plan_memory",
    "safe_budget",
    "speech_parts",
    "system_name",
    "this_platform",
]
