"""Conversations in SQLite: a finished turn is on the disk before the next one begins.

<store>/history.sqlite3        conversations, their exchanges, and what is known of saved states
<store>/states/ID.state        what the engine had evaluated: see state_files

Write-ahead log, synchronous=FULL. Every exchange is one transaction, so `kill -9` loses no
finished one, in either setting of `synchronous`: what SQLite has handed to the system outlives
the process. FULL also waits for the disk, so that an unplugged device loses none; it costs one
fsync an exchange (0.3 to 1.1 ms in all on a 2-core Xeon with an SSD), next to seconds of answering.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from ..device.folders import store_folder
from ..errors import EdgeRuntimeError, HistoryUnavailable, OptionInvalid
from ..values.records import FinishReason, Usage

_BUSY_WAIT_S = 5.0
_TITLE_CHARACTERS = 60
_PRIVATE = 0o600

# [n] takes a database from version n to n + 1. Add to the end, never change what is there.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE conversations (
            id INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: a state file is named after it
            model TEXT NOT NULL,                   -- catalog name or path, as Runtime.open takes it
            system_prompt TEXT NOT NULL,
            title TEXT NOT NULL,
            created_at TEXT NOT NULL,              -- ISO 8601, UTC
            updated_at TEXT NOT NULL
        )""",
        """CREATE TABLE turns (
            conversation_id INTEGER NOT NULL REFERENCES conversations(id) ON DELETE CASCADE,
            exchange INTEGER NOT NULL,             -- the user's turn and its answer share it
            role TEXT NOT NULL CHECK (role IN ('user', 'assistant')),
            content TEXT NOT NULL,
            created_at TEXT NOT NULL,
            finish_reason TEXT,                    -- of answers, as are the counts
            prompt_tokens INTEGER,
            cached_tokens INTEGER,
            completion_tokens INTEGER,
            PRIMARY KEY (conversation_id, exchange, role)
        ) WITHOUT ROWID""",
        """CREATE TABLE states (
            conversation_id INTEGER PRIMARY KEY REFERENCES conversations(id) ON DELETE CASCADE,
            first_exchange INTEGER NOT NULL,       -- how many of the oldest it leaves out
            size_bytes INTEGER NOT NULL,
            saved_at TEXT NOT NULL
        )""",
    ),
)


@dataclass(frozen=True)
class Exchange:
    """What the user said and what the model answered: kept, replaced and removed together."""

    question: str
    answer: str  # of a cancelled one, what was shown
    finish_reason: FinishReason
    usage: Usage


@dataclass(frozen=True)
class ConversationSummary:
    id: int
    model: str
    title: str
    created_at: str  # ISO 8601, UTC
    updated_at: str
    exchanges: int


@dataclass(frozen=True)
class SavedConversation:
    id: int
    model: str
    system_prompt: str
    exchanges: tuple[tuple[int, Exchange], ...]  # (number, exchange), oldest first


@dataclass(frozen=True)
class StateRecord:
    conversation_id: int
    first_exchange: int  # how many of the conversation's oldest the state leaves out
    size_bytes: int


def history_path() -> Path:
    return store_folder() / "history.sqlite3"


