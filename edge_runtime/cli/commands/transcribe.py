"""`edge-runtime transcribe`: what is said in recordings, as text, subtitles or JSON lines."""

from __future__ import annotations

import argparse
from typing import Any

from ..options.speech_options import add_output_options, add_speech_options
from ..options.translation_options import Translation
from . import SUMMARIES
from .recordings import add_recording_options, run_recordings

_ABOUT = (
    "Write down what is said in recordings: wav, flac, mp3, ogg, opus, m4a, mp4, webm and aiff, or "
    "standard input (FILE is -): one of these, or raw samples. One transcript each, to stdout, or with "
    "-o into files of a folder; these grow as it goes: what was transcribed until something stops it is "
    "kept."
)


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "transcribe",
        help=SUMMARIES["transcribe"],
        description=_ABOUT,
        usage="edge-runtime transcribe [OPTIONS] FILE...",
    )
    add_recording_options(parser)
    add_speech_options(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return run_recordings(args, Translation(to=None, translator=None))
