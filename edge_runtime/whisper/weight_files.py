"""How large a folder's Whisper is, without opening it."""

from __future__ import annotations

from pathlib import Path

from ..errors import ModelNotFound
from ..onnx_session import data_files
from .faster_whisper import MODEL_NAME, is_ctranslate2
from .hugging_face import export_graphs
from .onnx_pair import DECODER_NAME, ENCODER_NAME


def weight_bytes(folder: Path) -> int:
    """Of the files that open_recognizer() opens there. Raises ModelNotFound when there are none."""
    pair = [folder / name for name in (ENCODER_NAME, DECODER_NAME)]
    graphs = pair if all(path.is_file() for path in pair) else export_graphs(folder)
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
