"""Whisper's decoder with a cache.

tokens (1, n), for each layer past_k_i and past_v_i (1, heads, past, head size) and the encoder's cross_k_i
and cross_v_i -> logits (1, n, vocabulary), k_i and v_i with the past (1, heads, past + n, head size), and
alignment (heads that align, n, positions): what these heads paid attention to.

Source: openai/whisper, whisper/model.py, TextDecoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from onnx import TensorProto, helper

from ..ctranslate2_file import Ctranslate2File
from ..shape import WhisperShape
from .blocks import BlockProducts
from .embedding import Embedding
from .network import Network
from .onnx_graph import Graph, Sizes

_HIDDEN = -1e9  # what later tokens get, before the softmax
Head = tuple[int, int]  # layer, head


def add_decoder(graph: Graph, file: Ctranslate2File, shape: WhisperShape, aligning: Sequence[Head]) -> None:
    """`aligning`: sorted."""
    decoder = _Decoder(Network(graph, file, shape, BlockProducts()))
    text = decoder.embedded()
    for number in range(shape.decoder_layers):
        text = decoder.layer(text, number)
    decoder.give_out(text, aligning)


class _Decoder:
    def __init__(self, network: Network[str]) -> None:
        self._network, self._graph, self._shape = network, network.graph, network.shape
        graph, shape = self._graph, self._shape
        self._tokens = graph.input("tokens", TensorProto.INT64, [1, "n"])
        heads, size = shape.heads, shape.head_size
        self._past = self._keys_and_values("past", [1, heads, "past", size], [1, heads, "past", size])
        self._cross = self._keys_and_values(
            "cross", [1, heads, size, "positions"], [1, heads, "positions", size]
        )
        self._past_length = graph.op("Shape", self._past[0][0], start=2, end=3)
        self._length = graph.op("Shape", self._tokens, start=1, end=2)
        self._total = graph.op("Add", self._past_length, self._length)
        self._embedding = Embedding(network)
        self._mask = self._causal_mask()
        self._grown: list[tuple[str, str]] = []
        self._attention: list[str] = []  # (1, heads, n, positions) of each layer

    def _keys_and_values(self, name: str, keys: Sizes, values: Sizes) -> list[tuple[str, str]]:
        """An input for the keys and one for the values of each layer."""
        kind, graph = TensorProto.FLOAT, self._graph
        return [
            (graph.input(f"{name}_k_{number}", kind, keys), graph.input(f"{name}_v_{number}", kind, values))
            for number in range(self._shape.decoder_layers)
        ]

    def _causal_mask(self) -> str:
        """(n, past + n): 0 where a token may attend."""
        graph = self._graph
        sizes = graph.op("Concat", self._length, self._total, axis=0)
        value = helper.make_tensor("value", TensorProto.FLOAT, [1], [_HIDDEN])
        hidden = graph.op("ConstantOfShape", sizes, value=value)
        first = graph.op("Squeeze", graph.op("Add", self._past_length, graph.constant([1])))
        return graph.op("Trilu", hidden, first, upper=1)

    def embedded(self) -> str:
        """(1, n, width)"""
        graph, name = self._graph, "decoder/position_encodings/encodings"
        values = self._network.file.floats(name, (self._shape.tokens, self._shape.width))
        table = graph.weight(name, values)
        positions = graph.op("Slice", table, self._past_length, self._total, graph.constant([0]))
        return graph.op("Add", self._embedding.look_up(self._tokens), positions)

    def layer(self, text: str, number: int) -> str:
        layer = f"decoder/layer_{number}"
        text = self._graph.op("Add", text, self._self_attention(text, number, f"{layer}/self_attention"))
        text = self._graph.op("Add", text, self._cross_attention(text, number, f"{layer}/attention"))
        return self._network.feed_forward(text, layer)

    def _self_attention(self, text: str, number: int, name: str) -> str:
        graph, network, width = self._graph, self._network, self._shape.width
        rows = network.rows(network.norm(text, f"{name}/layer_norm"))
        stacked = network.linear(rows, f"{name}/linear_0", 3 * width, width)
        sizes = graph.constant([1, -1, 3, self._shape.heads, self._shape.head_size])
        turned = graph.op("Transpose", graph.op("Reshape", stacked, sizes), perm=[2, 0, 3, 1, 4])
        query, key, value = (graph.op("Gather", turned, graph.constant(part), axis=0) for part in range(3))
        keys = graph.op("Concat", self._past[number][0], key, axis=2)
        values = graph.op("Concat", self._past[number][1], value, axis=2)
        self._grown.append((keys, values))
        seen = graph.op("MatMul", network.scaled(query), graph.op("Transpose", keys, perm=[0, 1, 3, 2]))
        weights = graph.op("Softmax", graph.op("Add", seen, self._mask), axis=-1)
        mixed = network.join_heads(graph.op("MatMul", weights, values))
        return network.linear(network.rows(mixed), f"{name}/linear_1", width, width)

    def _cross_attention(self, text: str, number: int, name: str) -> str:
        graph, network, width = self._graph, self._network, self._shape.width
        rows = network.rows(network.norm(text, f"{name}/layer_norm"))
        query = network.split_heads(network.linear(rows, f"{name}/linear_0", width, width))
        keys, values = self._cross[number]
        weights = graph.op("Softmax", graph.op("MatMul", network.scaled(query), keys), axis=-1)
        self._attention.append(weights)
        mixed = network.join_heads(graph.op("MatMul", weights, values))
        return network.linear(network.rows(mixed), f"{name}/linear_2", width, width)

    def give_out(self, text: str, aligning: Sequence[Head]) -> None:
        graph, shape = self._graph, self._shape
        logits = self._embedding.logits(self._network.norm(text, "decoder/layer_norm"))
        graph.output("logits", logits, [1, "n", shape.vocabulary])
        for number, grown in enumerate(self._grown):
            for kind, tensor in zip("kv", grown, strict=True):
                graph.output(f"{kind}_{number}", tensor, [1, shape.heads, "total", shape.head_size])
        if aligning:
            graph.output("alignment", self._alignment(aligning), [len(aligning), "n", "positions"])

    def _alignment(self, aligning: Sequence[Head]) -> str:
        graph, parts = self._graph, []
        for number, heads in groupby(aligning, key=lambda head: head[0]):
            flat = graph.op("Squeeze", self._attention[number], graph.constant([0]))
            chosen = graph.constant(np.array([head for _, head in heads]))
            parts.append(graph.op("Gather", flat, chosen, axis=0))
        return graph.op("Concat", *parts, axis=0)
