"""Every error a caller can meet, and what each one means.

EdgeRuntimeError                      base: message, hint, facts, a stable .code
  ModelError
    ModelNotFound        (FileNotFoundError)   nothing by that name or path; lists where it looked
    ModelFileInvalid     (ValueError)          cut short, damaged, wrong hash; path, offset, expected, found
    ModelUnsupported     (ValueError)          architecture, GGUF version or quantization we do not know
    ModelLoadFailed                            our checks passed, llama.cpp still refused; its last log lines
    ChatTemplateFailed   (ValueError)          the model's own template is wrong, or refuses these messages
    ModelDownloadFailed                        the source did not deliver; what has arrived is kept
    StorageFull          (OSError)             no room for the file; carries needed and free bytes
  ResourceError
    MemoryBudgetExceeded                       carries the plan; names the smallest change that fits
    ContextFull                                prompt_tokens, context_tokens
  AudioError
    AudioFormatUnsupported (ValueError)
    AudioDeviceUnavailable (OSError)
  GenerationError
    BackendFailed                              engine return code; says whether the session can go on
    EngineUnavailable    (ImportError)         llama-cpp-python is missing, or does not load or run here
      ChildUnavailable                         the work needs a child process, and none can be started here
    EngineClosed         (RuntimeError)        used after close()
  OptionInvalid          (ValueError)          option name, value received, values allowed
  HistoryUnavailable                           the conversation store cannot be read or written
  NetworkNotAllowed                            something tried to leave the machine
  ConversionError      (ValueError)            tools only: tensor, source file, rule that failed
"""

from __future__ import annotations

from typing import Any, TypeVar

Fact = TypeVar("Fact")


class EdgeRuntimeError(Exception):
    """Base of all of them. `hint` says what the reader can do next."""

    code = "edge_runtime_error"

    def __init__(self, message: str, *, hint: str = "", **facts: object) -> None:
        super().__init__(message)
        self.hint = hint
        self.facts = facts

    def fact(self, name: str, kind: type[Fact]) -> Fact | None:
        """One of `facts`; None where it was not told or is of another type."""
        value = self.facts.get(name)
        return value if isinstance(value, kind) else None

    def __str__(self) -> str:  # some bases, such as OSError, would print their own form
        return str(self.args[0])

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), str(self.args[0]), self.hint, self.facts)


def _rebuild(
    kind: type[EdgeRuntimeError], message: str, hint: str, facts: dict[str, object]
) -> EdgeRuntimeError:
    return kind(message, hint=hint, **facts)


class ModelError(EdgeRuntimeError):
    code = "model_error"


class ModelNotFound(ModelError, FileNotFoundError):
    code = "model_not_found"


class ModelFileInvalid(ModelError, ValueError):
    code = "model_file_invalid"


class ModelUnsupported(ModelError, ValueError):
    code = "model_unsupported"


class ModelLoadFailed(ModelError):
    code = "model_load_failed"


class ChatTemplateFailed(ModelError, ValueError):
    code = "chat_template_failed"


class ModelDownloadFailed(ModelError):
    code = "model_download_failed"


class StorageFull(ModelError, OSError):
    code = "storage_full"

    @property
    def needed_bytes(self) -> int | None:
        return self.fact("needed_bytes", int)

    @property
    def free_bytes(self) -> int | None:
        return self.fact("free_bytes", int)


class ResourceError(EdgeRuntimeError):
    code = "resource_error"


class MemoryBudgetExceeded(ResourceError):
    code = "memory_budget_exceeded"

    @property
    def plan(self) -> Any:
        """The MemoryPlan that does not fit, the smallest there is; None where a child process told the error.

        Any, as its class is in a layer above this one.
        """
        return self.facts.get("plan")

    @property
    def budget_bytes(self) -> int:
        return self.fact("budget_bytes", int) or 0

    @property
    def minimum_bytes(self) -> int:
        """The smallest budget that would do; 0 where that is not known."""
        return self.fact("minimum_bytes", int) or 0

    @property
    def used_bytes(self) -> int:
        """What the process held when it refused new work; 0 where the plan alone was refused."""
        return self.fact("used_bytes", int) or 0


class ContextFull(ResourceError):
    code = "context_full"

    @property
    def prompt_tokens(self) -> int | None:
        """How many tokens the prompt has; None where the cache ran full while answering."""
        return self.fact("prompt_tokens", int)

    @property
    def context_tokens(self) -> int | None:
        """How many tokens one conversation can hold."""
        return self.fact("context_tokens", int)


class AudioError(EdgeRuntimeError):
    code = "audio_error"


class AudioFormatUnsupported(AudioError, ValueError):
    code = "audio_format_unsupported"


class AudioDeviceUnavailable(AudioError, OSError):
    code = "audio_device_unavailable"


class GenerationError(EdgeRuntimeError):
    code = "generation_error"


class BackendFailed(GenerationError):
    code = "backend_failed"

    @property
    def session_good(self) -> bool:
        """Whether the next request can succeed without opening the model again."""
        return self.fact("session_good", bool) or False


class EngineUnavailable(GenerationError, ImportError):
    code = "engine_unavailable"


class ChildUnavailable(EngineUnavailable):
    code = "child_unavailable"


class EngineClosed(GenerationError, RuntimeError):
    code = "engine_closed"


class OptionInvalid(EdgeRuntimeError, ValueError):
    code = "option_invalid"

    @property
    def option(self) -> str:
        """The keyword whose value is wrong."""
        return self.fact("option", str) or ""


class HistoryUnavailable(EdgeRuntimeError):
    code = "history_unavailable"


class NetworkNotAllowed(EdgeRuntimeError):
    code = "network_not_allowed"


class ConversionError(EdgeRuntimeError, ValueError):
    code = "conversion_error"
