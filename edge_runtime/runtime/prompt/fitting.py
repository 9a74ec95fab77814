"""Prompts that fit the context: messages in, tokens out.

The only place that says how much room an answer needs and which turns make way for it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ...errors import ContextFull
from ...values.records import ContextPolicy, GenerationOptions
from .length_bound import NO_BOUND, LengthBound
from .messages import check_messages
from .template import ChatTemplate, plain_text

_LEAST_ANSWER_TOKENS = 16

Messages = Sequence[Mapping[str, Any]]


class Tokenize(Protocol):
    def __call__(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]: ...


@dataclass(frozen=True)
class Prompt:
    """What the model will read."""

    tokens: tuple[int, ...]
    room_tokens: int  # of the context, left for the answer; 0 or less: it does not fit
    text: str | None = None  # what the chat template wrote; None: its control tokens were not read as such
    dropped_turns: int = 0  # old turns left out to make it fit


def prompt_room_tokens(context_tokens: int, max_tokens: int | None) -> int:
    """How many tokens a prompt may have.

    The answer gets max_tokens, by default a quarter of the context and at least 16; never
    more than half of the context.
    """
    answer = max_tokens or max(context_tokens // 4, _LEAST_ANSWER_TOKENS)
    return context_tokens - max(min(answer, context_tokens // 2), 1)


class PromptFitter:
    """Makes the prompts of one model. Safe to use from several threads."""

    def __init__(
        self,
        template: ChatTemplate | None,
        tokenize: Tokenize,
        *,
        bos_text: str,
        context_tokens: int,
        bound: LengthBound = NO_BOUND,
    ) -> None:
        """template: None for a base model, which continues the text of the messages.

        bos_text: the model's begin-of-text token, "" where it has none.
        """
        self.template, self.context_tokens = template, context_tokens
        self._tokenize, self._bos_text, self._bound = tokenize, bos_text, bound

    def render(self, messages: Messages) -> str:
        """Raises OptionInvalid for what is no list of messages, and ChatTemplateFailed."""
        check_messages(messages)
        return plain_text(messages) if self.template is None else self.template.render(messages)

    def whole(self, messages: Messages) -> Prompt:
        """All of the messages, rendered and tokenized once, whether they fit or not."""
        text = self.render(messages)
        if self.template is None:
            return self.raw(text)
        # Most templates write the begin-of-text token themselves; a second one would do harm.
        needs_bos = not (self._bos_text and text.startswith(self._bos_text))
        return self.of_tokens(self._tokenize(text, add_special=needs_bos, parse_special=True), text)

    def raw(self, text: str) -> Prompt:
        """Text as it stands: control tokens written in it are text, not control."""
        return self.of_tokens(self._tokenize(text, add_special=True, parse_special=False))

    def raw_that_fits(self, text: str) -> Prompt:
        """As raw(). Raises ContextFull, before it is tokenized, for a text that is certainly too long."""
        if least := self._bound.least_tokens(text, self.context_tokens):
            raise self._too_long(f"the prompt has at least {least} tokens", least, self.context_tokens)
        return self.raw(text)

    def of_tokens(self, tokens: Sequence[int], text: str | None = None) -> Prompt:
        return Prompt(tuple(tokens), self.context_tokens - len(tokens), text)

    def fitted(self, messages: Messages, options: GenerationOptions) -> Prompt:
        """As much of the messages as options.context_policy lets in.

        One rendering where everything fits, one for each halving of the search where old
        turns have to go. Raises ContextFull when the last turn alone is too long.
        """
        check_messages(messages)
        stops = options.context_policy is ContextPolicy.STOP
        room_tokens = prompt_room_tokens(self.context_tokens, options.max_tokens)
        dropped = self._certainly_dropped(messages, self.context_tokens if stops else room_tokens, stops)
        if dropped:
            head, rest = _split_system(messages)
            messages = [*head, *rest[_turn_starts(rest)[dropped] :]]
        whole = replace(self.whole(messages), dropped_turns=dropped)
        if stops or len(whole.tokens) <= room_tokens:
            return whole
        prompt = self._drop_oldest(messages, whole, room_tokens)
        return replace(prompt, dropped_turns=prompt.dropped_turns + dropped)

    def _certainly_dropped(self, messages: Messages, room_tokens: int, stops: bool) -> int:
        """How many turns have to go before anything is rendered: their text alone is too long.

        Raises ContextFull where none may go, or the last one is too long.
        """
        least = self._least_tokens(messages, room_tokens)
        if not least:
            return 0
        head, rest = _split_system(messages)
        starts = [] if stops else _turn_starts(rest)[1:]
        for turns, start in enumerate(starts, start=1):
            least = self._least_tokens([*head, *rest[start:]], room_tokens)
            if not least:
                return turns
        what = "the prompt has" if stops else "the last message alone makes a prompt of"
        raise self._too_long(f"{what} at least {least} tokens", least, room_tokens)

    def _least_tokens(self, messages: Messages, room_tokens: int) -> int:
        return self._bound.least_tokens("".join(message["content"] for message in messages), room_tokens)

    def _drop_oldest(self, messages: Messages, whole: Prompt, room_tokens: int) -> Prompt:
        """Turns go in steps of half the room: the engine evaluates everything behind a change
        again, and so the next turns, which are fitted anew, find the same beginning. Only
        where no turn can be spared is less dropped than such a step.

        The system message at the beginning and everything from the last user message
        on stay. A user message is dropped with all the answers to it, so that roles
        still alternate.
        """
        head, rest = _split_system(messages)
        starts = _turn_starts(rest)
        tried = {0: whole}

        def drop(turns: int) -> Prompt:
            if turns not in tried:
                tried[turns] = self.whole([*head, *rest[starts[turns] :]])
            return tried[turns]

        step_tokens = max(room_tokens // 2, 1)
        excess_tokens = len(whole.tokens) - room_tokens
        goal_tokens = len(whole.tokens) - -(-excess_tokens // step_tokens) * step_tokens
        dropped = bisect_left(
            range(len(starts) - 1), True, key=lambda turns: len(drop(turns).tokens) <= goal_tokens
        )
        prompt = drop(dropped)
        if len(prompt.tokens) > room_tokens:
            count = len(prompt.tokens)
            raise self._too_long(
                f"the last message alone makes a prompt of {count} tokens", count, room_tokens
            )
        return replace(prompt, dropped_turns=dropped)

    def _too_long(self, finding: str, prompt_tokens: int, room_tokens: int) -> ContextFull:
        answer_tokens = self.context_tokens - room_tokens
        kept = f", {answer_tokens} of them for the answer" if answer_tokens else ""
        return ContextFull(
            f"{finding}, which is too long: there is room for {room_tokens}; "
            f"the context holds {self.context_tokens}{kept}",
            hint="shorten it, ask for a shorter answer with max_tokens=, or open the model with a larger "
            "context_tokens=",
            prompt_tokens=prompt_tokens,
            context_tokens=self.context_tokens,
        )


def _split_system(messages: Messages) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    count = 1 if messages[0].get("role") == "system" else 0
    return list(messages[:count]), list(messages[count:])


def _turn_starts(messages: Messages) -> list[int]:
    """Where a turn begins, and so what is kept may begin."""
    users = [index for index, message in enumerate(messages) if index and message.get("role") == "user"]
    return [0, *users]
