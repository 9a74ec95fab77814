"""Whisper in onnxruntime, or in faster-whisper.

with open_recognizer(folder) as recognizer:
    print(recognizer.recognize(samples).text)
"""

from __future__ import annotations

from .opening import open_recognizer
from .recognizer import WhisperRecognizer
from .weight_files import ctranslate2_weights, weight_bytes

__all__ = ["WhisperRecognizer", "ctranslate2_weights", "open_recognizer", "weight_bytes"]
