"""Greedy decoding, drafts, prefixes, the guard and the second try, on a network that is a table."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_runtime.errors import EngineClosed, OptionInvalid
from edge_runtime.speech.recognition.recognizer import RecognitionOptions, StopReason
from edge_runtime.speech.whisper.attempt import Decoder, Guard
from edge_runtime.speech.whisper.config import make_config
from edge_runtime.speech.whisper.greedy import Transcript
from edge_runtime.speech.whisper.network import Cache, Encoded, Step
from edge_runtime.speech.whisper.recognizer import WhisperRecognizer
from edge_runtime.speech.whisper.vocabulary import Vocabulary

LETTERS = [f"Ġ{letter}" for letter in "abcdefghijklmnopqrstuvwxyz"] + ["!", "?"]
CONTROL = [
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|fr|>", "<|translate|>", "<|transcribe|>"),
    *("<|nospeech|>", "<|notimestamps|>", "<|0.00|>"),
]
END, START, EN, FR, TRANSLATE, TRANSCRIBE, NO_SPEECH, NO_TIMES = range(28, 36)
VOCABULARY = Vocabulary(LETTERS + CONTROL)
SIZE = len(VOCABULARY)
CONFIG = make_config(
    VOCABULARY, mel_bins=80, most_positions=64, suppressed=[27], suppressed_at_start=[END, 26], path=Path("x")
)
SOUND = np.sin(np.arange(16_000 * 4, dtype=np.float32) / 9)

Rule = Callable[
    [tuple[int, ...], int], int | None
]  # (all tokens before, frames) -> the next; None: by chance


class TableNetwork:
    """Its logits depend on every token before, and on nothing else but the context's length."""

    frames_at_least = 2
    vocabulary_size = SIZE
    has_alignment = True

    def __init__(self, rule: Rule = lambda _tokens, _frames: None) -> None:
        self.rule = rule
        self.steps: list[tuple[int, ...]] = []
        self.contexts: list[int] = []
        self.closed = 0

    def encode(self, features: NDArray[np.float32]) -> Encoded:
        self.contexts.append(features.shape[2])
        return Encoded({"frames": features.shape[2]}, features.shape[2] // 2)

    def step(
        self, encoded: Encoded, tokens: Sequence[int], cache: Cache | None, *, alignment: bool = False
    ) -> Step:
        self.steps.append(tuple(tokens))
        before = cache.tensors["tokens"] if cache else ()
        assert cache is None or len(before) == cache.length
        rows = [
            self._logits((*before, *tokens[: n + 1]), encoded.tensors["frames"]) for n in range(len(tokens))
        ]
        grown = (*before, *tokens)
        heard = np.full((2, len(tokens), encoded.positions), 1 / encoded.positions, np.float32)
        for n in range(len(tokens)):
            heard[:, n, (len(before) + n) * 3] = 1.0
        return Step(np.stack(rows), Cache({"tokens": grown}, len(grown)), heard if alignment else None)

    def cut(self, cache: Cache, length: int) -> Cache:
        return Cache({"tokens": cache.tensors["tokens"][:length]}, length)

    def close(self) -> None:
        self.closed += 1

    def _logits(self, tokens: tuple[int, ...], frames: int) -> NDArray[np.float32]:
        rng = np.random.default_rng(zlib.crc32(bytes(tokens)))
        logits = rng.standard_normal(SIZE).astype(np.float32)
        logits[EN] += 3 * (tokens == (START,))
        said = tokens[tokens.index(NO_TIMES) + 1 :] if NO_TIMES in tokens else None
        chosen = None if said is None else self.rule(said, frames)
        if chosen is not None:
            logits[chosen] = 9.0
        return logits


def chance(length: int) -> Rule:
    """Any letters, and the end after `length` of them."""
    return lambda said, _frames: END if len(said) >= length else None


def recognizer(rule: Rule) -> tuple[WhisperRecognizer, TableNetwork]:
    network = TableNetwork(rule)
    return WhisperRecognizer(Decoder(network, VOCABULARY, CONFIG), VOCABULARY, CONFIG), network


ENGLISH = RecognitionOptions(language="en")


def test_a_draft_changes_the_cost_and_not_the_result(rng: np.random.Generator) -> None:
    whisper, network = recognizer(chance(9))
    plain = whisper.recognize(SOUND, ENGLISH)
    assert plain.stopped_by is StopReason.END
    assert len(plain.tokens) == 9
    assert plain.evaluated_tokens == 4 + 9
    for trial in range(60):
        draft = list(plain.tokens[: rng.integers(0, 10)])
        if draft and trial % 2:
            draft[rng.integers(len(draft))] = int(rng.integers(28))
        if trial % 3 == 0:
            draft += [int(token) for token in rng.integers(0, 28, 3)]
        cut = int(rng.integers(0, 3))
        draft[:cut] = plain.tokens[:cut]  # a prefix is never a guess
        network.steps.clear()
        found = whisper.recognize(SOUND, ENGLISH, prefix=plain.tokens[:cut], draft=draft[cut:])
        assert replace(found, evaluated_tokens=13, accepted_draft_tokens=0) == plain
        same = next(
            (n for n, (a, b) in enumerate(zip(draft, plain.tokens, strict=False)) if a != b), len(draft)
        )
        same = min(same, 9)
        assert found.accepted_draft_tokens >= max(0, same - cut)  # behind a wrong token more may be right
        told = cut + found.accepted_draft_tokens
        assert len(network.steps) == 1 + 9 - told  # the first, and one for each token that nothing told


def test_a_long_draft_is_checked_a_few_tokens_at_a_time() -> None:
    whisper, network = recognizer(chance(34))
    sound = np.tile(SOUND, 3)
    plain = whisper.recognize(sound, ENGLISH)
    assert len(plain.tokens) == 34
    network.steps.clear()
    found = whisper.recognize(sound, ENGLISH, prefix=plain.tokens[:10], draft=plain.tokens[10:])
    assert [len(step) for step in network.steps] == [16, 16, 6]
    assert replace(found, evaluated_tokens=38, accepted_draft_tokens=0) == plain
    assert found.accepted_draft_tokens == 24

    network.steps.clear()
    wrong = [*plain.tokens[:14], (plain.tokens[14] + 1) % 26, *plain.tokens[15:30]]
    found = whisper.recognize(sound, ENGLISH, draft=wrong)
    assert [len(step) for step in network.steps[:3]] == [16, 16, 6]  # what follows it is tried in small parts
    assert replace(found, evaluated_tokens=38, accepted_draft_tokens=0) == plain
    assert found.accepted_draft_tokens > 20


@pytest.mark.parametrize(
    ("draft", "accepted", "steps"),
    [
        ([1, 2, 3, 20, 5, 6, 7, 8, 9], 8, 2),  # one is another
        ([1, 2, 3, 5, 6, 7, 8, 9], 7, 3),  # one is missing: seen when the next comes
        ([1, 2, 3, 20, 4, 5, 6, 7, 8, 9], 8, 2),  # one too many
        ([1, 2, 3, 20, 21, 22, 7, 8, 9], 5, 5),  # too much is another: until a token fits again
        ([20] * 9, 0, 10),
    ],
)
def test_a_draft_goes_on_behind_what_has_changed(draft: list[int], accepted: int, steps: int) -> None:
    whisper, network = recognizer(lambda said, _frames: END if len(said) >= 9 else len(said) + 1)
    found = whisper.recognize(SOUND, ENGLISH, draft=draft)
    assert found.tokens == tuple(range(1, 10))
    assert (found.accepted_draft_tokens, len(network.steps)) == (accepted, steps)


def test_a_prefix_is_kept_even_where_the_model_would_say_something_else() -> None:
    whisper, network = recognizer(chance(6))
    found = whisper.recognize(SOUND, ENGLISH, prefix=[27, 26, 5])
    assert found.tokens[:3] == (27, 26, 5)
    assert len(found.tokens) == 6
    assert len(found.token_logprobs) == 6
    assert all(-50 < logprob < 0 for logprob in found.token_logprobs)
    assert network.steps[0] == (START, EN, TRANSCRIBE, NO_TIMES, 27, 26, 5)


def test_suppressed_tokens_never_come() -> None:
    whisper, _ = recognizer(lambda said, _: 27 if len(said) < 3 else END if len(said) < 5 else NO_SPEECH)
    found = whisper.recognize(SOUND, ENGLISH)
    assert 27 not in found.tokens
    assert len(found.tokens) == 3
    whisper, _ = recognizer(lambda said, _: END if len(said) == 0 or len(said) > 4 else 36)
    found = whisper.recognize(SOUND, ENGLISH)
    assert len(found.tokens) == 5  # the end may not be first, and nothing above the end comes at all
    assert max(found.tokens) < END


def test_log_probabilities_are_over_what_may_come() -> None:
    whisper, network = recognizer(chance(3))
    found = whisper.recognize(SOUND, ENGLISH)
    total, history = 0.0, (START, EN, TRANSCRIBE, NO_TIMES)
    for n, token in enumerate((*found.tokens, END)):
        logits = network._logits((*history, *found.tokens[:n]), 1000).astype(np.float64)
        banned = [27, *range(END + 1, SIZE), *([END, 26] if n == 0 else [])]
        logits[banned] = -np.inf
        expected = logits[token] - np.log(np.exp(logits).sum())
        total += expected
        if n < 3:
            assert found.token_logprobs[n] == pytest.approx(expected, abs=1e-5)
    assert found.mean_logprob == pytest.approx(total / 4, abs=1e-5)


def test_the_language_is_detected_with_one_evaluation_more() -> None:
    whisper, network = recognizer(chance(4))
    found = whisper.recognize(SOUND)
    assert found.language == "en"
    assert 0.5 < found.language_probability < 1
    assert network.steps[:2] == [(START,), (EN, TRANSCRIBE, NO_TIMES)]
    given = whisper.recognize(SOUND, ENGLISH)
    assert found.tokens == given.tokens
    assert found.no_speech_probability == pytest.approx(given.no_speech_probability)
    assert given.language_probability == 1.0
    assert whisper.detect_language(SOUND) == ("en", pytest.approx(found.language_probability))


def test_task_and_language_are_in_the_prompt() -> None:
    whisper, network = recognizer(chance(4))
    whisper.recognize(SOUND, RecognitionOptions(language="fr", translate=True))
    assert network.steps[0] == (START, FR, TRANSLATE, NO_TIMES)


def test_a_model_for_english_alone_has_a_shorter_prompt() -> None:
    vocabulary = Vocabulary([*LETTERS, "<|endoftext|>", "<|startoftranscript|>", "<|notimestamps|>"])
    config = make_config(
        vocabulary, mel_bins=80, most_positions=64, suppressed=[], suppressed_at_start=[], path=Path("x")
    )
    network = TableNetwork(chance(4))
    whisper = WhisperRecognizer(Decoder(network, vocabulary, config), vocabulary, config)
    assert whisper.languages == ("en",)
    assert whisper.recognize(SOUND).language == "en"
    assert network.steps[0] == (28 + 1, 28 + 2)
    with pytest.raises(OptionInvalid, match="English alone"):
        whisper.recognize(SOUND, RecognitionOptions(translate=True))


def loops_below(frames: int) -> Rule:
    """Says a b c d and ends with a long context; with a shorter one it goes round and round."""

    def rule(said: tuple[int, ...], context_frames: int) -> int:
        return (
            len(said) if len(said) < 4 else END if context_frames >= frames else (0, 1, 2, 3)[len(said) % 4]
        )

    return rule


def test_a_loop_is_tried_again_with_a_longer_context() -> None:
    whisper, network = recognizer(loops_below(2000))
    found = whisper.recognize(SOUND, ENGLISH)
    assert network.contexts == [1000, 2000]
    assert (found.text, found.stopped_by, found.tries, found.context_s) == (
        "a b c d",
        StopReason.END,
        2,
        20.0,
    )
    assert found.evaluated_tokens == (4 + 11) + (4 + 4)


def test_a_loop_without_a_second_try_is_cut() -> None:
    whisper, network = recognizer(loops_below(2000))
    found = whisper.recognize(SOUND, replace(ENGLISH, second_try=False))
    assert (found.text, found.stopped_by, found.tries) == ("a b c d", StopReason.GUARD, 1)
    assert len(found.token_logprobs) == 4
    assert network.contexts == [1000]


def test_a_loop_in_both_tries_is_cut_but_not_into_the_prefix() -> None:
    whisper, network = recognizer(loops_below(9999))
    prefix = [0, 1, 2, 3, 0, 1, 2, 3]
    found = whisper.recognize(SOUND, ENGLISH, prefix=prefix)
    assert network.contexts == [1000, 2000]
    assert found.stopped_by is StopReason.GUARD
    assert found.tokens == tuple(prefix)


def attending(*places_s: float) -> list[NDArray[np.float32]]:
    """Attention of two heads, (2, positions), each to one place of ten seconds."""
    rows = [np.full((2, 500), 0.001, np.float32) for _ in places_s]
    for row, place_s in zip(rows, places_s, strict=True):
        row[:, round(place_s * 50)] = 1.0
    return rows


@pytest.mark.parametrize(
    ("places_s", "kept", "heard_s"),
    [
        pytest.param((0.2, 0.8, 1.4, 2.0, 2.6), 5, None, id="said five times"),
        pytest.param((0.2, 0.8, 4.0, 4.0, 4.0), 2, 0.8, id="said twice, then a loop"),
    ],
)
def test_what_is_said_again_and_again_is_a_loop_only_where_the_decoder_stays_at_one_place(
    places_s: tuple[float, ...], kept: int, heard_s: float | None
) -> None:
    transcript = Transcript([3] * 5, [-0.1] * 5, attending(*places_s))
    assert Guard(VOCABULARY, 10.0, 0)(transcript) is (kept < 5)
    assert (len(transcript.tokens), transcript.heard_s) == (kept, heard_s)


def test_more_than_anyone_can_say_is_stopped() -> None:
    whisper, _ = recognizer(lambda said, _: zlib.crc32(bytes(said)) % 26)
    short = SOUND[:1600]
    found = whisper.recognize(short, ENGLISH)
    assert found.stopped_by is StopReason.GUARD
    assert 10 < len(found.tokens) < 30


def test_the_limit_is_told_from_the_end() -> None:
    whisper, _ = recognizer(chance(12))
    found = whisper.recognize(SOUND, replace(ENGLISH, most_tokens=5))
    assert (len(found.tokens), found.stopped_by) == (5, StopReason.LIMIT)
    with_draft = whisper.recognize(SOUND, replace(ENGLISH, most_tokens=5), draft=[*found.tokens, 1, 2, 3])
    assert with_draft.tokens == found.tokens
    exact = whisper.recognize(SOUND, replace(ENGLISH, most_tokens=12))
    assert (len(exact.tokens), exact.stopped_by) == (12, StopReason.LIMIT)


@pytest.mark.parametrize(
    ("options", "samples", "frames"),
    [
        (RecognitionOptions(), 16_000, 1000),
        (RecognitionOptions(), 16_000 * 9, 1100),
        (RecognitionOptions(), 16_000 * 9 + 1, 1100),
        (RecognitionOptions(), 16_000 * 9 + 1600, 1150),
        (RecognitionOptions(), 16_000 * 29, 3000),
        (RecognitionOptions(), 16_000 * 30, 3000),
        (RecognitionOptions(full_context=True), 0, 3000),
        (RecognitionOptions(least_context_s=0, margin_s=0), 0, 50),
        (RecognitionOptions(least_context_s=0, margin_s=1), 16_000 * 2, 300),
    ],
)
def test_the_encoder_hears_as_much_as_the_options_say(
    options: RecognitionOptions, samples: int, frames: int
) -> None:
    whisper, network = recognizer(chance(2))
    whisper.recognize(np.zeros(samples, np.float32), options)
    assert network.contexts == [frames]


def test_words_have_times_in_order_within_the_sound() -> None:
    whisper, _ = recognizer(chance(8))
    found = whisper.recognize(SOUND, replace(ENGLISH, words=True))
    assert "".join(word.text for word in found.words).strip() == found.text
    assert tuple(token for word in found.words for token in word.tokens) == found.tokens
    edges = [edge for word in found.words for edge in (word.start_s, word.end_s)]
    assert edges == sorted(edges)
    assert edges[0] >= 0
    assert edges[-1] <= 4.0
    assert not found.times_are_guessed
    assert whisper.recognize(SOUND, ENGLISH).words == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"samples": np.zeros(16_000 * 31, np.float32)}, "at most 480000"),
        ({"samples": np.zeros(100, np.int16)}, "float32"),
        ({"samples": np.zeros((2, 100), np.float32)}, r"\(n,\)"),
        ({"samples": np.full(100, np.nan, np.float32)}, "NaN"),
        ({"options": RecognitionOptions(language="klingon")}, "klingon"),
        ({"prefix": [END]}, "prefix"),
        ({"draft": [-1]}, "draft"),
        ({"prefix": [1] * 40}, "at most 32"),
    ],
)
def test_what_cannot_be_recognized_is_refused(change: dict[str, object], says: str) -> None:
    whisper, network = recognizer(chance(2))
    arguments = {"samples": SOUND, **change}
    with pytest.raises(OptionInvalid, match=says):
        whisper.recognize(**arguments)  # type: ignore[arg-type]
    assert network.contexts == []


def test_options_out_of_range_are_refused() -> None:
    for option in ("least_context_s", "margin_s"):
        with pytest.raises(OptionInvalid, match=option):
            RecognitionOptions(**{option: 31.0})
    with pytest.raises(OptionInvalid, match="most_tokens"):
        RecognitionOptions(most_tokens=0)


def test_a_closed_recognizer_says_so() -> None:
    whisper, network = recognizer(chance(2))
    with whisper:
        whisper.recognize(SOUND)
    whisper.close()
    assert network.closed == 1
    with pytest.raises(EngineClosed):
        whisper.recognize(SOUND)
    with pytest.raises(EngineClosed):
        whisper.detect_language(SOUND)
