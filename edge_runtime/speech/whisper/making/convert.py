"""A folder of CTranslate2's Whisper -> a folder that edge_runtime.speech.whisper opens."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....errors import ConversionError, EngineUnavailable
from ....values.progress import QUIET, Progress

if TYPE_CHECKING:
    from ..shape import WhisperShape
    from .onnx_graph import Graph

MODEL_NAME, CONFIG_NAME, VOCABULARY_NAME = "model.bin", "config.json", "vocabulary.txt"
_MOST_CONFIG_BYTES = 1 << 20
_MOST_VOCABULARY_BYTES = 16 << 20


def require_onnx() -> None:
    """Raises EngineUnavailable unless the onnx package is here."""
    try:
        import_module("onnx")
    except (ImportError, OSError) as error:
        raise EngineUnavailable(
            f"speech weights are converted with the onnx package, which does not load: {error}",
            hint='pip install "edge-runtime[speech-convert]"; it is not needed afterwards',
        ) from error


def convert_whisper(source: Path, target: Path, progress: Progress = QUIET) -> None:
    """model.bin, config.json and vocabulary.txt of `source` -> encoder and decoder in `target`, a folder.

    Weights are read one at a time: 0.25 GB are enough for Whisper base, most of it for its table of tokens.

    Raises EngineUnavailable without the onnx package, and ConversionError for files that are damaged,
    are no Whisper model or do not belong together.
    """
    require_onnx()
    from ..ctranslate2_file import open_ctranslate2
    from ..shape import read_shape
    from .decoder_graph import add_decoder
    from .encoder_graph import add_encoder

    config = _read_config(source / CONFIG_NAME)
    vocabulary = _read(source / VOCABULARY_NAME, _MOST_VOCABULARY_BYTES)
    with open_ctranslate2(source / MODEL_NAME) as file, progress.steps("converting", 2, "graphs") as advance:
        shape = read_shape(file)
        heads = _aligning(config, shape, source / CONFIG_NAME)
        _check_vocabulary(vocabulary, shape, source / VOCABULARY_NAME)
        _write(target, "encoder", lambda graph: add_encoder(graph, file, shape))
        advance(1)
        _write(target, "decoder", lambda graph: add_decoder(graph, file, shape, heads))
        advance(1)
    kept = {name: config[name] for name in ("suppress_ids", "suppress_ids_begin") if name in config}
    (target / CONFIG_NAME).write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    (target / VOCABULARY_NAME).write_bytes(vocabulary)


def _write(target: Path, name: str, fill: Callable[[Graph], None]) -> None:
    from .onnx_graph import Graph

    with (target / f"{name}.data").open("wb") as data:
        graph = Graph(name, data, f"{name}.data")
        fill(graph)
    graph.save(target / f"{name}.onnx")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(_read(path, _MOST_CONFIG_BYTES))
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise _wrong(path, f"holds a JSON {type(config).__name__}, expected an object")
    return config


def _aligning(config: dict[str, Any], shape: WhisperShape, path: Path) -> Sequence[tuple[int, int]]:
    """The heads whose attention gives the position of a word; none where the file names none."""
    from ..shape import are_heads

    pairs = config.get("alignment_heads") or []
    if not are_heads(pairs, shape):
        limits = [shape.decoder_layers, shape.heads]
        raise _wrong(path, f"has other alignment_heads than pairs below {limits}: {str(pairs)[:80]}")
    return sorted({(layer, head) for layer, head in pairs})


def _check_vocabulary(vocabulary: bytes, shape: WhisperShape, path: Path) -> None:
    lines = vocabulary.count(b"\n") + (not vocabulary.endswith(b"\n"))
    if lines != shape.vocabulary:
        raise _wrong(path, f"has {lines:,} lines, expected {shape.vocabulary:,}, a token each")


def _read(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise _wrong(path, f"cannot be read: {error.strerror}") from error
    if len(data) > most_bytes:
        raise _wrong(path, f"has more than {most_bytes:,} bytes")
    return data


def _wrong(path: Path, problem: str) -> ConversionError:
    return ConversionError(
        f"{path} {problem}", hint="fetch the files again, all from one model", path=str(path)
    )
