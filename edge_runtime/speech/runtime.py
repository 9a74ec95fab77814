"""The public interface of speech: open a recognizer, transcribe recordings, listen to live sound."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, overload

from ..catalog.catalog import DEFAULT_SPEECH_MODEL, DEFAULT_VAD_MODEL, find_speech_model, find_vad_model
from ..device.device import default_threads
from ..errors import OptionInvalid
from ..values.progress import OnProgress, Progress, progress_of
from .audio import ArraySource, AudioFile
from .listening import (
    ListenKeywords,
    SimulatedClock,
    SpeechStream,
    TranscribeKeywords,
    listen,
    listen_options,
    transcribe,
)
from .recognition.recognizer import Recognizer
from .recognition.transcript import Transcript
from .source import (
    ListeningKeywords,
    SoundSource,
    StoppableSource,
    TranscriptionKeywords,
    open_source,
    split_keywords,
)
from .vad import SileroModel, SpeechModel
from .whisper import open_recognizer

if TYPE_CHECKING:
    from typing_extensions import Unpack


class SpeechRuntime:
    """One open speech recognizer. Several streams may run at once; `close()` or `with` frees everything.

    with SpeechRuntime.open() as runtime:
        print(runtime.transcribe("talk.mp3").text)
        for event in runtime.listen(Microphone()):
            print(event.text)
    """

    def __init__(self, recognizer: Recognizer, make_speech_model: Callable[[], SpeechModel]) -> None:
        """SpeechRuntime.open() is the way in. Each stream has a speech model of its own: it remembers."""
        self.recognizer = recognizer
        self._make_speech_model = make_speech_model

    @classmethod
    def open(
        cls,
        model: str | Path = DEFAULT_SPEECH_MODEL,
        *,
        detector: str | Path = DEFAULT_VAD_MODEL,
        threads: int | None = None,
    ) -> SpeechRuntime:
        """Load a recognizer by catalog name or folder. Never touches a network.

        detector: what finds speech, by catalog name or file. threads: default the physical
        cores that this process may use.

        Raises ModelNotFound, ModelFileInvalid, ModelUnsupported, EngineUnavailable, OptionInvalid.
        """
        folder, found = find_speech_model(model), find_vad_model(detector)
        make_speech_model = partial(SileroModel, found)
        return cls(open_recognizer(folder, threads=threads or default_threads()), make_speech_model)

    @overload
    def transcribe(
        self,
        source: SoundSource,
        *,
        stream: Literal[False] = False,
        on_progress: OnProgress | None = None,
        **options: Unpack[TranscriptionKeywords],
    ) -> Transcript: ...

    @overload
    def transcribe(
        self,
        source: SoundSource,
        *,
        stream: Literal[True],
        on_progress: OnProgress | None = None,
        **options: Unpack[TranscriptionKeywords],
    ) -> SpeechStream: ...

    def transcribe(
        self,
        source: SoundSource,
        *,
        stream: bool = False,
        on_progress: OnProgress | None = None,
        **options: Unpack[TranscriptionKeywords],
    ) -> Transcript | SpeechStream:
        """A whole recording, as well as the model can: as one Transcript, or as a stream of its events.

        source: a file, by name or open for bytes; "-" for raw samples (16 bits) or a sound file on
        standard input; a numpy array; or any AudioSource. on_progress: called with a
        ProgressUpdate for each second that is written down, in the thread that reads the events.
        options: see TranscribeKeywords and SourceKeywords. The stream gives a final for each
        utterance, then END.

        Raises AudioFormatUnsupported and OptionInvalid at once. Sound that breaks off in the middle
        is an AudioError: of a stream after its END, else with all that was written down as its
        fact `transcript`.
        """
        started = self.start_transcription(source, options, progress_of(on_progress))
        return started if stream else started.result()

    def start_transcription(
        self, source: SoundSource, options: TranscriptionKeywords, progress: Progress
    ) -> SpeechStream:
        """As transcribe(stream=True), with a Progress of any kind."""
        how, rest = split_keywords(options)
        chosen = listen_options(rest, TranscribeKeywords)
        stoppable = StoppableSource(open_source(source, **how))
        events = transcribe(stoppable, self.recognizer, self._make_speech_model(), chosen, progress)
        return SpeechStream(events, stoppable.stop)

    def listen(
        self, source: SoundSource, *, simulated: bool = False, **options: Unpack[ListeningKeywords]
    ) -> SpeechStream:
        """Live sound, such as a Microphone's: partials within a second, finals soon after.

        simulated: process a recording as live sound, as fast as this machine can. options: see
        ListenKeywords and SourceKeywords.

        Raises as transcribe(), and OptionInvalid for a recording that is not simulated.
        """
        how, rest = split_keywords(options)
        chosen, opened = listen_options(rest, ListenKeywords), open_source(source, **how)
        if isinstance(opened, (AudioFile, ArraySource)) and not simulated:
            raise _not_live(opened)
        return listen(
            opened,
            self.recognizer,
            self._make_speech_model(),
            chosen,
            clock=SimulatedClock() if simulated else None,
        )

    def close(self) -> None:
        """Free the recognizer."""
        self.recognizer.close()

    def __enter__(self) -> SpeechRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _not_live(recording: AudioFile | ArraySource) -> OptionInvalid:
    """All of a recording is there at once: a listener would be behind from its first second on."""
    name = str(recording.path) if isinstance(recording, AudioFile) else "an array"
    return OptionInvalid(
        f"source: {name} is a recording, and listen() expects live sound",
        hint="transcribe() writes recordings down; simulated=True processes one as if it were live",
        option="source",
        value=name,
    )
