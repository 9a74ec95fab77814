"""Scaling a shape down to a smaller model of the same kind."""

from __future__ import annotations

from typing import Any

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.layer_patterns import SHARED_LAYERS

from .families import FAMILIES
from .families.shape import Shape

_STEP = 256  # widths stay multiples of it, so that every quantization fits
_FEWEST_TOKENS = 2048  # Gemma's tokens for single bytes are among the first 500


def scaled(shape: Shape, scale: float) -> Shape:
    """Layers, widths and vocabulary times `scale`, from 0 to 1; what llama.cpp has as constants stays.

    The size of a head stays too, and the number of heads where it does not follow
    from the width. Raises OptionInvalid.
    """
    if not 0 < scale <= 1:
        raise OptionInvalid(
            f"scale: {scale:g} is not a size, expected more than 0 and at most 1",
            hint="0.1 makes a model of a tenth of the layers and width",
            option="scale",
            value=scale,
            allowed="0 < scale <= 1",
        )
    if scale == 1 or shape.architecture not in FAMILIES:
        return shape
    family = FAMILIES[shape.architecture]
    family.check(shape)
    layers, shared = family.scaled_layers(shape, scale)
    changed: dict[str, Any] = {"block_count": min(layers, shape.layers)}
    if layers < shape.layers and SHARED_LAYERS in shape.hyperparameters:
        changed[SHARED_LAYERS] = shared
    shape.numbers("feed_forward_length")  # or an error that says what is wrong with it
    changed["feed_forward_length"] = _scaled_values(shape.hyperparameters["feed_forward_length"], scale)
    changed |= _scaled_width(shape, scale)
    tokens = min(shape.vocabulary_tokens, max(_FEWEST_TOKENS, _rounded(shape.vocabulary_tokens, scale)))
    return shape.with_values(changed, tokens)


def _scaled_width(shape: Shape, scale: float) -> dict[str, int]:
    if "attention.key_length" in shape.hyperparameters:
        return {"embedding_length": _rounded(shape.width, scale)}
    heads, kv_heads = shape.number("attention.head_count"), shape.number("attention.head_count_kv")
    fewer = max(1, round(kv_heads * scale))  # of the same size, each for as many queries as before
    return {
        "attention.head_count": heads // kv_heads * fewer,
        "attention.head_count_kv": fewer,
        "embedding_length": heads // kv_heads * fewer * shape.head_size,
    }


def _scaled_values(value: Any, scale: float) -> Any:
    """A feed-forward width, or the short form of one for each layer."""
    if isinstance(value, int):
        return _rounded(value, scale)
    if isinstance(value, list):  # written out for as many layers as there were
        return {"cycle": [_rounded(number, scale) for number in value]}
    if "cycle" in value:
        return {"cycle": [_rounded(number, scale) for number in value["cycle"]]}
    return {"runs": [[count, _rounded(number, scale)] for count, number in value["runs"]]}


def _rounded(number: int, scale: float) -> int:
    return max(_STEP, round(number * scale / _STEP) * _STEP)
