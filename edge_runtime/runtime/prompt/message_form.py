"""The form in which a chat template takes messages, found out by rendering probes.

Templates differ in two ways that their files do not state. Some read the content of a message as
a list of parts ({"type": "text", "text": ...}), and leave out a plain text without a word (SmolVLM).
Some refuse or pass over a system message (Gemma 2, the first Mistral): its makers put that text
into the first user message instead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...errors import ChatTemplateFailed

Messages = Sequence[Mapping[str, Any]]
Render = Callable[[list[dict[str, Any]]], str]

# Texts that no template changes and none writes itself.
_SYSTEM, _FIRST, _ANSWER, _LAST = (
    "2718281828459045",
    "3141592653589793",
    "1414213562373095",
    "1618033988749894",
)
_ROLES = ("system", "user", "assistant")


@dataclass(frozen=True)
class MessageForm:
    part_roles: frozenset[str] = frozenset()  # roles whose content goes as a list of parts
    has_system: bool = True  # False: a system message goes into the first user message
    loses_text: bool = False  # no form brings a user's text into the prompt

    def of(self, messages: Messages) -> list[dict[str, Any]]:
        """The messages as the template takes them."""
        listed = [dict(message) for message in messages]
        if not self.has_system:
            listed = _without_system(listed)
        for message in listed:
            if message["role"] in self.part_roles and isinstance(message["content"], str):
                message["content"] = [{"type": "text", "text": message["content"]}]
        return listed


def find_form(render: Render) -> MessageForm:
    """render: what the template makes of messages; raises ChatTemplateFailed where it refuses them."""
    forms = [MessageForm(frozenset(roles)) for roles in ((), _ROLES, ("user",), ("user", "assistant"))]
    form = max(forms, key=lambda form: _texts_shown(render, form))  # the first of equals
    user_only = [_message("user", _LAST)]
    shown = [_shows(render, form, user_only, _LAST) for form in forms]
    loses = False in shown and True not in shown
    shows_system = _shows(render, form, [_message("system", _SYSTEM), *user_only], _SYSTEM)
    return replace(form, has_system=shows_system is True or loses, loses_text=loses)


def _texts_shown(render: Render, form: MessageForm) -> int:
    talk = [_message("user", _FIRST), _message("assistant", _ANSWER), _message("user", _LAST)]
    shown = sum(_shows(render, form, talk, text) is True for text in (_FIRST, _ANSWER, _LAST))
    return shown + (_shows(render, form, talk[-1:], _LAST) is True)


def _shows(render: Render, form: MessageForm, messages: Messages, text: str) -> bool | None:
    """Whether the text is in the prompt; None: the template refuses the messages."""
    try:
        return text in render(form.of(messages))
    except ChatTemplateFailed:
        return None


def _message(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def _without_system(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As Gemma's makers do it: the system prompt, an empty line, the user's text."""
    if messages[0]["role"] != "system":
        return messages
    system, *rest = messages
    if rest and rest[0]["role"] == "user":
        return [{**rest[0], "content": f"{system['content']}\n\n{rest[0]['content']}"}, *rest[1:]]
    return [{**system, "role": "user"}, *rest]
