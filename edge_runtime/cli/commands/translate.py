"""`edge-runtime translate`: what is said in recordings, in another language."""

from __future__ import annotations

import argparse
from typing import Any

from ..options.speech_options import add_output_options, add_speech_options
from ..options.translation_options import Translation, add_translation_options
from . import SUMMARIES
from .recordings import add_recording_options, run_recordings

_ABOUT = (
    "Write down in another language what is said in recordings. To English the recognizer can do it itself: "
    "a gist, not to be relied on. To any language, and better, a chat model does (--translator): it works "
    "on one utterance after the other, in memory that holds both models."
)


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "translate",
        help=SUMMARIES["translate"],
        description=_ABOUT,
        usage="edge-runtime translate --to LANGUAGE [OPTIONS] FILE...",
    )
    add_recording_options(parser)
    add_translation_options(parser, required=True)
    add_speech_options(parser, beside_chat_model=True)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    return run_recordings(args, Translation.of(args))
