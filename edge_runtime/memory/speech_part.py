"""Memory of a speech model in onnxruntime and of the voice detector in front of it.

Measured on x86-64, Linux 6.18, Python 3.11, onnxruntime 1.32, with Whisper base as `models pull` makes it
(121.7 MB of weights): RssAnon, RssFile and VmHWM of /proc/self/status after each step.
"""

from __future__ import annotations

from .part import Held, MemoryPart, PartKind

# Sound from a microphone, as raw samples or plain WAV. FFmpeg, for any other file, takes 23 MB more.
_LIBRARIES_BYTES = 26_000_000  # file: what is touched of onnxruntime's code
_DETECTOR_BYTES = 15_000_000  # anonymous: onnxruntime's tables 8, Silero 5, spellings of tokens 1
# Matrices are copied into the processor's favourite order, once; of the table of tokens, the rows that are
# looked at stay where they lie.
_COPIED_SHARE, _MAPPED_SHARE = 0.56, 0.11
# 30 s of sound at once, as a second try takes: features, keys and values, attention. What is usual, up to
# 16 s, takes half.
_WORK_SHARE, _LEAST_WORK_BYTES = 0.84, 64_000_000

# faster-whisper instead, over Python alone, with the detector above: 191 MB when it is open and 318 with 30 s
# at once, whether a file holds base's 72.6 million weights in F16 or in 8 bits. In memory they have 8.
_FASTER_LIBRARIES_BYTES = 110_000_000
_FASTER_WEIGHT_BYTES, _FASTER_WORK_BYTES = 1.1, 1.75  # for each weight


def speech_parts(weight_bytes: int) -> tuple[MemoryPart, ...]:
    """`weight_bytes`: of its ONNX files, with their data.

    Our assumption for other sizes than base: everything grows with the weights.
    """
    work_bytes = max(int(_WORK_SHARE * weight_bytes), _LEAST_WORK_BYTES)
    copied_bytes, mapped_bytes = int(_COPIED_SHARE * weight_bytes), int(_MAPPED_SHARE * weight_bytes)
    return (
        MemoryPart(PartKind.SPEECH_MODEL, copied_bytes, Held.ANONYMOUS, "copies in another order"),
        MemoryPart(PartKind.SPEECH_MODEL_MAPPED, mapped_bytes, Held.FILE, "its token table"),
        MemoryPart(PartKind.SPEECH_WORK_MEMORY, work_bytes, Held.ANONYMOUS, "30 s at once"),
        MemoryPart(PartKind.VOICE_DETECTOR, _DETECTOR_BYTES, Held.ANONYMOUS, "and the libraries' tables"),
        MemoryPart(PartKind.SPEECH_LIBRARIES, _LIBRARIES_BYTES, Held.FILE),
    )


def faster_whisper_parts(weights: int) -> tuple[MemoryPart, ...]:
    """`weights`: how many numbers the model has."""
    work_bytes = max(int(_FASTER_WORK_BYTES * weights), _LEAST_WORK_BYTES)
    return (
        MemoryPart(PartKind.SPEECH_MODEL, int(_FASTER_WEIGHT_BYTES * weights), Held.ANONYMOUS, "in 8 bits"),
        MemoryPart(PartKind.SPEECH_WORK_MEMORY, work_bytes, Held.ANONYMOUS, "30 s at once"),
        MemoryPart(PartKind.VOICE_DETECTOR, _DETECTOR_BYTES, Held.ANONYMOUS, "and the libraries' tables"),
        MemoryPart(PartKind.SPEECH_LIBRARIES, _FASTER_LIBRARIES_BYTES, Held.FILE),
    )
