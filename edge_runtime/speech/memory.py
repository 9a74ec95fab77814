"""The memory of a speech model, for a plan of it together with a chat model."""

from __future__ import annotations

import os
from pathlib import Path

from ..catalog.catalog import find_manifest, find_speech_model
from ..errors import ModelNotFound
from ..memory import MemoryPart, faster_whisper_parts, speech_parts
from .whisper import ctranslate2_weights, weight_bytes


def plan_speech(model: str | os.PathLike[str]) -> tuple[MemoryPart, ...]:
    """By catalog name or folder; a model of the catalog need not be here yet.

    Raises ModelNotFound, ModelUnsupported (a model of another kind) and ModelFileInvalid.
    """
    try:
        folder = find_speech_model(model if isinstance(model, str) else Path(model))
    except ModelNotFound as error:
        return speech_parts(_promised_bytes(str(model), error))
    weights = ctranslate2_weights(folder)
    return speech_parts(weight_bytes(folder)) if weights is None else faster_whisper_parts(weights)


def _promised_bytes(name: str, not_found: ModelNotFound) -> int:
    """Raises `not_found` where no manifest has it either."""
    try:
        conversion = find_manifest(name).conversion
    except ModelNotFound:
        raise not_found from None
    if conversion is None:
        raise not_found
    return conversion.result_bytes
