"""Transcripts of recordings, one after the other, for transcribe and translate."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import AudioError, OptionInvalid
from ...speech.captions import CaptionFormat, check_paths
from ...values.progress import QUIET, Advance, Progress
from ..options.speech_options import STANDARD_INPUT, SpeechChoices, formats_of, output_paths
from ..options.translation_options import Translate, Translation
from ..screen.caption_output import CaptionOutput, Writing
from ..screen.errors import print_error
from ..screen.exit_status import CANCELLED, GOOD, exit_status_of
from ..screen.interrupts import ENDINGS, Interrupts
from ..screen.live_captions import LiveCaptions
from ..screen.progress_bar import ConsoleProgress
from ..screen.terminal import Screen, control_echo_off

if TYPE_CHECKING:
    from ...speech.audio import AudioSource
    from ...speech.listening import SpeechStream
    from ...speech.runtime import SpeechRuntime

_ONE_DOCUMENT = (CaptionFormat.SRT, CaptionFormat.VTT)  # two after each other are none
_PATIENCE_PRESSES = 2  # Ctrl-C: the first finishes what was heard, the second leaves


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="recordings; - for standard input, raw samples or a sound file; ./-NAME for a name with a dash",
    )
    parser.add_argument(
        "--track",
        metavar="N|LANG",
        help="of several sound tracks: number from 1 on, or language such as fr (default: as players do)",
    )
    parser.add_argument(
        "--stream",
        action="store_true",
        help="process recordings as if they were live, with text that may still change; jsonl ends with "
        "the figures (default: each as a whole)",
    )


@dataclass(frozen=True)
class Recordings:
    """What to transcribe, and where to."""

    names: tuple[str, ...]
    formats: tuple[CaptionFormat, ...]
    paths: tuple[dict[CaptionFormat, Path], ...]  # for each name; empty: to stdout
    words: bool
    force: bool

    @classmethod
    def of(cls, args: argparse.Namespace) -> Recordings:
        """Raises OptionInvalid for what can be found wrong before anything starts."""
        names, formats = tuple(args.files), formats_of(args)
        _require_one_stdin(names)
        if args.folder is None and len(names) > 1 and formats[0] in _ONE_DOCUMENT:
            raise OptionInvalid(
                f"--format {formats[0].value}: each of the {len(names)} recordings needs a file of its own",
                hint="give a folder with -o",
                option="format",
            )
        paths = tuple(output_paths(args.folder, _stem(name), formats) for name in names)
        check_paths([path for each in paths for path in each.values()], force=args.force)
        return cls(names, formats, paths, args.words, args.force)

    def writing(self, name: str, paths: Mapping[CaptionFormat, Path], *, is_gist: bool) -> Writing:
        """How the transcript of one of them is written: on a common stdout, each line with its name."""
        return Writing(
            form=self.formats[0],
            paths=paths,
            shown=not paths,
            words=self.words,
            gist=is_gist,
            force=self.force,
            file=name if len(self.names) > 1 and not paths else None,
        )


def _stem(name: str) -> str:
    return "stdin" if name == STANDARD_INPUT else Path(name).stem


def _require_one_stdin(names: tuple[str, ...]) -> None:
    if names.count(STANDARD_INPUT) > 1:
        raise OptionInvalid("- is given twice; there is one standard input", hint="give it once", option="-")


def run_recordings(args: argparse.Namespace, translation: Translation) -> int:
    """Transcribe, or translate, each; one that fails is told, and keeps no other back.

    -> the first failure's exit status. What can be found wrong beforehand starts nothing.
    """
    screen = Screen()
    choices, recordings = SpeechChoices.of(args), Recordings.of(args)
    with ExitStack() as stack:
        runtime = stack.enter_context(choices.open(screen))
        translate = translation.open(args, choices, stack, screen)
        transcriber = Transcriber(
            runtime, choices, translate, is_gist=translation.is_gist, is_live=args.stream
        )
        status = GOOD
        for name, paths in zip(recordings.names, recordings.paths, strict=True):
            if len(recordings.names) > 1 and not paths:
                screen.faint(f"{name}:")
            try:
                source = choices.source(name)  # before its files are made
                writing = recordings.writing(name, paths, is_gist=translation.is_gist)
                stopped = _write_transcript(transcriber, source, writing, screen)
            except AudioError as error:
                print_error(error)
                status = status or exit_status_of(error)
                continue
            if stopped:
                return CANCELLED
        return status


@dataclass(frozen=True)
class Transcriber:
    """Starts the transcript of a recording, translated where that was asked for."""

    runtime: SpeechRuntime
    choices: SpeechChoices
    translate: Translate
    is_gist: bool  # the recognizer itself translates
    is_live: bool  # recordings are taken for live sound

    def start(self, source: AudioSource, output: CaptionOutput, screen: Screen) -> SpeechStream:
        options = self.choices.options(translate=self.is_gist)
        if self.is_live:
            stream = self.runtime.listen(source, simulated=True, **options)
        else:
            stream = self.runtime.start_transcription(source, options, _progress(output, screen))
        return self.translate(stream, partials=self.is_live or output.live is not None)


def _write_transcript(
    transcriber: Transcriber, source: AudioSource, writing: Writing, screen: Screen
) -> bool:
    """Whether Ctrl-C ended it."""
    with CaptionOutput(screen, writing) as output:
        try:
            return show_stream(transcriber.start(source, output, screen), output)
        except AudioError:
            output.discard_empty()
            raise
        finally:
            output.close()  # before the note: it ends the line
            for path in filter(Path.exists, writing.paths.values()):
                screen.note(str(path))


def show_stream(stream: SpeechStream, output: CaptionOutput) -> bool:
    """Every event to the output. The first Ctrl-C or other signal to end ends the sound, not the words.

    -> whether there was one.
    """
    with (
        stream,
        Interrupts(_PATIENCE_PRESSES, ENDINGS) as interrupts,
        interrupts.during(stream.stop),
        control_echo_off(),
    ):
        try:
            for event in stream:
                output.take(event)
        finally:
            if stream.stats is not None:
                output.take_stats(stream.stats.as_json())
        return interrupts.presses > 0


def _progress(output: CaptionOutput, screen: Screen) -> Progress:
    if output.live is not None:
        return LiveProgress(output.live)
    if output.shows and screen.is_terminal:
        return QUIET  # a bar would run into the text
    return ConsoleProgress()


class LiveProgress:
    """The share that is done, below the text that is there."""

    def __init__(self, live: LiveCaptions) -> None:
        self._live = live

    def say(self, text: str) -> None:
        pass

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        yield lambda count: None

    @contextmanager
    def steps(self, label: str, total: int, unit: str) -> Iterator[Advance]:
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self._live.show_status(f"[{100 * done // total} %]" if total else f"[{done} {unit}]")

        yield advance
