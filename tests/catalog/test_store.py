"""The store: where it is, files that get a name only when they are right, locks between processes."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.builders import RawTensor, gguf_bytes

from edge_runtime.catalog import store
from edge_runtime.catalog.model_lock import lock_model
from edge_runtime.catalog.pulling.partial_file import Expected, PartialFile
from edge_runtime.catalog.store import FileState
from edge_runtime.device import folders
from edge_runtime.errors import ModelFileInvalid, OptionInvalid, StorageFull

CONTENT = gguf_bytes(tensors={"weight": RawTensor((1280,), 0, bytes(range(256)) * 20)})
SHA256 = hashlib.sha256(CONTENT).hexdigest()
RIGHT = Expected(len(CONTENT), SHA256, "manifest")


@pytest.fixture
def final() -> Path:
    return store.model_file("tiny", "tiny.gguf")


@given(name=st.text(max_size=30), file_name=st.text(max_size=30))
def test_no_name_leads_out_of_the_store(name: str, file_name: str) -> None:
    try:
        path = store.model_file(name, file_name)
    except OptionInvalid:
        return
    assert path.resolve().parent.parent == (folders.store_folder() / "models").resolve()


@pytest.mark.parametrize(
    "bad", ["..", "../x", "a/b", "a\\b", "/a", "", ".x", "x.gguf.json", "x.gguf.partial"]
)
def test_names_that_would_lead_elsewhere_are_refused(bad: str) -> None:
    with pytest.raises(OptionInvalid):
        store.model_file("tiny", bad)


def test_right_file_gets_its_name_and_a_record(final: Path) -> None:
    with PartialFile(final) as partial:
        partial.write(CONTENT)
        assert not final.exists()
        record = partial.adopt(RIGHT, "test")
    assert final.read_bytes() == CONTENT
    assert store.read_record(final) == record
    assert (record.sha256, record.compared_with) == (SHA256, "manifest")
    assert sorted(path.name for path in final.parent.iterdir()) == ["tiny.gguf", "tiny.gguf.json"]


@pytest.mark.parametrize(
    "expected", [Expected(len(CONTENT), "0" * 64), Expected(len(CONTENT) + 1), Expected(1, SHA256)]
)
def test_wrong_file_leaves_nothing_behind(final: Path, expected: Expected) -> None:
    with PartialFile(final) as partial:
        partial.write(CONTENT)
        partial.etag = '"v1"'
        with pytest.raises(ModelFileInvalid) as caught:
            partial.adopt(expected, "test")
    assert {"path", "expected", "found"} <= caught.value.facts.keys()
    assert list(final.parent.iterdir()) == []


def test_what_is_no_gguf_never_gets_a_model_s_name(final: Path) -> None:
    with PartialFile(final) as partial:
        partial.write(b"<!DOCTYPE html>")
        with pytest.raises(ModelFileInvalid, match="expected the letters GGUF"):
            partial.adopt(Expected(), "test")
    assert list(final.parent.iterdir()) == []


def test_part_of_an_earlier_run_is_hashed_again(final: Path) -> None:
    with PartialFile(final) as partial:
        partial.write(CONTENT[:1000])
    with PartialFile(final) as partial:
        assert partial.size_bytes == 1000
        partial.write(CONTENT[1000:])
        partial.adopt(RIGHT, "test")


def test_part_that_rotted_since_is_noticed(final: Path) -> None:
    """The hash must come from the disk: one remembered beside the part would call this file right."""
    with PartialFile(final) as partial:
        partial.write(CONTENT[:1000])
    path = store.partial_path(final)
    path.write_bytes(b"X" + path.read_bytes()[1:])
    with PartialFile(final) as partial:
        partial.write(CONTENT[1000:])
        with pytest.raises(ModelFileInvalid):
            partial.adopt(RIGHT, "test")


def test_cut_part_is_hashed_again(final: Path) -> None:
    with PartialFile(final) as partial:
        partial.write(CONTENT[:1000] + b"rubbish")
        partial.keep_only(1000)
        partial.write(CONTENT[1000:])
        partial.adopt(RIGHT, "test")


def test_state_follows_the_file(final: Path) -> None:
    assert store.file_state(final, SHA256) is FileState.ABSENT
    with PartialFile(final) as partial:
        partial.write(CONTENT)
        assert store.file_state(final, SHA256) is FileState.PARTIAL
        partial.adopt(RIGHT, "test")
    assert store.file_state(final, SHA256) is FileState.READY
    assert store.file_state(final, "") is FileState.UNVERIFIED
    assert store.file_state(final, "0" * 64) is FileState.UNVERIFIED
    os.utime(final, ns=(0, 0))
    assert store.file_state(final, SHA256) is FileState.UNVERIFIED


def test_wheel_on_its_way_counts_as_part_of_the_file(final: Path) -> None:
    final.parent.mkdir(parents=True)
    final.with_name("some.whl.partial").write_bytes(b"12345")
    assert store.file_state(final, SHA256) is FileState.PARTIAL
    assert store.arrived_bytes(final) == 5


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": 1}', '{"unknown": 1}'])
def test_unreadable_record_is_no_record(final: Path, text: str) -> None:
    final.parent.mkdir(parents=True)
    store.record_path(final).write_text(text)
    assert store.read_record(final) is None


def test_room_is_asked_for_beforehand(final: Path) -> None:
    with pytest.raises(StorageFull) as caught:
        store.require_room(final.parent, 1 << 60)
    assert caught.value.facts["needed_bytes"] == 1 << 60
    assert 0 < int(str(caught.value.facts["free_bytes"])) < 1 << 60


def test_disk_that_fills_up_keeps_what_came_and_says_what_is_missing(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(small_disk))
    final = store.model_file("tiny", "tiny.gguf")
    with PartialFile(final, needed_bytes=4 + (3 << 20)) as partial, pytest.raises(StorageFull) as caught:
        partial.write(b"GGUF" + bytes(3 << 20))
    arrived = store.partial_path(final).stat().st_size
    assert 0 < arrived <= 1 << 20
    assert caught.value.facts["needed_bytes"] == 4 + (3 << 20) - arrived
    assert caught.value.facts["free_bytes"] == 0
    assert not final.exists()


def test_file_size_limit_counts_as_no_room(final: Path) -> None:
    code = f"""
