"""Checks of the messages that a caller hands over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import OptionInvalid

_EXAMPLE = 'for example [{"role": "user", "content": "Hello"}]'


def check_messages(messages: object) -> Sequence[Mapping[str, Any]]:
    """The messages as they are. Raises OptionInvalid for anything but a list of messages."""
    if isinstance(messages, (str, bytes, Mapping)) or not isinstance(messages, Sequence):
        raise OptionInvalid(
            f"messages: a list of messages is needed, this is of type {type(messages).__name__}",
            hint=_EXAMPLE,
            option="messages",
        )
    if not messages:
        raise OptionInvalid(
            "messages: there are none", hint="give at least one user message", option="messages"
        )
    for index, message in enumerate(messages):
        _check_message(index, message)
    return messages


def _check_message(index: int, message: object) -> None:
    if isinstance(message, Mapping):
        parts = (message.get("role"), message.get("content"))
        if all(isinstance(part, str) for part in parts):
            return
    raise OptionInvalid(
        f"messages[{index}]: needs a 'role' and a 'content', both text", hint=_EXAMPLE, option="messages"
    )
