"""`edge-runtime listen`: live captions of a microphone."""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from ...errors import AudioError
from ...speech.captions import check_paths
from ..options.speech_options import (
    STANDARD_INPUT,
    SpeechChoices,
    add_output_options,
    add_speech_options,
    formats_of,
    output_paths,
)
from ..options.translation_options import Translation, add_translation_options
from ..screen.caption_output import CaptionOutput, Writing
from ..screen.exit_status import GOOD
from ..screen.terminal import Screen
from . import SUMMARIES
from .recordings import show_stream

if TYPE_CHECKING:
    from ...speech.audio import AudioSource
    from ...speech.listening import ListenStats

_ABOUT = (
    "Show what is said into a microphone while it is said: faint what may still change, plain what is final. "
    "Ctrl-C ends it, after the last word. `listen -` takes raw samples on standard input. With -o "
    "the transcript goes into files as well, each word as soon as it is final."
)


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "listen",
        help=SUMMARIES["listen"],
        description=_ABOUT,
        usage="edge-runtime listen [OPTIONS] [-]",
    )
    parser.add_argument(
        "source",
        nargs="?",
        choices=[STANDARD_INPUT],
        metavar="-",
        help="raw samples on standard input (default: the microphone)",
    )
    parser.add_argument(
        "--device",
        metavar="NAME|N",
        help="microphone: its name, a part of that, or its number (default: the system's)",
    )
    parser.add_argument("--list-devices", action="store_true", help="list the microphones, and leave")
    add_translation_options(parser, required=False)
    add_speech_options(parser, beside_chat_model=True)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.list_devices:
        return _list_devices()
    screen = Screen()
    choices, formats, translation = SpeechChoices.of(args), formats_of(args), Translation.of(args)
    paths = output_paths(args.folder, time.strftime("listen-%Y%m%d-%H%M%S"), formats)
    check_paths(paths.values(), force=args.force)
    if args.source is None:
        _require_microphone(args.device)
    with ExitStack() as stack:
        runtime = stack.enter_context(choices.open(screen))
        translate = translation.open(args, choices, stack, screen)
        source = _open_source(args, choices, stack, screen)
        writing = Writing(
            form=formats[0],
            paths=paths,
            shown=True,
            words=args.words,
            gist=translation.is_gist,
            force=args.force,
        )
        output = stack.enter_context(CaptionOutput(screen, writing))
        stream = runtime.listen(source, **choices.options(translate=translation.is_gist))
        try:
            show_stream(translate(stream, partials=True), output)
        except AudioError:
            output.discard_empty()
            raise
    if stream.stats is not None:
        _tell_losses(stream.stats, screen)
    for path in paths.values():
        screen.note(f"{path}")
    return GOOD


def _require_microphone(device: str | None) -> None:
    """Raises AudioDeviceUnavailable: now, and not after a model was loaded for nothing."""
    from ...speech.audio import find_input

    find_input(device)


def _open_source(
    args: argparse.Namespace, choices: SpeechChoices, stack: ExitStack, screen: Screen
) -> AudioSource:
    """The microphone records from now on: after the model is loaded, so that nothing waits."""
    if args.source == STANDARD_INPUT:
        return choices.source(STANDARD_INPUT)
    from ...speech.audio import Microphone

    microphone = stack.enter_context(Microphone(args.device))
    screen.faint(f"listening to {microphone.device.name}; Ctrl-C ends it")
    return microphone


def _tell_losses(stats: ListenStats, screen: Screen) -> None:
    if stats.dropped_s >= 0.1:
        screen.note(f"{stats.dropped_s:.1f} s of sound were lost: this machine could not keep up")


def _list_devices() -> int:
    from ...speech.audio import list_audio_devices
    from ...speech.audio.devices import describe_inputs

    microphones = [device for device in list_audio_devices() if device.input_channels]
    for device in microphones:
        print(describe_inputs([device]))
    if not microphones:
        print("there is no microphone", file=sys.stderr)
    return GOOD
