"""The options that transcribe, translate and listen share, and what they mean to SpeechRuntime."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...catalog.catalog import DEFAULT_SPEECH_MODEL
from ...errors import OptionInvalid
from ...speech.captions.formats import CaptionFormat
from ...speech.recognition.languages import parse_language
from ...values.checks import whole_number_or_none
from .model_options import add_offline_option, number_option
from .shared_options import add_force_option, add_threads_option

if TYPE_CHECKING:
    from ...speech.audio import AudioSource
    from ...speech.runtime import SpeechRuntime
    from ...speech.source import TranscriptionKeywords
    from ..screen.terminal import Screen

STANDARD_INPUT = "-"
SPEECH_MODEL_HELP = (
    "name of a speech model in the catalog, or a folder of ONNX or CTranslate2 files "
    f"(default: {DEFAULT_SPEECH_MODEL})"
)
_FORMATS = ", ".join(form.value for form in CaptionFormat)


def add_speech_options(parser: argparse.ArgumentParser, *, beside_chat_model: bool = False) -> None:
    """beside_chat_model: its options are there already; --threads and --offline are for both models."""
    group = parser.add_argument_group("speech")
    group.add_argument(
        "--model",
        metavar="NAME|DIR",
        default=DEFAULT_SPEECH_MODEL,
        help=SPEECH_MODEL_HELP,
    )
    group.add_argument(
        "--language",
        metavar="NAME",
        default="auto",
        help="language that is spoken, such as French or fr (default: auto, which listens for it)",
    )
    group.add_argument(
        "--rate", metavar="HZ", help="samples a second on standard input, 16 bits each (default: 16000)"
    )
    group.add_argument("--channels", metavar="N", help="channels on standard input (default: 1)")
    if not beside_chat_model:
        add_threads_option(group)
        add_offline_option(parser)


def add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("output")
    group.add_argument(
        "--format",
        action="append",
        metavar="F",
        help=f"{_FORMATS}; several with commas, or by repeating the option (default: text)",
    )
    group.add_argument(
        "-o",
        "--output",
        dest="folder",
        type=Path,
        metavar="DIR",
        help="write files into this folder (default: write to stdout)",
    )
    group.add_argument(
        "--words",
        action="store_true",
        help="in jsonl: each word with its times and probability (default: segments only)",
    )
    add_force_option(group, "replace files that exist (default: refuse)")


def formats_of(args: argparse.Namespace) -> tuple[CaptionFormat, ...]:
    """Each once. Raises OptionInvalid."""
    names = [name.strip().lower() for text in args.format or ["text"] for name in text.split(",")]
    unknown = [name for name in names if name not in {form.value for form in CaptionFormat}]
    if unknown:
        raise OptionInvalid(
            f"--format: {unknown[0][:40]!r} is not one of {_FORMATS}",
            hint="for example --format srt,vtt",
            option="format",
            value=unknown[0][:40],
        )
    formats = tuple(dict.fromkeys(map(CaptionFormat, names)))
    if len(formats) > 1 and args.folder is None:
        raise OptionInvalid("--format: several formats need -o DIR", hint="or choose one", option="format")
    return formats


@dataclass(frozen=True)
class SpeechChoices:
    """What was asked of the recognizer, found right as far as that is possible without it."""

    model: str
    threads: int | None
    language: str | None
    rate_hz: int | None
    channels: int | None
    track: str | None

    @classmethod
    def of(cls, args: argparse.Namespace) -> SpeechChoices:
        """Raises OptionInvalid."""
        from ...speech.audio.resampler import RATES_HZ

        return cls(
            model=args.model,
            threads=number_option(args, "threads", int),
            language=None if args.language.strip().lower() == "auto" else parse_language(args.language),
            rate_hz=whole_number_or_none("rate_hz", number_option(args, "rate", int), *RATES_HZ),
            channels=whole_number_or_none("channels", number_option(args, "channels", int), 1, 64),
            track=getattr(args, "track", None),
        )

    def options(self, *, translate: bool = False) -> TranscriptionKeywords:
        """The keywords of SpeechRuntime.transcribe and listen."""
        return {"language": self.language, "translate": translate}

    def open(self, screen: Screen) -> SpeechRuntime:
        """With a line on the terminal for as long as it takes."""
        from ...speech.runtime import SpeechRuntime

        with screen.busy(f"loading {Path(self.model).name}"):
            return SpeechRuntime.open(self.model, threads=self.threads)

    def source(self, name: str) -> AudioSource:
        """A file, or "-". Raises AudioFormatUnsupported and OptionInvalid."""
        from ...speech.source import open_source

        return open_source(name, rate_hz=self.rate_hz, channels=self.channels, track=self.track)


def output_paths(
    folder: Path | None, name: str, formats: Sequence[CaptionFormat]
) -> dict[CaptionFormat, Path]:
    """Where each format goes; nowhere without a folder. `name`: of the recording, without its ending."""
    return {} if folder is None else {form: folder / f"{name}{form.suffix}" for form in formats}
