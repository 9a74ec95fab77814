"""Transcripts of sound: live, while it comes in, and of whole files.

with listen(microphone, recognizer, speech_model) as stream:
    for event in stream: ...

for event in transcribe(AudioFile("talk.mp3"), recognizer, speech_model): ...
"""

from __future__ import annotations

from .clock import SimulatedClock
from .live import listen
from .options import ListenKeywords, ListenOptions, TranscribeKeywords, listen_options
from .stats import ListenStats, Quantiles
from .stream import SpeechStream, TranscriptBuilder
from .whole_file import transcribe

__all__ = [
    "ListenKeywords",
    "ListenOptions",
    "ListenStats",
    "Quantiles",
    "SimulatedClock",
    "SpeechStream",
    "TranscribeKeywords",
    "TranscriptBuilder",
    "listen",
    "listen_options",
    "transcribe",
]
