"""The config.json of a checkpoint, with its class's defaults where it says nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.errors import ConversionError

from .json_file import read_object
from .source_error import damaged

_LARGEST = 2**31 - 1
LARGEST_FRACTION = 3.4e38


class Config:
    """Typed values. Those of `text_config` go before those beside it. Asking raises ConversionError."""

    def __init__(
        self, path: Path, values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
    ) -> None:
        self.path = path
        self.raw = values
        text = values.get("text_config")
        self._values = {**(defaults or {}), **values, **(text if isinstance(text, dict) else {})}

    def with_defaults(self, defaults: Mapping[str, Any]) -> Config:
        return Config(self.path, self.raw, defaults)

    def with_value(self, key: str, value: object) -> Config:
        other = copy.copy(self)
        other._values = {**self._values, key: value}
        return other

    def get(self, key: str, default: Any = None) -> Any:
        return self._values.get(key, default)

    def __contains__(self, key: str) -> bool:
        return self._values.get(key) is not None

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number from 0 to 2^31 - 1."""
        value = self._values.get(key)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _LARGEST:
            raise self.invalid(key, "a whole number", value)
        return value

    def count(self, key: str, default: int | None = None) -> int:
        """The same, but at least 1."""
        value = self.number(key, default)
        if not value:
            raise self.invalid(key, "a number above 0", value)
        return value

    def fraction(self, key: str, default: float | None = None) -> float:
        value = self._values.get(key)
        value = default if value is None else value
        return self.checked_fraction(key, value)

    def checked_fraction(self, key: str, value: Any) -> float:
        """A number that single precision can hold."""
        if (
            isinstance(value, bool)
            or not isinstance(value, (int, float))
            or not abs(value) <= LARGEST_FRACTION
        ):
            raise self.invalid(key, "a number", value)
        return float(value)

    def flag(self, key: str) -> bool:
        return self._values.get(key) is True

    def layers(self) -> int:
        count = self.count("num_hidden_layers")
        if count > 10_000:
            raise self.invalid("num_hidden_layers", "at most 10000", count)
        return count

    def head_size(self) -> int:
        if "head_dim" in self:
            return self.count("head_dim")
        heads, width = self.count("num_attention_heads"), self.count("hidden_size")
        if width % heads:
            raise self.invalid("hidden_size", f"a multiple of the {heads} heads", width)
        return width // heads

    def kv_heads(self) -> int:
        return self.count("num_key_value_heads", self.count("num_attention_heads"))

    def invalid(self, key: str, expected: str, found: object) -> ConversionError:
        return damaged(
            self.path,
            f"{key} should be {expected}, found {str(found)[:60]}",
            hint="fetch config.json again; a model of an unusual kind cannot be converted",
            key=key,
            expected=expected,
            found=str(found)[:60],
        )


def read_config(folder: Path) -> Config:
    path = folder / "config.json"
    if not path.is_file():
        is_adapter = (folder / "adapter_config.json").is_file()
        checkpoint = "give the folder of a Hugging Face checkpoint: config.json, *.safetensors, a tokenizer"
        raise ConversionError(
            f"{folder} has no config.json",
            hint="it holds an adapter: give it with from_adapter=" if is_adapter else checkpoint,
            path=str(folder),
        )
    return Config(path, read_object(path))
