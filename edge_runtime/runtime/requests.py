"""Requests for the engine, made of what callers of chat() and generate() give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import OptionInvalid
from ..values.records import GenerationOptions, generation_options
from .engine import GenerationRequest
from .engine.request import Event
from .prompt.fitting import Messages, Prompt, PromptFitter
from .prompt.tokens import check_token_ids

Emit = Callable[[Event], None]


class RequestMaker:
    """Safe to use from several threads."""

    def __init__(self, prompts: PromptFitter, defaults: Mapping[str, Any], vocabulary_size: int) -> None:
        """defaults: the model's own values of SamplingOptions."""
        self._prompts, self._defaults, self._vocabulary_size = prompts, defaults, vocabulary_size

    def chat(self, messages: Messages, emit: Emit, options: Mapping[str, Any]) -> GenerationRequest:
        """See Runtime.chat for the errors."""
        generation = generation_options(self._defaults, options)
        return _request(self._prompts.fitted(messages, generation), generation, emit)

    def generate(
        self,
        prompt: str | Sequence[int],
        emit: Emit,
        options: Mapping[str, Any],
        *,
        system: str | None,
        raw: bool,
    ) -> GenerationRequest:
        """See Runtime.generate for the errors."""
        generation = generation_options(self._defaults, options)
        if raw or self._prompts.template is None or not isinstance(prompt, str):
            _refuse_system(system)
            return _request(self._raw(prompt), generation, emit)
        messages = [] if system is None else [{"role": "system", "content": system}]
        messages.append({"role": "user", "content": prompt})
        return _request(self._prompts.fitted(messages, generation), generation, emit)

    def _raw(self, prompt: str | Sequence[int]) -> Prompt:
        if isinstance(prompt, str):
            return self._prompts.raw_that_fits(prompt)
        return self._prompts.of_tokens(check_token_ids(prompt, self._vocabulary_size, "prompt"))


def _refuse_system(system: str | None) -> None:
    if system is not None:
        raise OptionInvalid(
            "system: there is no place for it without a chat template",
            hint="write it into the prompt",
            option="system",
        )


def _request(prompt: Prompt, generation: GenerationOptions, emit: Emit) -> GenerationRequest:
    return GenerationRequest(
        prompt.tokens,
        generation,
        emit,
        text=prompt.text,
        grammar=grammar_of(generation),
        dropped_turns=prompt.dropped_turns,
    )


def grammar_of(options: GenerationOptions) -> str | None:
    """grammar_of_options(), whose 20 modules are imported only where an answer is constrained.

    Raises OptionInvalid for a schema or grammar that cannot be kept.
    """
    if options.json_schema is None and options.grammar is None:
        return None
    from .grammar.constraint import grammar_of_options

    return grammar_of_options(options)
