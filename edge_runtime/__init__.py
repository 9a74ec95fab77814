"""Run Gemma-class language models offline, on the memory a device really has.

    from edge_runtime import Runtime

    with Runtime.open("smollm2-135m-instruct", budget="2GB") as runtime:
        print(runtime.chat([{"role": "user", "content": "Why is the sky blue?"}]).text)

Importing this package opens no file, no socket and no native library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .assistant.conversation import Conversation
    from .assistant.history import History
    from .catalog.inventory import ModelEntry, models, remove
    from .catalog.pulling.pull import Pulled, pull
    from .errors import EdgeRuntimeError
    from .memory import Held, KvType, LoadOptions, MemoryPart, MemoryPlan, PartKind, PlePolicy, speech_parts
    from .runtime.async_runtime import AsyncRuntime
    from .runtime.planning import plan
    from .runtime.runtime import Runtime
    from .runtime.stream import AsyncTextStream, TextStream
    from .speech.async_runtime import AsyncSpeechRuntime, AsyncSpeechStream
    from .speech.audio import AudioDevice, Microphone, list_audio_devices
    from .speech.listening import SpeechStream
    from .speech.recognition.transcript import Transcript, TranscriptEvent
    from .speech.runtime import SpeechRuntime
    from .values.progress import ProgressUpdate
    from .values.records import (
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
    from .values.version import __version__

_HOME_OF = {
    "AsyncRuntime": "runtime.async_runtime",
    "AsyncSpeechRuntime": "speech.async_runtime",
    "AsyncSpeechStream": "speech.async_runtime",
    "AsyncTextStream": "runtime.stream",
    "AudioDevice": "speech.audio",
    "ContextPolicy": "values.records",
    "Conversation": "assistant.conversation",
    "EdgeRuntimeError": "errors",
    "FinishReason": "values.records",
    "GenerationOptions": "values.records",
    "Held": "memory",
    "History": "assistant.history",
    "KvType": "memory",
    "LoadOptions": "memory",
    "MemoryPart": "memory",
    "MemoryPlan": "memory",
    "MemoryUsage": "values.records",
    "Message": "values.records",
    "Microphone": "speech.audio",
    "ModelEntry": "catalog.inventory",
    "PartKind": "memory",
    "PlePolicy": "memory",
    "ProgressUpdate": "values.progress",
    "Pulled": "catalog.pulling.pull",
    "Reply": "values.records",
    "Runtime": "runtime.runtime",
    "SamplingOptions": "values.records",
    "SpeechRuntime": "speech.runtime",
    "SpeechStream": "speech.listening",
    "TextPiece": "values.records",
    "TextStream": "runtime.stream",
    "TokenLogprob": "values.records",
    "Transcript": "speech.recognition.transcript",
    "TranscriptEvent": "speech.recognition.transcript",
    "Usage": "values.records",
    "__version__": "values.version",
    "list_audio_devices": "speech.audio",
    "models": "catalog.inventory",
    "plan": "runtime.planning",
    "pull": "catalog.pulling.pull",
    "remove": "catalog.inventory",
    "speech_parts": "memory",
}

__all__ = [
    "AsyncRuntime",
    "AsyncSpeechRuntime",
    "AsyncSpeechStream",
    "AsyncTextStream",
    "AudioDevice",
    "ContextPolicy",
    "Conversation",
    "EdgeRuntimeError",
    "FinishReason",
    "GenerationOptions",
    "Held",
    "History",
    "KvType",
    "LoadOptions",
    "MemoryPart",
    "MemoryPlan",
    "MemoryUsage",
    "Message",
    "Microphone",
    "ModelEntry",
    "PartKind",
    "PlePolicy",
    "ProgressUpdate",
    "Pulled",
    "Reply",
    "Runtime",
    "SamplingOptions",
    "SpeechRuntime",
    "SpeechStream",
    "TextPiece",
    "TextStream",
    "TokenLogprob",
    "Transcript",
    "TranscriptEvent",
    "Usage",
    "__version__",
    "list_audio_devices",
    "models",
    "plan",
    "pull",
    "remove",
    "speech_parts",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package costs nothing."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'edge_runtime' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
