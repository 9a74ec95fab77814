"""The values that travel between layers: what was asked, what came back, what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, NamedTuple, TypedDict

from ..errors import OptionInvalid
from .checks import require_known, require_range, require_text, whole_number, whole_number_or_none


class Message(TypedDict):
    """One turn, in the shape that chat templates and OpenAI clients use."""

    role: str  # "system", "user", "assistant"; other roles reach the template unchanged
    content: str


class FinishReason(str, Enum):
    STOP = "stop"  # the model ended its turn, or a stop string appeared
    LENGTH = "length"  # max_tokens, or the context, is used up
    CANCELLED = "cancelled"


class ContextPolicy(str, Enum):
    """What to do when a conversation no longer fits into the context."""

    DROP_OLDEST = "drop-oldest"  # forget the oldest turns, keep the system prompt
    STOP = "stop"  # raise ContextFull


# Least and most that each of SamplingOptions may be.
_NUMBERS: Mapping[str, tuple[float, float]] = {
    "temperature": (0.0, 100.0),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repeat_penalty": (0.01, 100.0),
    "presence_penalty": (-100.0, 100.0),
    "frequency_penalty": (-100.0, 100.0),
}
_WHOLE_NUMBERS: Mapping[str, tuple[int, int]] = {
    "top_k": (0, 2**31 - 1),
    "penalty_window_tokens": (0, 2**20),
}
_LARGEST_SEED = 2**32 - 2  # 2^32 - 1 means "random" to llama.cpp


@dataclass(frozen=True)
class SamplingOptions:
    """How the next token is drawn. The order is llama.cpp's: penalties, top-k,
    top-p, min-p, temperature, draw.

    A whole number may come as a float, as JSON and spreadsheets give it: top_k=40.0 is 40.
    Raises OptionInvalid for a value outside its range.
    """

    temperature: float = 0.8  # 0: always the likeliest token
    top_k: int = 40  # 0: off
    top_p: float = 0.95  # 1: off
    min_p: float = 0.05  # 0: off
    repeat_penalty: float = 1.0  # 1: off
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_window_tokens: int = 64  # how far back the three penalties look
    seed: int | None = None  # None: a new one for each request

    def __post_init__(self) -> None:
        for name, (low, high) in _NUMBERS.items():
            object.__setattr__(self, name, require_range(name, getattr(self, name), low, high))
        for name, (least, most) in _WHOLE_NUMBERS.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), least, most))
        object.__setattr__(self, "seed", whole_number_or_none("seed", self.seed, 0, _LARGEST_SEED))

    @property
    def greedy(self) -> bool:
        return self.temperature == 0 or self.top_k == 1

    @property
    def penalizes(self) -> bool:
        return self.penalty_window_tokens > 0 and (
            self.repeat_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0
        )


@dataclass(frozen=True)
class GenerationOptions:
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    max_tokens: int | None = None  # None: until the model stops or the context is full
    stop: tuple[str, ...] = ()  # never part of the text that comes back
    top_logprobs: int | None = None  # None: no log-probabilities; 0: the chosen token's only
    grammar: str | None = None  # GBNF
    json_schema: Mapping[str, Any] | None = None
    context_policy: ContextPolicy = ContextPolicy.DROP_OLDEST
    ignore_end: bool = False  # go on past the model's end token: for benchmarks

    def __post_init__(self) -> None:
        hint = "leave it out, and the answer ends where the model ends it, or where the context is full"
        limit = whole_number_or_none("max_tokens", self.max_tokens, 1, 2**31 - 1, hint=hint)
        object.__setattr__(self, "max_tokens", limit)
        count = whole_number_or_none("top_logprobs", self.top_logprobs, 0, 100)
        object.__setattr__(self, "top_logprobs", count)
        for text in self.stop:
            require_text("stop", text)
        if len(self.stop) > 64 or any(not text or len(text) > 1024 for text in self.stop):
            raise OptionInvalid(
                "stop: at most 64 strings of 1 to 1024 characters",
                hint="leave out empty and very long stop strings",
                option="stop",
            )
        if self.grammar is not None:
            require_text("grammar", self.grammar)
        if self.grammar is not None and self.json_schema is not None:
            raise OptionInvalid(
                "grammar and json_schema exclude each other", hint="give one of them", option="grammar"
            )


class TokenText(NamedTuple):
    shown: bytes  # what it adds to an answer; empty for a control token
    spelled: bytes  # the same with control tokens spelled out: b"<|im_end|>"
    is_end: bool  # it ends the model's turn


@dataclass(frozen=True)
class TokenLogprob:
    token_id: int
    text: str
    logprob: float  # natural logarithm, over the whole vocabulary, before sampling
    top: tuple[tuple[int, str, float], ...] = ()  # (token_id, text, logprob), likeliest first


class TextPiece(NamedTuple):
    """A part of the answer, in order. `text` never ends inside a character."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int  # all of the prompt, cached or not
    cached_tokens: int  # of these, taken from an earlier evaluation
    completion_tokens: int


