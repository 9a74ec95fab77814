"""What a generation was and cost, in the shape that scripts rely on: generate and bench print it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .records import Reply

if TYPE_CHECKING:
    from .process_memory import PeakSampler


def reply_report(reply: Reply, load_s: float, peaks: PeakSampler) -> dict[str, Any]:
    """These keys are a promise: add none, rename none.

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
            "load_s": load_s,
            "time_to_first_token_s": timings.time_to_first_token_s,
            "prefill_tokens_per_s": timings.prefill_tokens_per_s,
            "decode_tokens_per_s": timings.decode_tokens_per_s,
            "between_decodes_us": timings.between_decodes_us,
        },
        "memory": {
            "peak_anonymous_bytes": peaks.peak_anonymous_bytes,
            "peak_file_bytes": peaks.peak_file_bytes,
        },
    }
