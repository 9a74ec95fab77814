"""Benchmark of speech recognition: word errors, delays and cost over real clips whose words are known.

clips = choose_clips(read_manifest(default_manifest()), languages=("en",))
with SpeechRuntime.open() as runtime:
    summary = summarize(run_speech_bench(runtime, clips))
"""

from __future__ import annotations

from .manifest import SpeechClip, choose_clips, default_manifest, read_manifest
from .result import ClipResult, Heard, Summary, summarize
from .run import judge, run_speech_bench
from .scoring import WordErrors, count_errors, find_loops, normalize, require_scoring

__all__ = [
    "ClipResult",
    "Heard",
    "SpeechClip",
    "Summary",
    "WordErrors",
    "choose_clips",
    "count_errors",
    "default_manifest",
    "find_loops",
    "judge",
    "normalize",
    "read_manifest",
    "require_scoring",
    "run_speech_bench",
    "summarize",
]
