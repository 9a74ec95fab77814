"""Sources of sound: files, raw samples on standard input, microphones.

Every source is iterated for blocks of mono sound at 16 kHz, whatever rate and channels it
has itself. The libraries that read files, resample and record are loaded when first used.
"""

from __future__ import annotations

from .array import ArraySource
from .block import SPEECH_RATE_HZ, AudioBlock, AudioSource, Samples, mix_to_mono, quietest_sample
from .capture_ring import CaptureRing
from .devices import AudioDevice, find_input, list_audio_devices
from .files import AudioFile
from .microphone import CaptureOptions, Microphone
from .pcm import PcmFormat, PcmStream
from .resampler import Resampler
from .speech_blocks import SpeechBlocks

__all__ = [
    "SPEECH_RATE_HZ",
    "ArraySource",
    "AudioBlock",
    "AudioDevice",
    "AudioFile",
    "AudioSource",
    "CaptureOptions",
    "CaptureRing",
    "Microphone",
    "PcmFormat",
    "PcmStream",
    "Resampler",
    "Samples",
    "SpeechBlocks",
    "find_input",
    "list_audio_devices",
    "mix_to_mono",
    "quietest_sample",
]
