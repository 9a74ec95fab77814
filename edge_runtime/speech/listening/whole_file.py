"""Transcription of whole recordings, in pieces as long as the recognizer can take."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...values.progress import QUIET, Advance, Progress
from ..audio import SPEECH_RATE_HZ, AudioBlock, AudioSource, Samples
from ..recognition.recognizer import Recognition, RecognitionOptions, Recognizer
from ..recognition.transcript import TranscriptEvent
from ..vad import SegmentOptions, SpeechDetector, SpeechEnded, SpeechEvent, SpeechModel
from .completion import Completion, Part, Words, moved
from .event_writer import EventWriter, Place
from .gates import is_believable, is_believable_piece, is_runaway, mean_logprob, translate
from .language import LanguageChoice
from .options import ListenOptions
from .packing import Pack, Packer, split_words
from .stats import ListenStats

_LONGEST_S = 28.0
_SEGMENTS = SegmentOptions(
    pauses_s=((0.0, 0.5), (15.0, 0.3), (22.0, 0.12)), longest_segment_s=_LONGEST_S, cut_search_s=6.0
)


def transcribe(
    source: AudioSource,
    recognizer: Recognizer,
    speech_model: SpeechModel,
    options: ListenOptions | None = None,
    progress: Progress | None = None,
) -> Iterator[TranscriptEvent]:
    """A final for each utterance, then END. Holds half a minute of sound, however long it is.

    Of the options, language and translate count. An error of the source is raised after END:
    the events of all sound before it come first.

    Raises OptionInvalid for a language that the recognizer does not know.
    """
    options = options or ListenOptions()
    options.require_language(recognizer.languages)
    return _Transcription(recognizer, speech_model, options).events(source, progress or QUIET)


class _Transcription:
    def __init__(self, recognizer: Recognizer, speech_model: SpeechModel, options: ListenOptions) -> None:
        self._recognizer, self._to_english = recognizer, options.translate
        self._detector = SpeechDetector(speech_model, _SEGMENTS)
        self._packer = Packer(0.0 if options.translate else _LONGEST_S)
        self._language = LanguageChoice(options.language)
        self._writer = EventWriter(ListenStats(), None)

    def events(self, source: AudioSource, progress: Progress) -> Iterator[TranscriptEvent]:
        blocks = _Blocks(source)
        with progress.steps("transcribed", round(source.duration_s or 0.0), "s") as advance:
            seconds = _Seconds(advance)
            for block in blocks:
                for pack in self._packs(self._detector.push(block)):
                    yield from self._recognize_pack(pack)
                seconds.reach(self._waiting_sample())
            for pack in (*self._packs(self._detector.finish()), *self._packer.finish()):
                yield from self._recognize_pack(pack)
                seconds.reach(pack.segments[-1].end_sample)
            seconds.reach(self._detector.end_sample)
        yield self._writer.end(self._detector.end_sample / SPEECH_RATE_HZ)
        if blocks.error is not None:
            raise blocks.error

    def _waiting_sample(self) -> int:
        """The start of the sound whose words are still to come."""
        if self._packer.start_sample is not None:
            return self._packer.start_sample
        segment = self._detector.open_segment
        return self._detector.end_sample if segment is None else segment.start_sample

    def _packs(self, events: Sequence[SpeechEvent]) -> Iterator[Pack]:
        for event in events:
            if isinstance(event, SpeechEnded):
                yield from self._packer.push(event)

    def _recognize_pack(self, pack: Pack) -> Iterator[TranscriptEvent]:
        if self._to_english:
            yield from self._translate_segment(pack.segments[0])
            return
        asked = self._language.code
        recognition = self._once(pack.samples())
        if is_runaway(recognition) and len(pack.segments) > 1:
            for segment in pack.segments:  # a loop in one of them is no reason to lose the others
                yield from self._recognize_pack(Pack((segment,)))
            return
        for segment, start_s, words in split_words(recognition.words, pack):
            alone = len(pack.segments) == 1
            own = self._believed(segment, moved(words, -start_s), recognition, alone=alone)
            if not own and alone and self._language.code == self._language.given == asked:
                continue  # another try would be the same
            completion = Completion(self._recognize_alone)
            yield from self._finals(segment, completion.complete(segment.samples, own, recognition.language))

    def _finals(self, segment: SpeechEnded, parts: Sequence[Part]) -> Iterator[TranscriptEvent]:
        start_s = segment.start_sample / SPEECH_RATE_HZ
        ends_s = [*(start_s + part.words[0].start_s for part in parts[1:]), segment.quiet_until_s]
        for part, until_s in zip(parts, ends_s, strict=False):  # without parts there is an end all the same
            place = Place(start_s, part.language)
            yield from self._writer.final(part.words, place, ends=True, quiet_until_s=until_s)

    def _believed(
        self, segment: SpeechEnded, words: Words, recognition: Recognition, *, alone: bool
    ) -> Words:
        """Nothing where the words are not plausible, or the language seems to be another one."""
        length_s = len(segment.samples) / SPEECH_RATE_HZ
        if alone and not is_believable_piece(recognition, length_s):
            return ()
        if not alone and not is_believable(words, recognition.no_speech_probability, length_s):
            return ()
        foreign = words and self._language.reconsider(self._recognizer, segment.samples, mean_logprob(words))
        return () if foreign else words

    def _recognize_alone(self, samples: Samples) -> Recognition:
        return self._language.recognize_alone(self._recognizer, samples)

    def _translate_segment(self, segment: SpeechEnded) -> Iterator[TranscriptEvent]:
        text = translate(self._recognizer, self._language, segment.samples)
        place = Place(segment.start_sample / SPEECH_RATE_HZ, self._language.latest)
        yield from self._writer.translation(text, place, segment.end_sample / SPEECH_RATE_HZ, ends=True)

    def _once(self, samples: Samples) -> Recognition:
        options = RecognitionOptions(language=self._language.code, words=True)
        recognition = self._recognizer.recognize(samples, options)
        self._language.update(recognition, len(samples) / SPEECH_RATE_HZ)
        return recognition


class _Seconds:
    """Reports each second once."""

    def __init__(self, advance: Advance) -> None:
        self._advance, self._reported = advance, 0

    def reach(self, sample: int) -> None:
        fresh = sample // SPEECH_RATE_HZ - self._reported
        if fresh > 0:
            self._advance(fresh)
            self._reported += fresh


class _Blocks:
    """A source's blocks; its error is kept for later."""

    def __init__(self, source: AudioSource) -> None:
        self.error: Exception | None = None
        self._source = source

    def __iter__(self) -> Iterator[AudioBlock]:
        blocks = iter(self._source)
        while (block := self._next(blocks)) is not None:
            yield block

    def _next(self, blocks: Iterator[AudioBlock]) -> AudioBlock | None:
        try:
            return next(blocks, None)
        except Exception as error:  # noqa: BLE001 - raised after the events of all sound before it
            self.error = error
            return None
