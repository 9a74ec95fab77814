"""Where in the sound somebody speaks, as it comes in.

detector = SpeechDetector(SileroModel(path))
for block in source:
    for event in detector.push(block): ...
events = detector.finish()
"""

from __future__ import annotations

from .detector import SpeechDetector, SpeechModel
from .events import EndReason, OpenSegment, SpeechEnded, SpeechEvent, SpeechStarted
from .options import SegmentOptions
from .segmenter import Segmenter
from .silero import FRAME_SAMPLES, SileroModel

__all__ = [
    "FRAME_SAMPLES",
    "EndReason",
    "OpenSegment",
    "SegmentOptions",
    "Segmenter",
    "SileroModel",
    "SpeechDetector",
    "SpeechEnded",
    "SpeechEvent",
    "SpeechModel",
    "SpeechStarted",
]
