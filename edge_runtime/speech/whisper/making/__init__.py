"""Whisper as CTranslate2 stores it -> a pair of ONNX graphs in 8 bits, with numpy and onnx alone.

require_onnx()  # raises EngineUnavailable, with what to install
convert_whisper(Path("ctranslate2-folder"), Path("empty-folder"))
"""

from ....catalog.pulling.converted import Converter
from .convert import convert_whisper, require_onnx

CONVERTER = Converter(require_onnx, convert_whisper)  # catalog.pulling.converted finds it by name

__all__ = ["CONVERTER", "convert_whisper", "require_onnx"]
