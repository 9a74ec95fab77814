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
        self, template: ChatTemplate | None, tokenize: Tokenize, *, bos_text: str, context_tokens: int
    ) -> None:
        """template: None for a base model, which continues the text of the messages.

        bos_text: the model's begin-of-text token, "" where it has none.
        """
        self.template, self.context_tokens = template, context_tokens
        self._tokenize, self._bos_text = tokenize, bos_text

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

    def of_tokens(self, tokens: Sequence[int], text: str | None = None) -> Prompt:
        return Prompt(tuple(tokens), self.context_tokens - len(tokens), text)

    def fitted(self, messages: Messages, options: GenerationOptions) -> Prompt:
        """As much of the messages as options.context_policy lets in.

        One rendering where everything fits, one for each halving of the search where old
        turns have to go. Raises ContextFull when the last turn alone is too long.
        """
        whole = self.whole(messages)
        room_tokens = prompt_room_tokens(self.context_tokens, options.max_tokens)
        if options.context_policy is ContextPolicy.STOP or len(whole.tokens) <= room_tokens:
            return whole
        return self._drop_oldest(messages, whole, room_tokens)

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
            raise self._too_long(len(prompt.tokens), room_tokens)
        return replace(prompt, dropped_turns=dropped)

    def _too_long(self, prompt_tokens: int, room_tokens: int) -> ContextFull:
        answer_tokens = self.context_tokens - room_tokens
        return ContextFull(
            f"the last message alone makes a prompt of {prompt_tokens} tokens, there is room for "
            f"{room_tokens}: the context holds {self.context_tokens}, {answer_tokens} of them for the answer",
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
