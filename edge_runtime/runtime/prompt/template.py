"""Chat templates: messages to prompt text, through the template that the model file carries."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import jinja2

from ...errors import ChatTemplateFailed
from .message_form import MessageForm, find_form
from .sandbox import MOST_CHARACTERS, TemplateEnvironment, TookTooLong, deadline, require_small

_MOST_TEMPLATE_CHARACTERS = 200_000
_MOST_LAYOUT_CHARACTERS = 200  # of a date
_TIME_LIMIT_S = 5.0
_PROBES_LIMIT_S = 1.0  # of all that is rendered to find something out


class _TemplateSays(Exception):
    """The template's own raise_exception(...)."""


class ChatTemplate:
    """A compiled template. Rendering is safe from several threads."""

    def __init__(self, source: str, *, bos_text: str = "", eos_text: str = "") -> None:
        """Raises ChatTemplateFailed when the template does not compile.

        Renders some probes, to see how the template takes messages: 1 ms.
        """
        if len(source) > _MOST_TEMPLATE_CHARACTERS:
            raise ChatTemplateFailed(
                f"the chat template has {len(source)} characters, the limit is {_MOST_TEMPLATE_CHARACTERS}",
                hint="generate(raw=True) continues a text without it",
            )
        environment = TemplateEnvironment()
        environment.filters["tojson"] = _to_json
        environment.globals.update(
            raise_exception=_raise_exception,
            strftime_now=lambda layout: datetime.now().strftime(str(layout)[:_MOST_LAYOUT_CHARACTERS]),
            bos_token=bos_text,
            eos_token=eos_text,
        )
        self._template = _compiled(environment, source)
        self._form = self._find_form()

    def _find_form(self) -> MessageForm:
        try:
            with deadline(_PROBES_LIMIT_S):
                return find_form(self._render)
        except TookTooLong:
            return MessageForm()  # render() will say so

    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> str:
        """The prompt text for these messages.

        Raises ChatTemplateFailed when the template refuses them ("roles must
        alternate", say), fails, leaves out what a user writes, writes more than
        4 million characters or takes more than 5 s.
        """
        if self._form.loses_text:
            raise ChatTemplateFailed(
                "the model's chat template leaves out what the user writes, as text and as a list of parts",
                hint="generate(raw=True) continues a text without the template",
            )
        try:
            with deadline(_TIME_LIMIT_S):
                return self._render(self._form.of(messages), add_generation_prompt)
        except TookTooLong as error:
            raise ChatTemplateFailed(
                f"the model's chat template ran for more than {_TIME_LIMIT_S:g} s",
                hint="do not trust this file",
            ) from error
        except ChatTemplateFailed as error:
            index = self._first_refused(messages)
            if index is None:
                raise
            role = messages[index]["role"]
            text = f"{error}; it is messages[{index}] (role {role!r}) that it does not take"
            raise ChatTemplateFailed(text, hint=error.hint, message_index=index) from error.__cause__

    def _first_refused(self, messages: Sequence[Mapping[str, Any]]) -> int | None:
        """Index of the message that a conversation cannot be continued with; None where that is unclear."""
        if len(messages) == 1:
            return None
        with suppress(TookTooLong), deadline(_PROBES_LIMIT_S):
            for count in range(1, len(messages) + 1):
                try:
                    self._render(self._form.of(messages[:count]))
                except ChatTemplateFailed:
                    return count - 1
        return None

    def _render(self, messages: list[dict[str, Any]], add_generation_prompt: bool = True) -> str:
        """Without a time limit: the caller sets a deadline."""
        values = {"messages": messages, "add_generation_prompt": add_generation_prompt}
        try:
            return _join_bounded(self._template.generate(values))
        except _TemplateSays as error:
            raise ChatTemplateFailed(
                f"the model's chat template refuses these messages: {error}",
                hint="many templates want user and assistant to alternate, starting with user",
            ) from error
        except Exception as error:  # whatever a stranger's program can raise
            raise ChatTemplateFailed(
                f"the model's chat template failed{_line_of(error)}: {type(error).__name__}: {error}",
                hint="generate(raw=True) continues a text without the template",
            ) from error


def _compiled(environment: TemplateEnvironment, source: str) -> jinja2.Template:
    """Raises ChatTemplateFailed."""
    try:
        with deadline(_TIME_LIMIT_S):
            return environment.from_string(source)
    # SyntaxError: Python's, of a "break" outside a loop or of blocks nested too deep.
    except (jinja2.TemplateError, RecursionError, ValueError, SyntaxError, MemoryError, TookTooLong) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}: " if line else ""
        text = error.msg if isinstance(error, SyntaxError) else str(error)
        raise ChatTemplateFailed(
            f"the model's chat template does not compile: {where}{text or type(error).__name__}",
            hint="the file may be damaged or newer than this program; generate(raw=True) needs none",
        ) from error


def _line_of(error: BaseException) -> str:
    """ " in line 3", where Jinja has noted the template's line."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename in ("<template>", "<unknown>")
    ]
    return f" in line {lines[-1]}" if lines else ""


def _join_bounded(pieces: Iterable[str]) -> str:
    parts: list[str] = []
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > MOST_CHARACTERS:
            raise ValueError(f"it writes more than {MOST_CHARACTERS} characters")
        parts.append(piece)
    return "".join(parts)


def _to_json(value: Any, indent: int | None = None, **_options: Any) -> str:
    require_small(value)
    return json.dumps(value, ensure_ascii=False, indent=None if indent is None else min(int(indent), 8))


def _raise_exception(message: str) -> None:
    raise _TemplateSays(message)


def plain_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """For a base model, which has no template: what was said so far, to be continued."""
    return "\n".join(str(message.get("content", "")) for message in messages)
