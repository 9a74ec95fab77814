"""Whisper as CTranslate2 stores it -> a pair of ONNX graphs in 8 bits, with numpy and onnx alone.

require_onnx()  # raises EngineUnavailable, with what to install
convert_whisper(Path("ctranslate2-folder"), Path("empty-folder"))
"""

from .convert import convert_whisper, require_onnx

__all__ = ["convert_whisper", "require_onnx"]
