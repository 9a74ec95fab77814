"""Run Gemma-class language models offline, on the memory a device really has.

    from edge_runtime import Runtime

    with Runtime.open("smollm2-135m-instruct", budget="2GB") as runtime:
        print(runtime.chat([{"role": "user", "content": "Why is the sky blue?"}]).text)

Importing this package opens no file, no socket and no native library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from .async_runtime import AsyncRuntime
    from .errors import EdgeRuntimeError
    from .listening import ListenOptions
    from .memory import MemoryPlan
    from .records import (
        ContextPolicy,
        FinishReason,
        GenerationOptions,
        MemoryUsage,
        Message,
        Reply,
        SamplingOptions,
        TextPiece,
        TokenLogprob,
        Usage,
    )
    from .runtime import Runtime
    from .speech_async import AsyncSpeechRuntime
    from .speech_runtime import SpeechRuntime
    from .transcript import TranscriptEvent

_HOME_OF = {
    "AsyncRuntime": "async_runtime",
    "AsyncSpeechRuntime": "speech_async",
    "ContextPolicy": "records",
    "EdgeRuntimeError": "errors",
    "FinishReason": "records",
    "GenerationOptions": "records",
    "ListenOptions": "listening",
    "MemoryPlan": "memory",
    "MemoryUsage": "records",
    "Message": "records",
    "Reply": "records",
    "Runtime": "runtime",
    "SamplingOptions": "records",
    "SpeechRuntime": "speech_runtime",
    "TextPiece": "records",
    "TokenLogprob": "records",
    "TranscriptEvent": "transcript",
    "Usage": "records",
}

__all__ = [
    "AsyncRuntime",
    "AsyncSpeechRuntime",
    "ContextPolicy",
    "EdgeRuntimeError",
    "FinishReason",
    "GenerationOptions",
    "ListenOptions",
    "MemoryPlan",
    "MemoryUsage",
    "Message",
    "Reply",
    "Runtime",
    "SamplingOptions",
    "SpeechRuntime",
    "TextPiece",
    "TokenLogprob",
    "TranscriptEvent",
    "Usage",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'edge_runtime' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
