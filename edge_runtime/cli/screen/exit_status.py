"""Exit statuses: one for each kind of error. Every leaf of the error tree is here."""

from __future__ import annotations

from ... import errors

GOOD, USAGE, MODEL, MEMORY, AUDIO, ENGINE, CANCELLED = 0, 2, 3, 4, 5, 6, 130

STATUS_OF: dict[type[errors.EdgeRuntimeError], int] = {
    errors.ModelNotFound: MODEL,
    errors.ModelFileInvalid: MODEL,
    errors.ModelUnsupported: MODEL,
    errors.ModelLoadFailed: MODEL,
    errors.ChatTemplateFailed: MODEL,
    errors.ModelDownloadFailed: MODEL,
    errors.StorageFull: MODEL,
    errors.MemoryBudgetExceeded: MEMORY,
    errors.ContextFull: MEMORY,
    errors.AudioFormatUnsupported: AUDIO,
    errors.AudioDeviceUnavailable: AUDIO,
    errors.BackendFailed: ENGINE,
    errors.EngineUnavailable: ENGINE,
    errors.ChildUnavailable: ENGINE,
    errors.EngineClosed: ENGINE,
    errors.OptionInvalid: USAGE,
    errors.HistoryUnavailable: ENGINE,
    errors.NetworkNotAllowed: MODEL,
    errors.ConversionError: MODEL,
}


def exit_status_of(error: errors.EdgeRuntimeError) -> int:
    for kind in type(error).__mro__:
        if kind in STATUS_OF:
            return STATUS_OF[kind]
    return ENGINE
