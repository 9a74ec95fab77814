"""Transcript events translated into another language."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from ...errors import EdgeRuntimeError
from ..listening import SpeechStream
from ..recognition.transcript import EventKind, TranscriptEvent
from .prompts import Translated
from .translator import Translator

_MOST_EARLIER = 8  # utterances as context; then the older half goes, so that prompts begin alike
_MOST_CHARACTERS = 1_000  # somebody who makes no pause is translated all the same


def translate_events(
    events: Iterable[TranscriptEvent],
    translator: Translator,
    *,
    partials: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Iterator[TranscriptEvent]:
    """One final event for each utterance, with its times and number; then the end.

    It comes when the utterance is over, and its commit latency includes the translation. What is
    in the target language already stays as it is, and so does an utterance for which the model
    finds no words: `language` names the one it is in. `partials`: a translation is shown while it is
    written. While a model translates, nothing is taken from `events`: live sound has to wait in
    its source. An error in `events` is raised after what was said before it.
    """
    work = _Utterances(translator, partials, clock)
    failure: EdgeRuntimeError | None = None
    source = iter(events)
    while True:
        try:
            event = next(source, None)
        except EdgeRuntimeError as error:
            event, failure = None, error
        if event is None:
            break
        yield from work.take(event)
    yield from work.flush()
    if failure is not None:
        raise failure


def translate_stream(stream: SpeechStream, translator: Translator, *, partials: bool = False) -> SpeechStream:
    """As translate_events; stopping and closing it stops and closes `stream` as well."""
    events = translate_events(stream, translator, partials=partials)
    return SpeechStream(events, stream.stop, stream.stats, release=stream.close)


class _Utterances:
    def __init__(self, translator: Translator, partials: bool, clock: Callable[[], float]) -> None:
        self._translator, self._partials, self._clock = translator, partials, clock
        self._earlier: list[Translated] = []
        self._finals: list[TranscriptEvent] = []  # of one utterance, not translated yet
        self._came_s = 0.0  # when the last of them did

    def take(self, event: TranscriptEvent) -> Iterator[TranscriptEvent]:
        if event.kind is EventKind.END:
            yield from self.flush()
            yield event
        elif event.kind is EventKind.FINAL:
            if self._finals and self._finals[0].utterance != event.utterance:
                yield from self.flush()
            self._finals.append(event)
            self._came_s = self._clock()
            length = sum(len(final.text) for final in self._finals)
            if event.ends_utterance or length > _MOST_CHARACTERS:
                yield from self.flush()

    def flush(self) -> Iterator[TranscriptEvent]:
        """What has been said and not been translated."""
        finals, self._finals = self._finals, []
        said = " ".join(final.text for final in finals if final.text)
        if not finals:
            return
        language = finals[-1].language
        text = ""
        if said and language != self._translator.to:
            for draft in self._translator.drafts(said, tuple(self._earlier), language=language):
                if self._partials and draft and draft != text:
                    yield self._event(EventKind.PARTIAL, finals, draft, self._translator.to)
                text = draft
        if text:
            self._remember(Translated(said, text))
        yield self._event(EventKind.FINAL, finals, text or said, self._translator.to if text else language)

    def _remember(self, pair: Translated) -> None:
        if len(self._earlier) >= _MOST_EARLIER:
            del self._earlier[: _MOST_EARLIER // 2]
        self._earlier.append(pair)

    def _event(
        self, kind: EventKind, finals: list[TranscriptEvent], text: str, language: str
    ) -> TranscriptEvent:
        last = finals[-1]
        is_final = kind is EventKind.FINAL
        latency_s = last.commit_latency_s
        if latency_s is not None:
            latency_s += self._clock() - self._came_s
        return TranscriptEvent(
            kind=kind,
            start_s=finals[0].start_s,
            end_s=last.end_s,
            text=text,
            language=language,
            utterance=last.utterance,
            ends_utterance=is_final and last.ends_utterance,
            commit_latency_s=latency_s if is_final else None,
        )
