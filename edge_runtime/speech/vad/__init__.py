"""Voice detection: segments of speech in a stream of sound.

detector = SpeechDetector(SileroModel(path))
for block in source:
    for event in detector.push(block): ...
events = detector.finish()
"""

from __future__ import annotations

from .detector import SpeechDetector, SpeechModel
from .events import EndReason, OpenSegment, SegmentOptions, SpeechEnded, SpeechEvent, SpeechStarted
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
