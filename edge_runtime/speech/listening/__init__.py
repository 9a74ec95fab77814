"""From sound to a transcript: live, while it comes in, and whole files.

with listen(microphone, recognizer, speech_model) as listening:
    for event in listening: ...

for event in transcribe(AudioFile("talk.mp3"), recognizer, speech_model): ...
"""

from __future__ import annotations

from .clock import SimulatedClock
from .listening import Listening, listen
from .options import ListenOptions
from .stats import ListenStats, Quantiles
from .whole_file import transcribe

__all__ = [
    "ListenOptions",
    "ListenStats",
    "Listening",
    "Quantiles",
    "SimulatedClock",
    "listen",
    "transcribe",
]
