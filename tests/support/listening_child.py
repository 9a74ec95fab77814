"""edge-runtime with a microphone and a recognizer that are made up, for a child process on a terminal."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as pytest does

import numpy as np
from support.fake_portaudio import FakeDevice, FakePortAudio, Sound
from support.tone_speech import RATE_HZ, saying, tone_speech

from edge_runtime.cli.command_line import main
from edge_runtime.speech.runtime import SpeechRuntime

if __name__ == "__main__":
    said, *arguments = sys.argv[1:]
    samples = np.concatenate([saying(said), np.zeros(600 * RATE_HZ, np.float32)])
    script = [Sound(samples[:, None])]
    device = FakeDevice("Desk", rates_hz=(RATE_HZ,), script=script, in_real_time=True, period_frames=1_600)
    sys.modules["sounddevice"] = FakePortAudio([device], default_input=0)
    SpeechRuntime.open = lambda *_, **__: tone_speech()  # type: ignore[method-assign]
    sys.exit(main(arguments))
