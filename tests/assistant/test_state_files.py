from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.scripted_backend import ScriptedBackend, scripted_runtime

from edge_runtime.assistant import state_files
from edge_runtime.assistant.history import Exchange, History
from edge_runtime.errors import HistoryUnavailable, OptionInvalid
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.values.records import FinishReason, Message, Usage

MESSAGES = [Message(role="user", content="Why?"), Message(role="assistant", content="Because.")]
EXCHANGE = Exchange("Why?", "Because.", FinishReason.STOP, Usage(10, 0, 8))


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    with History(tmp_path / "store" / "history.sqlite3") as opened:
        yield opened


@pytest.fixture
def conversation_id(history: History) -> int:
    return history.start("scripted", "", EXCHANGE)[0]


def talked(model_path: Path) -> tuple[Runtime, ScriptedBackend]:
    """A runtime that has evaluated MESSAGES."""
    runtime, backend = scripted_runtime(["Because."], model_path)
    runtime.chat(MESSAGES[:1])
    return runtime, backend


def fresh(model_path: Path) -> tuple[Runtime, ScriptedBackend]:
    return scripted_runtime(["Still because."], model_path)


def test_a_restored_conversation_is_not_evaluated_again(
    history: History, conversation_id: int, tmp_path: Path
) -> None:
    runtime, _ = talked(tmp_path / "model")
    assert state_files.save_state(history, conversation_id, runtime, MESSAGES, 3)
    runtime.close()
    runtime, backend = fresh(tmp_path / "model")
    record = state_files.restore_state(history, conversation_id, runtime)
    assert record is not None and record.first_exchange == 3
    reply = runtime.chat([*MESSAGES, Message(role="user", content="Really?")])
    runtime.close()
    # New are only: <end>, <start>, "user", newline, "Really?", <end>, <start>, "assistant", newline.
    new_tokens = 1 + 1 + 4 + 1 + 7 + 1 + 1 + 9 + 1
    assert reply.usage.prompt_tokens - reply.usage.cached_tokens == new_tokens
    assert backend.evaluated_tokens == new_tokens + len("Still because.")


def test_no_state_is_used_with_another_model_file(
    history: History, conversation_id: int, tmp_path: Path
) -> None:
    runtime, _ = talked(tmp_path / "model")
    assert state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()
    (tmp_path / "model").write_bytes(b"another model of the same name")
    runtime, _ = fresh(tmp_path / "model")
    assert state_files.restore_state(history, conversation_id, runtime) is None
    runtime.close()


@pytest.mark.parametrize("damage", ["cut", "one bit", "gone"])
def test_a_damaged_state_is_never_given_to_the_engine(
    history: History, conversation_id: int, tmp_path: Path, damage: str
) -> None:
    runtime, backend = talked(tmp_path / "model")
    assert state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    path = history.state_path(conversation_id)
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-1])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    backend.load_sequence = lambda *_: pytest.fail("it was given")  # type: ignore[method-assign]
    assert state_files.restore_state(history, conversation_id, runtime) is None
    runtime.close()


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions there")
def test_only_the_user_may_read_a_state(history: History, conversation_id: int, tmp_path: Path) -> None:
    runtime, _ = talked(tmp_path / "model")
    assert state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()
    assert history.state_folder.stat().st_mode & 0o777 == 0o700


def test_the_oldest_states_make_room(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = talked(tmp_path / "model")
    monkeypatch.setattr(state_files, "MOST_STATES", 2)
    numbers = [history.start("scripted", "", EXCHANGE)[0] for _ in range(3)]
    for number in [*numbers, numbers[1]]:
        assert state_files.save_state(history, number, runtime, MESSAGES, 0)
    runtime.close()
    assert {record.conversation_id for record in history.states()} == set(numbers[1:])
    assert {path.name for path in history.state_folder.iterdir()} == {"2.state", "3.state"}


def test_states_share_a_limit_of_bytes(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = talked(tmp_path / "model")
    numbers = [history.start("scripted", "", EXCHANGE)[0] for _ in range(3)]
    assert state_files.save_state(history, numbers[0], runtime, MESSAGES, 0)
    size_bytes = history.states()[0].size_bytes
    monkeypatch.setattr(state_files, "MOST_STATE_BYTES", 2 * size_bytes)
    for number in numbers[1:]:
        assert state_files.save_state(history, number, runtime, MESSAGES, 0)
    assert {record.conversation_id for record in history.states()} == set(numbers[1:])
    monkeypatch.setattr(state_files, "MOST_STATE_BYTES", size_bytes - 1)
    assert not state_files.save_state(history, numbers[1], runtime, MESSAGES, 0)
    runtime.close()
    assert not list(history.state_folder.glob("*.partial"))


def test_a_nearly_full_disk_keeps_no_state(
    history: History, conversation_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, _ = talked(tmp_path / "model")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert not state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()
    assert list(history.state_folder.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_away_once_it_is_old(
    history: History, conversation_id: int, tmp_path: Path
) -> None:
    runtime, _ = talked(tmp_path / "model")
    folder = history.state_folder
    folder.mkdir()
    old, young, orphan = folder / "7.state.partial", folder / "8.state.partial", folder / "99.state"
    for path in (old, young, orphan):
        path.write_bytes(b"left over")
    os.utime(old, (1, 1))
    assert state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()
    assert {path.name for path in folder.iterdir()} == {f"{conversation_id}.state", young.name}


def test_a_folder_that_cannot_be_made_is_reported(
    history: History, conversation_id: int, tmp_path: Path
) -> None:
    runtime, _ = talked(tmp_path / "model")
    history.state_folder.write_text("a file where the folder should be")
    with pytest.raises(HistoryUnavailable, match="state could not be written"):
        state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()


def test_deleting_removes_the_file_and_the_record(
    history: History, conversation_id: int, tmp_path: Path
) -> None:
    runtime, _ = talked(tmp_path / "model")
    assert state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()
    state_files.delete_state(history, conversation_id)
    assert history.states() == ()
    assert list(history.state_folder.iterdir()) == []


def test_deleting_a_conversation_removes_its_state(
    history: History, conversation_id: int, tmp_path: Path
) -> None:
    runtime, _ = talked(tmp_path / "model")
    assert state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()
    assert history.state_path(conversation_id).is_file()
    history.delete(conversation_id)
    assert history.states() == () and list(history.state_folder.iterdir()) == []


def test_a_state_replaces_no_pipe(history: History, conversation_id: int, tmp_path: Path) -> None:
    runtime, _ = talked(tmp_path / "model")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OptionInvalid, match="pipe"):
        runtime.save_state(MESSAGES, pipe)
    place = history.state_path(conversation_id)
    place.parent.mkdir()
    os.mkfifo(place)
    with pytest.raises(HistoryUnavailable, match="pipe"):
        state_files.save_state(history, conversation_id, runtime, MESSAGES, 0)
    runtime.close()
    assert pipe.is_fifo() and place.is_fifo()
