from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from support.pseudo_terminal import child_environment

from edge_runtime.assistant import history as history_module
from edge_runtime.assistant.history import Exchange, History, StateRecord, make_title
from edge_runtime.errors import HistoryUnavailable, OptionInvalid
from edge_runtime.values.records import FinishReason, Usage


def exchange(question: str = "Why?", answer: str = "Because.") -> Exchange:
    return Exchange(question, answer, FinishReason.STOP, Usage(10, 4, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "history.sqlite3"


def test_what_was_put_is_there_after_opening_again(path: Path) -> None:
    stopped = Exchange("And\nthen? \U0001f600", "Th", FinishReason.CANCELLED, Usage(20, 14, 1))
    with History(path) as history:
        conversation_id, _ = history.start("smollm2", "Be brief.", exchange())
        history.put(conversation_id, stopped)
    with History(path) as history:
        saved = history.load(conversation_id)
    assert (saved.model, saved.system_prompt) == ("smollm2", "Be brief.")
    assert saved.exchanges == ((1, exchange()), (2, stopped))


WRITER = """
import sys
from pathlib import Path
from edge_runtime.assistant.history import Exchange, History
from edge_runtime.values.records import FinishReason, Usage
history = History(Path(sys.argv[1]))
def turn(n): return Exchange(f"question {n}", f"answer {n} " + "x" * 5000, FinishReason.STOP, Usage(1, 0, 1))
conversation_id, number = history.start("m", "", turn(1))
while True:
    print(number, flush=True)
    number = history.put(conversation_id, turn(number + 1))
"""


@pytest.mark.parametrize("finished_turns", [1, 2, 25])
def test_kill_9_loses_no_finished_turn_and_leaves_no_half_one(path: Path, finished_turns: int) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=child_environment()
    )
    assert writer.stdout is not None
    lines = [writer.stdout.readline() for _ in range(finished_turns)]
    writer.send_signal(signal.SIGKILL)
    lines += writer.stdout.read().splitlines()
    writer.stdout.close()
    assert writer.wait() == -signal.SIGKILL
    with History(path) as history:
        exchanges = history.load(history.latest() or 0).exchanges
    # The one being written when the signal came may be there too, but then whole.
    assert len(exchanges) in (len(lines), len(lines) + 1)
    for number, kept in exchanges:
        assert kept.question == f"question {number}"
        assert kept.answer == f"answer {number} " + "x" * 5000
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM turns").fetchone() == (2 * len(exchanges),)
    database.close()


SELF_KILLER = """
import os, signal, sys
from pathlib import Path
from edge_runtime.assistant.history import Exchange, History
from edge_runtime.values.records import FinishReason, Usage
turn = Exchange("question", "answer", FinishReason.STOP, Usage(1, 0, 1))
history = History(Path(sys.argv[1]))
conversation_id, _ = history.start("m", "", turn)
rows_begun = 0
def watch(statement):
    global rows_begun
    rows_begun += statement.startswith("REPLACE INTO turns")
    if rows_begun == 2:  # the question is in, the answer is about to be
        os.kill(os.getpid(), signal.SIGKILL)
history._database.set_trace_callback(watch)
history.put(conversation_id, turn)
"""


def test_kill_9_between_the_two_rows_of_an_exchange_leaves_neither(path: Path) -> None:
    command = [sys.executable, "-c", SELF_KILLER, str(path)]
    done = subprocess.run(command, env=child_environment(), check=False)
    assert done.returncode == -signal.SIGKILL
    with History(path) as history:
        assert history._database.execute("SELECT count(*) FROM turns").fetchone() == (2,)
        assert [number for number, _ in history.load(1).exchanges] == [1]


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_only_the_user_may_read_the_files(path: Path) -> None:
    with History(path) as history:
        history.start("m", "", exchange())
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == {"history.sqlite3": 0o600, "history.sqlite3-wal": 0o600, "history.sqlite3-shm": 0o600}


def test_an_exchange_put_in_anothers_place_replaces_both_its_turns(path: Path) -> None:
    with History(path) as history:
        conversation_id, number = history.start("m", "", exchange())
        assert history.put(conversation_id, exchange("Why?", "Another answer."), number) == number
        assert history.load(conversation_id).exchanges == ((1, exchange("Why?", "Another answer.")),)


def test_a_removed_exchange_is_gone_and_an_emptied_conversation_is_not_listed(path: Path) -> None:
    with History(path) as history:
        first, _ = history.start("m", "", exchange("First"))
        second, number = history.start("m", "", exchange("Second"))
        assert history.latest() == second
        history.remove_exchange(second, number)
        assert history.latest() == first
        assert history.load(second).exchanges == ()


def test_conversations_are_listed_last_used_first(path: Path) -> None:
    with History(path) as history:
        first, _ = history.start("smollm2", "", exchange("First question"))
        history.start("gemma", "", exchange("Second question"))
        history.put(first, exchange())
        listed = [(c.model, c.title, c.exchanges) for c in history.conversations()]
    assert listed == [("smollm2", "First question", 2), ("gemma", "Second question", 1)]


def test_deleting_leaves_nothing_of_the_text_on_the_disk(path: Path) -> None:
    with History(path) as history:
        conversation_id, _ = history.start("m", "", exchange("my secret question", "its secret answer"))
        history.remember_state(StateRecord(conversation_id, 0, 1))
        history.delete(conversation_id)
        assert history.conversations() == () and history.states() == ()
        for file in path.parent.iterdir():
            assert b"secret" not in file.read_bytes(), file.name


@pytest.mark.parametrize("use", [History.load, History.delete])
def test_an_unknown_conversation_is_named_and_the_list_suggested(path: Path, use: object) -> None:
    with History(path) as history, pytest.raises(OptionInvalid, match="no conversation 7") as caught:
        use(history, 7)  # type: ignore[operator]
    assert "chat --list" in caught.value.hint


def test_a_number_is_never_given_twice(path: Path) -> None:
    """A state file is named after it: another conversation must not find it."""
    with History(path) as history:
        first, _ = history.start("m", "", exchange())
        history.delete(first)
        assert history.start("m", "", exchange())[0] != first


# --- what can be wrong with the file ----------------------------------------------------


@pytest.mark.parametrize("content", [b"this is not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4000])
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(HistoryUnavailable, match=r"history\.sqlite3 cannot be used") as caught:
        History(path)
    assert "history=None" in caught.value.hint
    assert path.read_bytes() == content


def test_a_damaged_database_is_reported_when_the_damage_is_met(path: Path) -> None:
    with History(path) as history:
        conversation_id, _ = history.start("m", "", exchange("q", "x" * 100_000))
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xa5" * (len(damaged) - 4096)  # all pages but the first
    path.write_bytes(damaged)
    with pytest.raises(HistoryUnavailable) as caught, History(path) as history:
        history.load(conversation_id)
    assert "history=None" in caught.value.hint


def test_a_newer_format_is_refused_and_left_alone(path: Path) -> None:
    History(path).close()
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(
        HistoryUnavailable, match=r"newer edge-runtime \(format 99, this one knows 1\)"
    ) as caught:
        History(path)
    assert "history=None" in caught.value.hint
    database = sqlite3.connect(path)
    assert database.execute("PRAGMA user_version").fetchone() == (99,)
    database.close()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HistoryUnavailable, match="cannot be used") as caught:
        History(tmp_path / "file" / "history.sqlite3")
    assert "rights" in caught.value.hint


def test_a_full_disk_is_reported_and_what_was_there_stays(path: Path) -> None:
    with History(path) as history:
        conversation_id, _ = history.start("m", "", exchange())
        pages = history._database.execute("PRAGMA page_count").fetchone()[0]
        history._database.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own full disk
        with pytest.raises(HistoryUnavailable, match="full") as caught:
            history.put(conversation_id, exchange("q", "x" * 100_000))
        assert "free space" in caught.value.hint
        assert history.load(conversation_id).exchanges == ((1, exchange()),)


def test_another_programs_lock_is_reported_as_such(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "_BUSY_WAIT_S", 0.05)
    with History(path) as history:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryUnavailable, match="locked") as caught:
            history.start("m", "", exchange())
        other.close()
    assert "another program" in caught.value.hint


def test_an_older_format_is_migrated_with_what_it_holds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with History(path) as history:
        conversation_id, _ = history.start("m", "", exchange())
    added = ("ALTER TABLE conversations ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0",)
    monkeypatch.setattr(history_module, "_MIGRATIONS", (*history_module._MIGRATIONS, added))
    with History(path) as history:
        assert history.load(conversation_id).exchanges == ((1, exchange()),)
        assert history._database.execute("SELECT pinned FROM conversations").fetchone() == (0,)
    History(path).close()  # a second time there is nothing to do


def test_a_migration_that_fails_changes_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    History(path).close()
    broken = ("CREATE TABLE extra (id INTEGER)", "THIS IS NOT SQL")
    monkeypatch.setattr(history_module, "_MIGRATIONS", (*history_module._MIGRATIONS, broken))
    with pytest.raises(HistoryUnavailable):
        History(path)
    database = sqlite3.connect(path)
    assert database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'extra'").fetchone() == (0,)
    assert database.execute("PRAGMA user_version").fetchone() == (1,)
    database.close()


def test_two_that_open_a_new_history_at_once_both_can_write(path: Path) -> None:
    failures: list[Exception] = []

    def open_and_write() -> None:
        try:
            with History(path) as history:
                history.start("m", "", exchange())
        except HistoryUnavailable as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    with History(path) as history:
        assert len(history.conversations()) == 4


@pytest.mark.parametrize(
    ("question", "title"),
    [
        ("Why is the sky blue?", "Why is the sky blue?"),
        ("\n\n  first   words\nmore", "first words"),
        ("w" * 61, "w" * 59 + "…"),
        ("w" * 60, "w" * 60),
    ],
)
def test_a_title_is_the_first_line_shortened(question: str, title: str) -> None:
    assert make_title(question) == title


def test_a_full_disk_is_said_and_keeps_what_was_there(small_disk: Path) -> None:
    full = pytest.raises(HistoryUnavailable, match="full")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(400_000))
    with History(small_disk / "history.sqlite3") as history:
        conversation_id, _ = history.start("m", "", exchange())
        with full as caught:
            for _ in range(1000):
                history.put(conversation_id, exchange(answer="x" * 20_000))
        assert "free space" in caught.value.hint
    ballast.unlink()
    with History(small_disk / "history.sqlite3") as history:
        assert history.load(conversation_id).exchanges[0][1] == exchange()
