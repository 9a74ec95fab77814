"""Conversations for tests: texts of a history, and an answer that waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from edge_runtime.assistant.conversation import Conversation
from edge_runtime.assistant.history import History


def said(conversation: Conversation) -> list[tuple[str, str]]:
    return [(exchange.question, exchange.answer) for exchange in conversation.exchanges]


def kept(history: History, conversation_id: int | None) -> list[tuple[str, str]]:
    assert conversation_id is not None
    return [(e.question, e.answer) for _, e in history.load(conversation_id).exchanges]


class Gate:
    """An answer that waits in its middle, so that a test can cancel it there."""

    def __init__(self, before: str, after: str) -> None:
        self._before, self._after = before, after
        self.released = threading.Event()

    def __iter__(self) -> Iterator[str]:
        yield self._before
        assert self.released.wait(10)
        yield self._after
