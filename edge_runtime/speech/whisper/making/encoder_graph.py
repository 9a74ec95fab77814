"""Whisper's encoder, with the part of the decoder that only depends on the sound.

mel (1, bins, frames), any even number up to 3000 -> for each layer of the decoder cross_k_i
(1, heads, head size, positions), ready to be multiplied with, and cross_v_i (1, heads, positions,
head size). There is a position for two frames.

Source: openai/whisper, whisper/model.py, AudioEncoder and MultiHeadAttention.
"""

from __future__ import annotations

from onnx import TensorProto

from ..ctranslate2_file import Ctranslate2File
from ..shape import WhisperShape
from .matrices import RowProducts, Rows
from .network import Network
from .onnx_graph import CONTRIB, Graph, Sizes

_KERNEL = 3  # of both convolutions


def add_encoder(graph: Graph, file: Ctranslate2File, shape: WhisperShape) -> None:
    network = Network(graph, file, shape, RowProducts())
    mel = graph.input("mel", TensorProto.FLOAT, [1, shape.mel_bins, "frames"])
    sound = _with_positions(network, _convolutions(network, mel))
    for number in range(shape.encoder_layers):
        sound = _layer(network, sound, f"encoder/layer_{number}")
    _keys_and_values(network, network.norm(sound, "encoder/layer_norm"))


def _convolutions(network: Network[Rows], mel: str) -> str:
    """(1, bins, frames) -> (1, positions, width)."""
    first = _convolution(network, mel, "encoder/conv1", network.shape.mel_bins, stride=1)
    second = _convolution(network, first, "encoder/conv2", network.shape.width, stride=2)
    return network.graph.op("Transpose", second, perm=[0, 2, 1])


def _convolution(network: Network[Rows], tensor: str, name: str, channels: int, stride: int) -> str:
    graph, width = network.graph, network.shape.width
    kernel = graph.weight(f"{name}/weight", network.file.floats(f"{name}/weight", (width, channels, _KERNEL)))
    bias = network.vector(f"{name}/bias", width)
    return graph.op(
        "Gelu", graph.op("Conv", tensor, kernel, bias, kernel_shape=[_KERNEL], pads=[1, 1], strides=[stride])
    )


def _with_positions(network: Network[Rows], tensor: str) -> str:
    graph, name = network.graph, "encoder/position_encodings/encodings"
    table = graph.weight(name, network.file.floats(name, (network.shape.positions, network.shape.width)))
    count = graph.op("Shape", tensor, start=1, end=2)
    return graph.op("Add", tensor, graph.op("Slice", table, graph.constant([0]), count, graph.constant([0])))


def _layer(network: Network[Rows], tensor: str, layer: str) -> str:
    graph, width = network.graph, network.shape.width
    rows = network.rows(network.norm(tensor, f"{layer}/self_attention/layer_norm"))
    query, key, value = (
        network.linear(
            rows, f"{layer}/self_attention/linear_0", 3 * width, width, slice(start, start + width)
        )
        for start in (0, width, 2 * width)
    )
    attended = graph.op(
        "MultiHeadAttention", query, key, value, domain=CONTRIB, num_heads=network.shape.heads
    )
    output = network.linear(network.rows(attended), f"{layer}/self_attention/linear_1", width, width)
    return network.feed_forward(graph.op("Add", tensor, output), layer)


def _keys_and_values(network: Network[Rows], encoded: str) -> None:
    shape, rows = network.shape, network.rows(encoded)
    for number in range(shape.decoder_layers):
        name, width = f"decoder/layer_{number}/attention/linear_1", shape.width
        key = network.linear(rows, name, 2 * width, width, slice(0, width))
        value = network.linear(rows, name, 2 * width, width, slice(width, 2 * width))
        turned: Sizes = [1, shape.heads, shape.head_size, "positions"]
        network.graph.output(f"cross_k_{number}", network.split_heads_turned(key), turned)
        straight: Sizes = [1, shape.heads, "positions", shape.head_size]
        network.graph.output(f"cross_v_{number}", network.split_heads(value), straight)
