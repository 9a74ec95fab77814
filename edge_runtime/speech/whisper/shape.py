"""The sizes of a Whisper model, read off its weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile

from ...errors import ConversionError
from .ctranslate2_file import Ctranslate2File

_MOST_LAYERS = 64  # Whisper large has 32
_SPECIFICATION = "WhisperSpec"


@dataclass(frozen=True)
class WhisperShape:
    mel_bins: int
    width: int
    heads: int  # the same in encoder and decoder
    inner_width: int  # of the feed-forward part
    encoder_layers: int
    decoder_layers: int
    positions: int  # of sound: 1500
    tokens: int  # that the decoder can hold: 448
    vocabulary: int

    @property
    def head_size(self) -> int:
        return self.width // self.heads


def read_shape(file: Ctranslate2File) -> WhisperShape:
    """Raises ConversionError for another model. Every weight's shape is checked when it is read."""
    if file.specification != _SPECIFICATION:
        raise _other(file, f"is a {file.specification[:40]!r}, expected {_SPECIFICATION!r}")
    width, mel_bins, _ = file.shape("encoder/conv1/weight", 3)
    shape = WhisperShape(
        mel_bins=mel_bins,
        width=width,
        heads=file.number("encoder/num_heads"),
        inner_width=file.shape("encoder/layer_0/ffn/linear_0/weight", 2)[0],
        encoder_layers=_layers(file, "encoder"),
        decoder_layers=_layers(file, "decoder"),
        positions=file.shape("encoder/position_encodings/encodings", 2)[0],
        tokens=file.shape("decoder/position_encodings/encodings", 2)[0],
        vocabulary=file.shape("decoder/embeddings/weight", 2)[0],
    )
    _check(file, shape)
    return shape


def are_heads(pairs: object, shape: WhisperShape) -> bool:
    """Whether config.json's alignment_heads, [[layer, head], ...] of the decoder, are this model's."""
    limits = (shape.decoder_layers, shape.heads)
    return isinstance(pairs, list) and all(
        isinstance(pair, list)
        and len(pair) == len(limits)
        and all(type(value) is int and 0 <= value < limit for value, limit in zip(pair, limits, strict=True))
        for pair in pairs
    )


def _layers(file: Ctranslate2File, part: str) -> int:
    names = (f"{part}/layer_{number}/ffn/linear_0/weight" for number in count())
    return sum(1 for _ in takewhile(lambda name: name in file.variables, names))


def _check(file: Ctranslate2File, shape: WhisperShape) -> None:
    if shape.heads < 1 or shape.width % shape.heads:
        raise _other(file, f"has {shape.heads} heads in {shape.width} channels, expected a divisor")
    if not (0 < shape.encoder_layers <= _MOST_LAYERS and 0 < shape.decoder_layers <= _MOST_LAYERS):
        found = f"{shape.encoder_layers} and {shape.decoder_layers}"
        raise _other(file, f"has {found} layers, expected 1 to {_MOST_LAYERS} in each half")
    if file.number("decoder/num_heads") != shape.heads:
        raise _other(file, "has other heads in the decoder than in the encoder")
    for name, expected in (("pre_norm", 1), ("alibi", 0), ("scale_embeddings", 0)):
        if f"decoder/{name}" in file.variables and file.number(f"decoder/{name}") != expected:
            raise _other(file, f"has decoder/{name} {1 - expected}, expected {expected}")


def _other(file: Ctranslate2File, problem: str) -> ConversionError:
    return ConversionError(
        f"{file.path.name} {problem}",
        hint="give a Whisper model that CTranslate2 has written",
        path=str(file.path),
    )
