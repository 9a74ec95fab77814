"""The JSON report of a generation, which `generate` and `bench` print."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..values.records import MemoryUsage, Reply

if TYPE_CHECKING:
    from ..device.process_memory import PeakSampler
    from .runtime import Runtime


@dataclass(frozen=True)
class RuntimeFigures:
    """What a report says of the runtime, taken while it was open."""

    load_s: float
    plan: dict[str, Any]  # as `edge-runtime plan --json`
    usage: MemoryUsage

    @classmethod
    def of(cls, runtime: Runtime) -> RuntimeFigures:
        return cls(runtime.load_s, runtime.plan.as_json(), runtime.memory_usage())


def reply_report(reply: Reply, figures: RuntimeFigures, peaks: PeakSampler) -> dict[str, Any]:
    """These keys are a promise: rename none.

    The peaks are those of this process since `peaks` was entered, Python and libraries
    included; None where the system does not tell the kinds apart.
    """
    usage, timings = reply.usage, reply.timings
    return {
        "text": reply.text,
        "finish_reason": reply.finish_reason.value,
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "cached_tokens": usage.cached_tokens,
            "completion_tokens": usage.completion_tokens,
        },
        "timings": {
            "load_s": figures.load_s,
            "time_to_first_token_s": timings.time_to_first_token_s,
            "prefill_tokens_per_s": timings.prefill_tokens_per_s,
            "decode_tokens_per_s": timings.decode_tokens_per_s,
            "between_decodes_us": timings.between_decodes_us,
        },
        "memory": {
            "peak_anonymous_bytes": peaks.peak_anonymous_bytes,
            "peak_file_bytes": peaks.peak_file_bytes,
            "reread_bytes_per_token": timings.reread_bytes_per_token,
            "locked_bytes": figures.usage.locked_bytes,
            "ple_resident_bytes": figures.usage.ple_resident_bytes,
        },
        "plan": figures.plan,
    }