class History:
    """Conversations on disk. Belongs to the thread that opened it; several processes may have it open.

        with History() as history:
            for summary in history.conversations():  # the one used last comes first
                print(summary.id, summary.title, summary.exchanges)
            saved = history.load(summary.id)  # what was said; Conversation.resume goes on with it
            history.delete(summary.id)  # the text and the saved state are overwritten or removed

    A Conversation that is given a history writes each exchange by itself.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Opens the file, private to the user, and makes or migrates its tables.

        path: of the SQLite file; default the user's own, which `edge-runtime chat` uses, too.

        Raises HistoryUnavailable: not a database, not ours to write, or written by
        a newer version of this program.
        """
        self.path = path or history_path()
        with self._translating():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Created by us with its mode: SQLite gives the same to the files it puts beside it.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, _PRIVATE))
            self._database = sqlite3.connect(self.path, timeout=_BUSY_WAIT_S, isolation_level=None)
        try:
            with self._translating():
                self._set_up()
        except BaseException:
            self._database.close()
            raise

    def _set_up(self) -> None:
        self._write_ahead()
        self._database.execute("PRAGMA synchronous = FULL")
        self._database.execute("PRAGMA foreign_keys = ON")
        self._database.execute("PRAGMA secure_delete = ON")  # what a user deletes is overwritten
        if self._version() != len(_MIGRATIONS):
            with self._transaction():
                self._migrate()

    def _write_ahead(self) -> None:
        """Changing the mode, once in a file's life, does not wait for other processes by itself."""
        give_up_s = time.monotonic() + _BUSY_WAIT_S
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > give_up_s:
                    raise
                time.sleep(0.02)

    def _version(self) -> int:
        return int(self._database.execute("PRAGMA user_version").fetchone()[0])

    def _migrate(self) -> None:
        """Inside a transaction: another process may have done it in the meantime."""
        found = self._version()
        if found > len(_MIGRATIONS):
            raise HistoryUnavailable(
                f"{self.path} was written by a newer edge-runtime "
                f"(format {found}, this one knows {len(_MIGRATIONS)})",
                hint="update edge-runtime, or keep no conversation: history=None",
                path=str(self.path),
            )
        for statements in _MIGRATIONS[found:]:
            for statement in statements:
                self._database.execute(statement)
        self._database.execute(f"PRAGMA user_version = {len(_MIGRATIONS)}")

    # --- conversations -----------------------------------------------------------------

    def start(self, model: str, system_prompt: str, exchange: Exchange) -> tuple[int, int]:
        """A new conversation with its first exchange; -> (conversation id, exchange number)."""
        now = _now()
        with self._translating(), self._transaction():
            cursor = self._database.execute(
                "INSERT INTO conversations (model, system_prompt, title, created_at, updated_at)"
                " VALUES (?, ?, ?, ?, ?)",
                (model, system_prompt, make_title(exchange.question), now, now),
            )
            conversation_id = int(cursor.lastrowid or 0)
            return conversation_id, self._put(conversation_id, exchange, None)

    def put(self, conversation_id: int, exchange: Exchange, number: int | None = None) -> int:
        """Append an exchange, or put it in the place of `number`; -> its number. One transaction."""
        with self._translating(), self._transaction():
            return self._put(conversation_id, exchange, number)

    def _put(self, conversation_id: int, exchange: Exchange, number: int | None) -> int:
        now, of_it = _now(), (conversation_id,)
        if number is None:
            query = "SELECT coalesce(max(exchange), 0) + 1 FROM turns WHERE conversation_id = ?"
            number = int(self._database.execute(query, of_it).fetchone()[0])
        usage = exchange.usage
        counts = (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens)
        reason = exchange.finish_reason.value
        rows = (
            (conversation_id, number, "user", exchange.question, now, None, None, None, None),
            (conversation_id, number, "assistant", exchange.answer, now, reason, *counts),
        )
        self._database.executemany("REPLACE INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
        self._database.execute("UPDATE conversations SET updated_at = ? WHERE id = ?", (now, conversation_id))
        return number

    def remove_exchange(self, conversation_id: int, number: int) -> None:
        self._write("DELETE FROM turns WHERE conversation_id = ? AND exchange = ?", conversation_id, number)

    def set_system_prompt(self, conversation_id: int, text: str) -> None:
        self._write("UPDATE conversations SET system_prompt = ? WHERE id = ?", text, conversation_id)

    def conversations(self, limit: int = 1000) -> tuple[ConversationSummary, ...]:
        """The one used last comes first. One whose every exchange was undone is left out."""
        rows = self._read(
            "SELECT id, model, title, c.created_at, updated_at, count(DISTINCT exchange)"
            " FROM conversations AS c JOIN turns ON conversation_id = id"
            " GROUP BY id ORDER BY updated_at DESC, id DESC LIMIT ?",
            limit,
        )
        return tuple(ConversationSummary(*row) for row in rows)

    def latest(self) -> int | None:
        """The id of the conversation used last."""
        found = self.conversations(limit=1)
        return found[0].id if found else None

    def load(self, conversation_id: int) -> SavedConversation:
        """Raises OptionInvalid when there is no such conversation."""
        head = self._read("SELECT model, system_prompt FROM conversations WHERE id = ?", conversation_id)
        if not head:
            raise _unknown(conversation_id)
        rows = self._read(
            "SELECT question.exchange, question.content, answer.content, answer.finish_reason,"
            " answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens"
            " FROM turns AS question JOIN turns AS answer USING (conversation_id, exchange)"
            " WHERE conversation_id = ? AND question.role = 'user' AND answer.role = 'assistant'"
            " ORDER BY exchange",
            conversation_id,
        )
        with self._translating():
            exchanges = tuple((row[0], _exchange_of(*row[1:])) for row in rows)
        model, system_prompt = head[0]
        return SavedConversation(conversation_id, model, system_prompt, exchanges)

    def delete(self, conversation_id: int) -> None:
        """Remove a conversation and its saved state. Raises OptionInvalid when there is none."""
        if self._write("DELETE FROM conversations WHERE id = ?", conversation_id) == 0:
            raise _unknown(conversation_id)
        with contextlib.suppress(OSError):  # one that stays is cleared away with the next that is saved
            self.state_path(conversation_id).unlink(missing_ok=True)
        self._read("PRAGMA wal_checkpoint(TRUNCATE)")  # the log still held what was deleted

    # --- saved states ------------------------------------------------------------------

    @property
    def state_folder(self) -> Path:
        return self.path.parent / "states"

    def state_path(self, conversation_id: int) -> Path:
        """Where the engine's state of a conversation is kept, when there is one."""
        return self.state_folder / f"{conversation_id}.state"

    def remember_state(self, record: StateRecord) -> None:
        values = (record.conversation_id, record.first_exchange, record.size_bytes, _now())
        self._write("REPLACE INTO states VALUES (?, ?, ?, ?)", *values)

    def states(self) -> tuple[StateRecord, ...]:
        """The newest first."""
        rows = self._read(
            "SELECT conversation_id, first_exchange, size_bytes FROM states"
            " ORDER BY saved_at DESC, conversation_id DESC"
        )
        return tuple(StateRecord(*row) for row in rows)

    def forget_state(self, conversation_id: int) -> None:
        self._write("DELETE FROM states WHERE conversation_id = ?", conversation_id)

    # --- the border with SQLite ----------------------------------------------------------

    def _read(self, query: str, *values: object) -> list[Any]:
        with self._translating():
            return self._database.execute(query, values).fetchall()

    def _write(self, statement: str, *values: object) -> int:
        """Rows changed. A single statement is its own transaction."""
        with self._translating():
            return self._database.execute(statement, values).rowcount

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except EdgeRuntimeError:
            raise
        except (sqlite3.Error, OSError, ValueError) as error:  # ValueError: a row that we did not write
            raise HistoryUnavailable(
                f"the history {self.path} cannot be used: {getattr(error, 'strerror', None) or error}",
                hint=_hint_for(error),
                path=str(self.path),
            ) from error

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def make_title(question: str) -> str:
    """The first line that says something, shortened."""
    line = next((line for line in question.splitlines() if line.strip()), "")
    words = " ".join(line.split())
    return words if len(words) <= _TITLE_CHARACTERS else words[: _TITLE_CHARACTERS - 1].rstrip() + "…"


def _exchange_of(
    question: str, answer: str, reason: str, prompt: int, cached: int, completion: int
) -> Exchange:
    return Exchange(question, answer, FinishReason(reason), Usage(prompt, cached, completion))


def _unknown(conversation_id: int) -> OptionInvalid:
    return OptionInvalid(
        f"there is no conversation {conversation_id}",
        hint="`edge-runtime chat --list` shows all",
        option="conversation",
        value=str(conversation_id),
    )


def _hint_for(error: Exception) -> str:
    if "locked" in str(error):
        return "another program is writing to it; try again, or keep no conversation: history=None"
    if isinstance(error, sqlite3.OperationalError | OSError):
        return "check the rights and the free space of its folder, or keep no conversation: history=None"
    return "it may be damaged: move it away to start an empty one, or keep no conversation: history=None"


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")