import resource
from pathlib import Path
from edge_runtime.errors import StorageFull
from edge_runtime.catalog.model_lock import lock_model
from edge_runtime.catalog.pulling.partial_file import PartialFile
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
with PartialFile(Path({str(final)!r}), 100_000) as partial:
    try:
        partial.write(bytes(100_000))
    except StorageFull as error:
        print(partial.size_bytes, error.facts["needed_bytes"])
"""
    pytest.importorskip("resource")
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["65536", str(100_000 - 65536)]


def test_store_that_cannot_be_written_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(tmp_path / "file" / "below"))
    with pytest.raises(OptionInvalid, match="cannot write") as caught:
        store.require_room(store.model_folder("tiny"), 1)
    assert "EDGE_RUNTIME_HOME" in caught.value.hint


_HOLD = """
import sys, time
from edge_runtime.catalog.model_lock import lock_model
with lock_model("tiny"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_second_process_waits_for_the_lock_and_death_gives_it_back() -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        killed_at: list[float] = []

        def on_wait() -> None:
            holder.send_signal(signal.SIGKILL)
            holder.wait()
            killed_at.append(time.monotonic())

        with lock_model("tiny", on_wait):
            assert len(killed_at) == 1


def test_lock_of_another_model_is_free() -> None:
    with lock_model("one"), lock_model("two", lambda: pytest.fail("waited")):
        pass


def test_removing_takes_all_that_belongs_to_a_file_and_nothing_else(final: Path) -> None:
    other = store.model_file("tiny", "tiny.gguf2")
    with PartialFile(final) as partial:
        partial.write(CONTENT)
        partial.adopt(RIGHT, "test")
    other.write_bytes(b"12345")
    with PartialFile(final) as partial:
        partial.write(b"abc")
        partial.etag = '"v1"'
    assert store.remove_file(final) > len(CONTENT)
    assert list(final.parent.iterdir()) == [other]
    assert store.remove_model("tiny") == 5
    assert not final.parent.exists()
