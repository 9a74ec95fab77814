"""gemma4, the dense text models with per-layer embeddings.

Sources: llama.cpp src/models/gemma4.cpp, conversion/gemma.py. The layers that
see the whole context have heads of another size than those with a window. Layers that
reuse a cache carry key and value matrices all the same, as in Google's files.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_runtime.gguf.layer_patterns import SHARED_LAYERS, WINDOW_PATTERN

from .parts import attention, four_norms, gated_ffn, head_norms, tables
from .shape import Shape, invalid
from .weight import TensorClass, Weight, constant, matrix, norm, other, untouched

_PATTERN = WINDOW_PATTERN
_TURNED_SHARE = 0.25  # of a head's numbers that rotary positions turn, where everything is seen
_NOT_TURNED = 1e30  # a wavelength that turns nothing


def weights(shape: Shape) -> Iterator[Weight]:
    ple_width = shape.number("embedding_length_per_layer_input", 0)
    yield from tables(shape)
    yield _rope_factors(shape.head_size)
    if ple_width:
        yield matrix(
            TensorClass.PLE, "per_layer_token_embd", ple_width * shape.layers, shape.vocabulary_tokens
        )
        yield untouched("per_layer_model_proj", shape.width, ple_width * shape.layers)
        yield norm("per_layer_proj_norm", ple_width)
    for layer in range(shape.layers):
        yield from _block(shape, layer, ple_width)


def _block(shape: Shape, layer: int, ple_width: int) -> Iterator[Weight]:
    block, slides = f"blk.{layer}", shape.flags(_PATTERN)[layer]
    head_size = shape.number("attention.key_length_swa") if slides else shape.head_size
    yield from four_norms(shape, block)
    yield from attention(shape, block, head_size, shape.numbers("attention.head_count_kv")[layer])
    yield from head_norms(block, head_size)
    yield from gated_ffn(shape, block, shape.numbers("feed_forward_length")[layer])
    yield constant(f"{block}.layer_output_scale", 1.0)
    if ple_width:
        yield other(f"{block}.inp_gate", shape.width, ple_width)
        yield other(f"{block}.proj", ple_width, shape.width)
        yield norm(f"{block}.post_norm", shape.width)


def _rope_factors(head_size: int) -> Weight:
    turned = int(head_size * _TURNED_SHARE / 2)
    return constant("rope_freqs", *[1.0] * turned, *[_NOT_TURNED] * (head_size // 2 - turned))


def check(shape: Shape) -> None:
    """Layers that share use the caches of the last two that own one: a sliding layer, then a full one."""
    pattern, owning = shape.flags(_PATTERN), shape.owning_layers
    if all(pattern):
        raise invalid(shape, _PATTERN, "a layer that sees everything in it", "none")
    if owning < shape.layers and (owning < 2 or pattern[owning - 2 : owning] != [True, False]):
        expected = f"such that layers {owning - 2} and {owning - 1} are a sliding and a full one"
        raise invalid(shape, SHARED_LAYERS, expected, shape.layers - owning)


def scaled_layers(shape: Shape, scale: float) -> tuple[int, int]:
    """Whole cycles of sliding and full layers, at least one that owns its cache and one that shares."""
    cycle = shape.flags(_PATTERN).index(False) + 1
    owning = max(1, round(shape.owning_layers * scale / cycle))
    shared = max(1, round((shape.layers - shape.owning_layers) * scale / cycle))
    return cycle * (owning + shared), cycle * shared
