"""The public face of speech: open a recognizer, transcribe files, listen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import TracebackType

from ..catalog.catalog import DEFAULT_SPEECH_MODEL, DEFAULT_VAD_MODEL, find_speech_model, find_vad_model
from ..device.device import default_threads
from ..values.progress import Progress
from .listening import ListenOptions, SimulatedClock, SpeechStream, listen, transcribe
from .recognition.recognizer import Recognizer
from .source import SoundSource, StoppableSource, open_source
from .vad import SileroModel, SpeechModel
from .whisper import open_recognizer


class SpeechRuntime:
    """One open speech recognizer. Several streams may run at once; `close()` or `with` frees everything.

    with SpeechRuntime.open() as runtime:
        for event in runtime.transcribe("talk.mp3"):
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

    def transcribe(
        self,
        source: SoundSource,
        options: ListenOptions | None = None,
        *,
        progress: Progress | None = None,
    ) -> SpeechStream:
        """A whole recording, as well as the model can: finals, one for each utterance, then the end.

        source: a file, "-" for raw samples on standard input (16 kHz, mono, 16 bits), or any AudioSource.
        Raises AudioFormatUnsupported and OptionInvalid at once; sound that breaks off in the middle,
        after the end event.
        """
        stoppable = StoppableSource(open_source(source))
        model = self._make_speech_model()
        events = transcribe(stoppable, self.recognizer, model, options or ListenOptions(), progress)
        return SpeechStream(events, stoppable.stop)

    def listen(
        self, source: SoundSource, options: ListenOptions | None = None, *, simulated: bool = False
    ) -> SpeechStream:
        """Sound as it comes, such as a Microphone's: partials within a second, finals soon after.

        simulated: take a recording for live sound, as fast as this machine can process it.
        Raises as transcribe().
        """
        return listen(
            open_source(source),
            self.recognizer,
            self._make_speech_model(),
            options or ListenOptions(),
            clock=SimulatedClock() if simulated else None,
        )

    def close(self) -> None:
        self.recognizer.close()

    def __enter__(self) -> SpeechRuntime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