@dataclass(frozen=True)
class Timings:
    time_to_first_token_s: float  # from submission, waiting included
    prefill_tokens_per_s: float  # evaluated (not cached) prompt tokens; 0 when there were none
    decode_tokens_per_s: float  # 0 when fewer than two tokens came
    between_decodes_us: float  # median time from one llama_decode's return to the next call
    reread_bytes_per_token: float = (
        0.0  # what decoding read from storage: rows, streamed weights, evicted pages
    )


@dataclass(frozen=True)
class MemoryUsage:
    """Resident bytes of the whole process; 0 where the system does not tell."""

    budget_bytes: int | None
    anonymous_bytes: int
    file_bytes: int
    peak_bytes: int  # of both together, since the model was opened; sampled
    locked_bytes: int  # of the weights
    ple_resident_bytes: int  # of the tables that are looked up row by row


@dataclass(frozen=True)
class Reply:
    text: str
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    logprobs: tuple[TokenLogprob, ...] = ()
    dropped_turns: int = 0  # old turns left out to make the conversation fit


class GenerationKeywords(TypedDict, total=False):
    """The keyword arguments of Runtime.chat and Runtime.generate; None and absent mean the default."""

    temperature: float | None
    top_k: int | None
    top_p: float | None
    min_p: float | None
    repeat_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    penalty_window_tokens: int | None
    seed: int | None
    max_tokens: int | None
    stop: str | Sequence[str] | None
    top_logprobs: int | None
    grammar: str | None
    json_schema: Mapping[str, Any] | None
    context_policy: ContextPolicy | None
    ignore_end: bool | None


_SAMPLING_FIELDS = frozenset(field.name for field in fields(SamplingOptions))
_GENERATION_FIELDS = frozenset(field.name for field in fields(GenerationOptions)) - {"sampling"}


def generation_options(defaults: Mapping[str, Any], keywords: Mapping[str, Any]) -> GenerationOptions:
    """`keywords` over a model's own sampling `defaults` over ours.

    Raises OptionInvalid for an unknown keyword or a value outside its range.
    """
    given = {name: value for name, value in keywords.items() if value is not None}
    require_known(given, _SAMPLING_FIELDS | _GENERATION_FIELDS)
    known_defaults = {name: value for name, value in defaults.items() if name in _SAMPLING_FIELDS}
    sampling = {name: value for name, value in given.items() if name in _SAMPLING_FIELDS}
    rest = {name: value for name, value in given.items() if name in _GENERATION_FIELDS}
    if "stop" in rest:
        rest["stop"] = _stop_texts(rest["stop"])
    if "context_policy" in rest:
        rest["context_policy"] = _context_policy(rest["context_policy"])
    return GenerationOptions(sampling=SamplingOptions(**{**known_defaults, **sampling}), **rest)


def _stop_texts(given: object) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Sequence):
        return tuple(given)
    raise OptionInvalid(
        f"stop: {given!r} is neither text nor a list of texts", hint='for example stop="\\n"', option="stop"
    )


def _context_policy(given: object) -> ContextPolicy:
    try:
        return ContextPolicy(given)
    except ValueError:
        raise OptionInvalid(
            f"context_policy: {given!r} is not known",
            hint="one of " + ", ".join(policy.value for policy in ContextPolicy),
            option="context_policy",
        ) from None
