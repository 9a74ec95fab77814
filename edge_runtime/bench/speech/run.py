"""The run of the speech benchmark: every clip recognized live, and as a whole."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from ...speech.audio import AudioFile
from ...speech.captions import TextJoiner
from ...speech.listening import ListenStats, SpeechStream
from ...speech.runtime import SpeechRuntime
from ...values.progress import QUIET, Progress
from .manifest import SpeechClip
from .result import ClipResult, Heard
from .scoring import count_errors, find_loops, normalize, require_scoring


def run_speech_bench(
    runtime: SpeechRuntime, clips: Sequence[SpeechClip], progress: Progress = QUIET
) -> list[ClipResult]:
    """Live, against a simulated clock plus the time that the work takes; then greedily, as whole files.

    All live ones come first, and texts are compared last: the peak of memory is that of the live
    path. The language is given.

    Raises what the runtime raises, and EngineUnavailable without the packages that compare texts.
    """
    require_scoring()
    for clip in clips:  # one that cannot be read is told now, not after half an hour
        AudioFile(clip.path)
    with progress.steps("clips heard", 2 * len(clips), "clips") as advance:
        live, whole = [], []
        for clip in clips:
            live.append(_hear_live(runtime, clip))
            advance(1)
        for clip in clips:
            whole.append(_hear_whole(runtime, clip))
            advance(1)
    return list(_compare(clips, live, whole))


def _hear_live(runtime: SpeechRuntime, clip: SpeechClip) -> tuple[str, ListenStats]:
    stream = runtime.listen(clip.path, language=clip.language, simulated=True)
    return _read(stream), stream.stats or ListenStats()


def _hear_whole(runtime: SpeechRuntime, clip: SpeechClip) -> tuple[str, float]:
    """-> its text, and the processor's seconds."""
    cpu_start_s = time.process_time()
    text = runtime.transcribe(clip.path, language=clip.language).text
    return text, time.process_time() - cpu_start_s


def _read(stream: SpeechStream) -> str:
    joiner = TextJoiner()
    with stream:
        return "".join(joiner.take(event) for event in stream).strip()


def _compare(
    clips: Sequence[SpeechClip],
    live: Sequence[tuple[str, ListenStats]],
    whole: Sequence[tuple[str, float]],
) -> Iterator[ClipResult]:
    for clip, (live_text, stats), (whole_text, cpu_s) in zip(clips, live, whole, strict=True):
        yield ClipResult(clip, judge(clip, live_text, stats.cpu_s), judge(clip, whole_text, cpu_s), stats)


def judge(clip: SpeechClip, text: str, cpu_s: float) -> Heard:
    said, heard = normalize(clip.text, clip.language), normalize(text, clip.language)
    return Heard(text, count_errors(said, heard), tuple(find_loops(heard, said)), cpu_s)
