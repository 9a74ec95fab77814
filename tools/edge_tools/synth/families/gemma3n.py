"""gemma3n, text only. Source: llama.cpp src/models/gemma3n.cpp and src/llama-hparams.h.

llama.cpp has constants where the model's configuration has fields: 4 AltUp inputs,
LAuReL rank 64, 256 numbers of per-layer embedding, the cache owned by the first 20
layers, sparse activations in the first 10. A shape must agree with them. Layers
that reuse a cache carry key and value matrices all the same: llama.cpp wants them.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_runtime.gguf.layer_patterns import GEMMA3N_OWNING_LAYERS, SHARED_LAYERS, SLIDING_PERIODS

from .parts import four_norms, gated_ffn, head_norms, plain_attention, tables
from .shape import Shape, invalid
from .weight import TensorClass, Weight, matrix, norm, other, small, untouched

_ALTUP_INPUTS = 4
_LAUREL_RANK = 64
_PLE_WIDTH = 256
_CYCLE = SLIDING_PERIODS["gemma3n"]

_FIXED = {"altup.num_inputs": _ALTUP_INPUTS, "embedding_length_per_layer_input": _PLE_WIDTH}


def weights(shape: Shape) -> Iterator[Weight]:
    width, ple_rows = shape.width, _PLE_WIDTH * shape.layers
    yield from tables(shape)
    yield matrix(TensorClass.PLE, "per_layer_token_embd", ple_rows, shape.vocabulary_tokens)
    yield untouched("per_layer_model_proj", width, ple_rows)
    yield norm("per_layer_proj_norm", _PLE_WIDTH)
    yield untouched("altup_proj", width, width, _ALTUP_INPUTS - 1)
    yield untouched("altup_unembd_proj", width, width, _ALTUP_INPUTS - 1)
    for layer, inner in enumerate(shape.numbers("feed_forward_length")):
        block = f"blk.{layer}"
        yield from four_norms(shape, block)
        yield from plain_attention(shape, block)
        yield from head_norms(block, shape.head_size)
        yield from gated_ffn(shape, block, inner)
        yield from _per_layer_input(width, block)
        yield from _altup(width, block)
        yield from _laurel(width, block)


def _per_layer_input(width: int, block: str) -> Iterator[Weight]:
    yield other(f"{block}.inp_gate", width, _PLE_WIDTH)
    yield other(f"{block}.proj", _PLE_WIDTH, width)
    yield norm(f"{block}.post_norm", width)


def _altup(width: int, block: str) -> Iterator[Weight]:
    yield small(f"{block}.altup_correct_coef", _ALTUP_INPUTS, _ALTUP_INPUTS)
    yield norm(f"{block}.altup_correct_scale", width)
    yield small(f"{block}.altup_predict_coef", _ALTUP_INPUTS, _ALTUP_INPUTS**2)
    yield untouched(f"{block}.altup_router", width, _ALTUP_INPUTS)
    yield norm(f"{block}.altup_router_norm", width)


def _laurel(width: int, block: str) -> Iterator[Weight]:
    yield untouched(f"{block}.laurel_l", width, _LAUREL_RANK)
    yield untouched(f"{block}.laurel_r", _LAUREL_RANK, width)
    yield norm(f"{block}.laurel_post_norm", width)


def check(shape: Shape) -> None:
    for key, value in _FIXED.items():
        if shape.number(key) != value:
            raise invalid(shape, key, f"{value}, a constant in llama.cpp", shape.number(key))
    if shape.layers > GEMMA3N_OWNING_LAYERS and shape.owning_layers != GEMMA3N_OWNING_LAYERS:
        expected = (
            f"{shape.layers - GEMMA3N_OWNING_LAYERS}: all layers after the first {GEMMA3N_OWNING_LAYERS}"
        )
        raise invalid(shape, SHARED_LAYERS, expected, shape.layers - shape.owning_layers)


def scaled_layers(shape: Shape, scale: float) -> tuple[int, int]:
    """At least one cycle after the layers that own a cache."""
    layers = max(GEMMA3N_OWNING_LAYERS + _CYCLE, round(shape.layers * scale))
    return layers, layers - GEMMA3N_OWNING_LAYERS
