"""The size of a Whisper folder's weights, without opening it."""

from __future__ import annotations

from math import prod
from pathlib import Path

from ...backends.onnx.session import data_files
from ...errors import ConversionError, ModelFileInvalid, ModelNotFound
from .ctranslate2_file import open_ctranslate2
from .faster_whisper import MODEL_NAME, is_ctranslate2
from .hugging_face import export_graphs
from .onnx_pair import DECODER_NAME, ENCODER_NAME


def weight_bytes(folder: Path) -> int:
    """Of the files that open_recognizer() opens there. Raises ModelNotFound when there are none."""
    graphs = _graphs(folder)
    if not graphs and is_ctranslate2(folder):
        graphs = [folder / MODEL_NAME]
    if not graphs:
        raise ModelNotFound(
            f"{folder}: no Whisper model is there",
            hint="edge-runtime models pull whisper-base",
            path=str(folder),
        )
    return sum(
        path.stat().st_size for graph in graphs for path in (graph, *data_files(graph)) if path.is_file()
    )


def ctranslate2_weights(folder: Path) -> int | None:
    """How many numbers faster-whisper has to hold; None where something else would open the folder.

    Raises ModelFileInvalid.
    """
    if _graphs(folder) or not is_ctranslate2(folder):
        return None
    try:
        with open_ctranslate2(folder / MODEL_NAME) as file:
            return sum(prod(variable.shape) for variable in file.variables.values())
    except ConversionError as error:
        raise ModelFileInvalid(f"{folder}: {error}", hint=error.hint, path=str(folder)) from error


def _graphs(folder: Path) -> list[Path]:
    pair = [folder / name for name in (ENCODER_NAME, DECODER_NAME)]
    return pair if all(path.is_file() for path in pair) else export_graphs(folder)
