"""The list of conversations whose engine state is on disk, so that resuming them costs no prefill.

A state is a cache: it can always be made again by evaluating the conversation. So their
number and size are bounded, the oldest go first, and a failure costs nothing but time.
What is in a file, and whether it is whole and of this very model: see sealed_state.

Measured with SmolLM2-135M (2-core Xeon, shared with other work, SSD), a conversation of
2,231 tokens: 51 MB (23 KB a token), saved in 0.15 s, restored in 0.08 s; evaluating it
took 39 s.
"""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import HistoryUnavailable, OptionInvalid
from ..values.records import Message
from .history import History, StateRecord

if TYPE_CHECKING:
    from ..runtime.runtime import Runtime

MOST_STATES = 8
MOST_STATE_BYTES = 512 << 20  # all of them together
_LEAST_FREE_BYTES = 1 << 30  # a disk with less has better uses for it
_PARTIAL_LIFETIME_S = 3600.0


def save_state(
    history: History, conversation_id: int, runtime: Runtime, messages: Sequence[Message], first_exchange: int
) -> bool:
    """Write what the engine knows of `messages`; older states make room.

    first_exchange: how many of the conversation's oldest exchanges `messages` leaves
    out. False, with nothing kept, when it would be too large or the disk too full.
    Raises HistoryUnavailable when the folder or the history cannot be written.
    """
    path = history.state_path(conversation_id)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < _LEAST_FREE_BYTES:
            return False
        size_bytes = runtime.save_state(messages, path)
        if not 0 < size_bytes <= MOST_STATE_BYTES:
            delete_state(history, conversation_id)
            return False
        history.remember_state(StateRecord(conversation_id, first_exchange, size_bytes))
        _make_room(history)
    except (OSError, OptionInvalid) as error:
        reason = getattr(error, "strerror", None) or error
        raise HistoryUnavailable(
            f"{path}: the conversation's state could not be written: {reason}",
            hint="check the rights and the free space of its folder",
            path=str(path),
        ) from error
    return True


def restore_state(history: History, conversation_id: int, runtime: Runtime) -> StateRecord | None:
    """Bring a saved state into the engine; None when there is none that fits this model."""
    record = next((known for known in history.states() if known.conversation_id == conversation_id), None)
    if record is None or not runtime.restore_state(history.state_path(conversation_id)):
        return None
    return record


def delete_state(history: History, conversation_id: int) -> None:
    with contextlib.suppress(OSError):
        history.state_path(conversation_id).unlink(missing_ok=True)
    history.forget_state(conversation_id)


def _make_room(history: History) -> None:
    """Delete the oldest states beyond the limits, and files that belong to none."""
    total_bytes = 0
    kept: set[str] = set()
    for count, record in enumerate(history.states(), start=1):
        total_bytes += record.size_bytes
        if count > MOST_STATES or total_bytes > MOST_STATE_BYTES:
            delete_state(history, record.conversation_id)
        else:
            kept.add(history.state_path(record.conversation_id).name)
    for path in history.state_folder.iterdir():
        if path.name not in kept and _is_abandoned(path):
            path.unlink(missing_ok=True)


def _is_abandoned(path: Path) -> bool:
    """A partial file may be another process's, at work on it right now."""
    if path.suffix == ".state":
        return True
    return path.suffix == ".partial" and time.time() - path.stat().st_mtime > _PARTIAL_LIFETIME_S
