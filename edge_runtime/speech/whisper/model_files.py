"""Reads the small files of a model folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ...errors import ModelFileInvalid, ModelNotFound

_MOST_CONFIG_BYTES = 1 << 20  # they have 2 to 4 KB


def read_bounded(path: Path, most_bytes: int) -> bytes:
    """Raises ModelNotFound, and ModelFileInvalid where the file is larger."""
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except FileNotFoundError as error:
        raise ModelNotFound(
            f"{path}: no such file",
            hint="give the folder of a Whisper model in ONNX, as `models pull whisper-base` makes it",
            path=str(path),
        ) from error
    except OSError as error:
        raise ModelFileInvalid(
            f"{path} cannot be read: {error.strerror}", hint="check the disk and the rights", path=str(path)
        ) from error
    if len(data) > most_bytes:
        raise ModelFileInvalid(
            f"{path} has more than {most_bytes:,} bytes", hint="fetch the model again", path=str(path)
        )
    return data


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object. Raises ModelNotFound and ModelFileInvalid."""
    data = read_bounded(path, _MOST_CONFIG_BYTES)
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelFileInvalid(
            f"{path} is not JSON: {error}", hint="fetch the model again", path=str(path)
        ) from error
    if not isinstance(content, dict):
        raise ModelFileInvalid(
            f"{path} holds a JSON {type(content).__name__}, expected an object",
            hint="fetch the model again",
            path=str(path),
        )
    return content


def whole_number(content: dict[str, Any], key: str, low: int, high: int, path: Path) -> int:
    """content[key]. Raises ModelFileInvalid unless it is a whole number from `low` to `high`."""
    value = content.get(key)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _wrong(path, key, value, f"a whole number from {low} to {high}")
    return value


def whole_numbers(content: dict[str, Any], key: str, path: Path) -> list[int]:
    """content[key], a list; none where it is absent or null."""
    values = content.get(key)
    if values is None:
        return []
    if not isinstance(values, list) or not all(type(value) is int for value in values):
        raise _wrong(path, key, values, "a list of whole numbers")
    return values


def _wrong(path: Path, key: str, value: object, expected: str) -> ModelFileInvalid:
    return ModelFileInvalid(
        f"{path}: {key} is {str(value)[:80]!r}, expected {expected}",
        hint="fetch the model again",
        path=str(path),
    )
