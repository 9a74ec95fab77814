"""The shape of a model: its architecture and hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from types import MappingProxyType
from typing import Any

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.layer_patterns import SHARED_LAYERS

_LARGEST = 2**31 - 1  # of the whole numbers in a GGUF header here
_SHORT_FORMS = '{"cycle": [...]} or {"runs": [[layers, value], ...]}'


@dataclass(frozen=True)
class Shape:
    name: str
    architecture: str
    vocabulary_tokens: int
    # GGUF's keys without the architecture. One value for each layer may be short: see shape_file.
    hyperparameters: Mapping[str, Any] = field(default_factory=dict)
    separate_output: bool = False

    @property
    def layers(self) -> int:
        return self.number("block_count")

    @property
    def width(self) -> int:
        """Numbers in one token's hidden state."""
        return self.number("embedding_length")

    @property
    def head_size(self) -> int:
        """Numbers in one key; a value has as many in every family here."""
        return self.number("attention.key_length", self.width // self.number("attention.head_count"))

    @property
    def owning_layers(self) -> int:
        """Layers with a key-value cache of their own: the first ones."""
        return self.layers - self.number(SHARED_LAYERS, 0)

    def number(self, key: str, default: int | None = None) -> int:
        """A whole number above 0, or `default`. Raises OptionInvalid."""
        value = self.hyperparameters.get(key, default)
        if value == default == 0 or _is_count(value):
            return int(value)
        raise invalid(self, key, "a whole number above 0", value)

    def numbers(self, key: str) -> list[int]:
        """(layers,) as `number`, for values that may differ from layer to layer."""
        values = self._per_layer(key)
        if not all(map(_is_count, values)):
            raise invalid(self, key, "whole numbers above 0", self.hyperparameters.get(key))
        return values

    def flags(self, key: str) -> list[bool]:
        """(layers,) true or false. Raises OptionInvalid."""
        values = self._per_layer(key)
        if not all(isinstance(value, bool) for value in values):
            raise invalid(self, key, "true or false for each layer", self.hyperparameters.get(key))
        return values

    def metadata(self) -> dict[str, Any]:
        """The hyperparameters under GGUF's full keys, short forms spelled out. Raises OptionInvalid."""
        values = {
            key: self._per_layer(key) if isinstance(value, (dict, list)) else value
            for key, value in self.hyperparameters.items()
        }
        for key, value in values.items():
            if not all(map(_can_be_stored, value if isinstance(value, list) else [value])):
                raise invalid(self, key, f"numbers from 0 to {_LARGEST}, true, false or text", value)
        return {f"{self.architecture}.{key}": value for key, value in values.items()}

    def with_values(self, hyperparameters: Mapping[str, Any], vocabulary_tokens: int = 0) -> Shape:
        """The same with some hyperparameters changed, and perhaps the vocabulary."""
        return replace(
            self,
            vocabulary_tokens=vocabulary_tokens or self.vocabulary_tokens,
            hyperparameters=MappingProxyType({**self.hyperparameters, **hyperparameters}),
        )

    def _per_layer(self, key: str) -> list[Any]:
        value = self.hyperparameters.get(key)
        if isinstance(value, dict):
            return _spelled_out(self, key, value)
        values = value if isinstance(value, list) else [value] * self.layers
        if len(values) != self.layers:
            raise invalid(self, key, f"{self.layers} values, one for each layer", len(values))
        return values


def invalid(shape: Shape, key: str, expected: str, found: object) -> OptionInvalid:
    """The error that says so of a hyperparameter."""
    return OptionInvalid(
        f"shape {shape.name}: {key} is {str(found)[:60]}, expected {expected}",
        hint="change it in the JSON file of the shape",
        option=key,
        value=str(found)[:60],
        allowed=expected,
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST


def _can_be_stored(value: object) -> bool:
    return value == 0 or _is_count(value) or isinstance(value, (bool, float, str))


def _spelled_out(shape: Shape, key: str, short: Mapping[str, Any]) -> list[Any]:
    """(layers,) what a short form stands for."""
    form = next(iter(short), "")
    items = short.get(form)
    if len(short) != 1 or form not in ("cycle", "runs") or not isinstance(items, list) or not items:
        raise invalid(shape, key, _SHORT_FORMS, dict(short))
    if form == "cycle":
        return list(islice(cycle(items), shape.layers))
    values: list[Any] = []
    for item in items:
        if not isinstance(item, list) or len(item) != 2:
            raise invalid(shape, key, _SHORT_FORMS, dict(short))
        values += [item[1]] * (_run_end(shape, key, item[0], len(values)) - len(values))
    return values[: shape.layers] + values[-1:] * (shape.layers - len(values))


def _run_end(shape: Shape, key: str, count: object, start: int) -> int:
    """The layer after the last of a run that begins at layer `start`."""
    if isinstance(count, int) and 0 < count <= shape.layers:
        return start + count
    if count in ("owning", "rest"):
        return shape.owning_layers if count == "owning" else shape.layers
    raise invalid(shape, key, 'runs of some of the layers, of "owning" or of "rest"', count)
