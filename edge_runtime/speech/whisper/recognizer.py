"""Whisper as a Recognizer: one piece of sound in, text with probabilities and times out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ...device.process_memory import trim_heap
from ...errors import EngineClosed, OptionInvalid
from ..audio import SPEECH_RATE_HZ, Samples, quietest_sample
from ..recognition.recognizer import Recognition, RecognitionOptions, RecognizedWord, StopReason
from .alignment import token_times
from .attempt import Attempt, Engine, Wanted
from .config import WhisperConfig
from .features import FRAMES_PER_S, MOST_FRAMES, LogMel
from .vocabulary import Vocabulary
from .words import split_words, spread_evenly, time_words

_CONTEXT_STEP_FRAMES = FRAMES_PER_S // 2
# What a longer context takes is given back at once: for 30 s that is 100 MB. What a short one takes is kept
# for the next: to get it anew would cost half as much as the encoder.
_SHORT_FRAMES = 16 * FRAMES_PER_S
# Of 13 clips that looped when 0.5 s of silence followed them, none did with 15, 20, 25 or 30 s of context,
# with 8, 7, 6 and 7 wrong words of 67; 30 s cost twice the time of 20.
_SECOND_FRAMES = 20 * FRAMES_PER_S
_NEXT_WORD_S = 0.1, 0.5  # after the place of a word that is listened to, the next one begins


class _Try(NamedTuple):
    attempt: Attempt
    frames: int

    @property
    def is_sound(self) -> bool:
        return self.attempt.transcript.stopped_by is not StopReason.GUARD


class WhisperRecognizer:
    """Made by open_recognizer. Decodes greedily and without timestamp tokens."""

    sample_rate_hz = SPEECH_RATE_HZ
    longest_s = MOST_FRAMES / FRAMES_PER_S

    def __init__(self, engine: Engine, vocabulary: Vocabulary, config: WhisperConfig) -> None:
        self.languages = tuple(config.languages) or ("en",)
        self._engine, self._vocabulary, self._config = engine, vocabulary, config
        self._features = LogMel(config.mel_bins)
        self._lock = threading.Lock()
        self._closed = False

    def recognize(
        self,
        samples: Samples,
        options: RecognitionOptions | None = None,
        *,
        prefix: Sequence[int] = (),
        draft: Sequence[int] = (),
    ) -> Recognition:
        """See Recognizer."""
        options = options or RecognitionOptions()
        samples = self._checked(samples)
        wanted = self._wanted(options, prefix, draft)
        frames = self._context_frames(len(samples), options)
        with self._lock:
            tries = [self._try(samples, frames, wanted)]
            if options.second_try and not tries[0].is_sound and frames < MOST_FRAMES:
                tries.append(self._try(samples, min(MOST_FRAMES, max(_SECOND_FRAMES, 2 * frames)), wanted))
        return self._recognition(tries, samples, options)

    def detect_language(self, samples: Samples) -> tuple[str, float]:
        """See Recognizer."""
        samples = self._checked(samples)
        frames = self._context_frames(len(samples), RecognitionOptions())
        with self._lock:
            self._check_open()
            encoded = self._engine.encode(self._features.features(samples, frames))
            found = self._engine.detect_language(encoded)
        return found.code, found.probability

    def close(self) -> None:
        """See Recognizer."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._features.forget()
                self._engine.close()

    def __enter__(self) -> WhisperRecognizer:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise EngineClosed("this recognizer is closed", hint="open it again with open_recognizer")

    def _checked(self, samples: Samples) -> Samples:
        most = round(self.longest_s * SPEECH_RATE_HZ)
        if samples.ndim != 1 or samples.dtype.kind != "f" or len(samples) > most:
            raise OptionInvalid(
                f"samples: {samples.dtype} {samples.shape}; a piece is float32 (n,), at most {most} long",
                hint="cut the sound into pieces, where nobody speaks",
                option="samples",
            )
        if not np.isfinite(samples).all():
            raise OptionInvalid("samples: NaN or infinity", hint="give numbers in [-1, 1]", option="samples")
        return np.ascontiguousarray(samples, np.float32)

    def _wanted(self, options: RecognitionOptions, prefix: Sequence[int], draft: Sequence[int]) -> Wanted:
        self._check_language(options)
        self._check_tokens("prefix", prefix)
        self._check_tokens("draft", draft)
        return Wanted(
            language=options.language,
            translate=options.translate,
            prefix=tuple(prefix),
            draft=tuple(draft),
            most_tokens=options.most_tokens,
            alignment=options.words and self._engine.gives_times,
        )

    def _check_language(self, options: RecognitionOptions) -> None:
        if options.language is not None and options.language not in self.languages:
            raise OptionInvalid(
                f"language: {options.language!r} is none of this model's {len(self.languages)}",
                hint="known: " + ", ".join(self.languages),
                option="language",
                value=options.language,
            )
        if options.translate and self._config.translate is None:
            raise OptionInvalid(
                "translate: this model knows English alone",
                hint="take a multilingual one",
                option="translate",
            )

    def _check_tokens(self, name: str, tokens: Sequence[int]) -> None:
        most = self._config.most_positions // 2
        if len(tokens) > most or not all(0 <= token < self._config.end for token in tokens):
            raise OptionInvalid(
                f"{name}: {len(tokens)} tokens; expected at most {most}, each below {self._config.end}",
                hint="give tokens of an earlier Recognition",
                option=name,
            )

    def _context_frames(self, samples: int, options: RecognitionOptions) -> int:
        """Frames that the encoder takes: even, and rounded up so that few different lengths occur."""
        if options.full_context:
            return MOST_FRAMES
        context_s = max(options.least_context_s, samples / SPEECH_RATE_HZ + options.margin_s)
        steps = -(-round(context_s * FRAMES_PER_S) // _CONTEXT_STEP_FRAMES)
        return min(MOST_FRAMES, max(steps, 1) * _CONTEXT_STEP_FRAMES)

    def _try(self, samples: Samples, frames: int, wanted: Wanted) -> _Try:
        self._check_open()
        frames = max(frames, self._engine.frames_at_least)
        if frames > _SHORT_FRAMES:
            trim_heap()
        encoded = self._engine.encode(self._features.features(samples, frames))
        found = _Try(self._engine.attempt(encoded, wanted, len(samples) / SPEECH_RATE_HZ), frames)
        if frames > _SHORT_FRAMES:
            del encoded
            trim_heap()
        return found

    def _recognition(
        self, tries: Sequence[_Try], samples: Samples, options: RecognitionOptions
    ) -> Recognition:
        best = max(tries, key=lambda one: (one.is_sound, one.attempt.transcript.mean_logprob))
        transcript, language = best.attempt.transcript, best.attempt.language
        return Recognition(
            text=self._vocabulary.text(transcript.tokens).strip(),
            tokens=tuple(transcript.tokens),
            token_logprobs=tuple(transcript.logprobs[: len(transcript.tokens)]),
            mean_logprob=transcript.mean_logprob,
            language=language.code,
            language_probability=language.probability,
            no_speech_probability=best.attempt.no_speech_probability,
            stopped_by=transcript.stopped_by,
            context_s=best.frames / FRAMES_PER_S,
            words=self._words(best.attempt, samples) if options.words else (),
            times_are_guessed=options.words and not self._engine.gives_times,
            tries=len(tries),
            evaluated_tokens=sum(one.attempt.transcript.evaluated_tokens for one in tries),
            accepted_draft_tokens=transcript.accepted_draft_tokens,
        )

    def _words(self, attempt: Attempt, samples: Samples) -> tuple[RecognizedWord, ...]:
        transcript = attempt.transcript
        tokens, duration_s = transcript.tokens, len(samples) / SPEECH_RATE_HZ
        if transcript.heard_s is not None:
            start_s, end_s = (transcript.heard_s + after_s for after_s in _NEXT_WORD_S)
            duration_s = quietest_sample(samples, start_s, end_s) / SPEECH_RATE_HZ
        times_s = list(attempt.times_s)
        if transcript.alignment:
            times_s = token_times(np.stack(transcript.alignment, axis=1), duration_s).tolist()
            times_s = [*times_s, duration_s][: len(tokens) + 1]  # the end, too, has a time if it was reached
        elif not times_s:
            times_s = spread_evenly(tokens, self._vocabulary, duration_s)
        words = split_words(tokens, self._vocabulary, attempt.language.code)
        return time_words(words, tokens, transcript.logprobs, times_s, self._vocabulary)
