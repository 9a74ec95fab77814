"""Chat templates: messages to prompt text, through the template that the model file carries."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import jinja2

from ...errors import ChatTemplateFailed
from .sandbox import MOST_CHARACTERS, TemplateEnvironment, TookTooLong, deadline

_MOST_TEMPLATE_CHARACTERS = 200_000
_TIME_LIMIT_S = 5.0


class _TemplateSays(Exception):
    """The template's own raise_exception(...)."""


class ChatTemplate:
    """A compiled template. Rendering is safe from several threads."""

    def __init__(self, source: str, *, bos_text: str = "", eos_text: str = "") -> None:
        """Raises ChatTemplateFailed when the template does not compile."""
        if len(source) > _MOST_TEMPLATE_CHARACTERS:
            raise ChatTemplateFailed(
                f"the chat template has {len(source)} characters, the limit is {_MOST_TEMPLATE_CHARACTERS}",
                hint="generate(raw=True) continues a text without it",
            )
        environment = TemplateEnvironment()
        environment.filters["tojson"] = _to_json
        environment.globals.update(
            raise_exception=_raise_exception,
            strftime_now=lambda layout: datetime.now().strftime(layout),
            bos_token=bos_text,
            eos_token=eos_text,
        )
        try:
            self._template = environment.from_string(source)
        except (jinja2.TemplateError, RecursionError, ValueError) as error:
            raise ChatTemplateFailed(
                f"the model's chat template does not compile: {error}",
                hint="the file may be damaged or newer than this program; generate(raw=True) needs none",
            ) from error

    def render(self, messages: Sequence[Mapping[str, Any]], *, add_generation_prompt: bool = True) -> str:
        """The prompt text for these messages.

        Raises ChatTemplateFailed when the template refuses them ("roles must
        alternate", say), fails, writes more than 4 million characters or takes
        more than 5 s.
        """
        values = {
            "messages": [dict(message) for message in messages],
            "add_generation_prompt": add_generation_prompt,
        }
        try:
            with deadline(_TIME_LIMIT_S):
                return _join_bounded(self._template.generate(values))
        except _TemplateSays as error:
            raise ChatTemplateFailed(
                f"the model's chat template refuses these messages: {error}",
                hint="many templates want user and assistant to alternate, starting with user",
            ) from error
        except TookTooLong as error:
            raise ChatTemplateFailed(
                f"the model's chat template ran for more than {_TIME_LIMIT_S:g} s",
                hint="do not trust this file",
            ) from error
        except Exception as error:  # whatever a stranger's program can raise
            raise ChatTemplateFailed(
                f"the model's chat template failed: {type(error).__name__}: {error}",
                hint="generate(raw=True) continues a text without the template",
            ) from error


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
    return json.dumps(value, ensure_ascii=False, indent=None if indent is None else min(int(indent), 8))


def _raise_exception(message: str) -> None:
    raise _TemplateSays(message)


def plain_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """For a base model, which has no template: what was said so far, to be continued."""
    return "\n".join(str(message.get("content", "")) for message in messages)
