"""Conversions that cannot begin, or that end half-way: a clear error, and nothing left under any name."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from edge_tools.convert import convert
from support.tiny_checkpoint import (
    WIDTH,
    llama_shapes,
    random_tensors,
    set_config,
    write_llama,
    write_tensors,
    write_zeros,
)

from edge_runtime.cli.command_line import main
from edge_runtime.cli.screen.exit_status import CANCELLED, MODEL
from edge_runtime.errors import ConversionError, OptionInvalid, StorageFull
from edge_runtime.values.progress import Advance, QuietProgress

SHARD = "model-00002-of-00003.safetensors"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


class Meanwhile(QuietProgress):
    """Does something once, when the first bytes have been written."""

    def __init__(self, what: Callable[[], object]) -> None:
        self._what = what

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        todo = [self._what]

        def advance(count: int) -> None:
            if todo:
                todo.pop()()

        yield advance


def is_a_folder(path: Path) -> str:
    path.unlink()
    path.mkdir()
    return os.strerror(errno.EISDIR)


def fails_to_read(path: Path) -> str:
    """Its first bytes cannot be read: no process has memory there."""
    path.unlink()
    path.symlink_to("/proc/self/mem")
    return ""


def is_not_ours_to_read(path: Path) -> str:
    if not hasattr(os, "geteuid") or os.geteuid() == 0:
        pytest.skip("root may read everything")
    path.chmod(0)
    return os.strerror(errno.EACCES)


@pytest.mark.parametrize("damage", [is_a_folder, fails_to_read, is_not_ours_to_read])
def test_a_shard_that_cannot_be_read_is_named(
    damage: Callable[[Path], str], tmp_path: Path, out: Path
) -> None:
    if damage is fails_to_read and not Path("/proc/self/mem").exists():
        pytest.skip("needs /proc")
    folder = write_llama(tmp_path / "model", shards=3)
    (folder / "model.safetensors.index.json").unlink()  # it would find the folder missing
    reason = damage(folder / SHARD)
    with pytest.raises(
        ConversionError, match=rf"{SHARD}: cannot be read.*{reason}|{SHARD}: {reason}"
    ) as caught:
        convert(folder, out / "model.gguf")
    assert "owner and mode" in caught.value.hint
    assert list(out.iterdir()) == []


def test_a_shard_that_goes_away_half_way_is_named(tmp_path: Path, out: Path) -> None:
    folder = write_llama(tmp_path / "model", shards=3)
    with pytest.raises(ConversionError, match=rf"{SHARD}: cannot be read at tensor 'model\.layers") as caught:
        convert(folder, out / "model.gguf", progress=Meanwhile((folder / SHARD).unlink))
    assert "check the disk" in caught.value.hint
    assert list(out.iterdir()) == []


def test_a_shard_that_is_cut_off_half_way_is_named(llama: Path, out: Path) -> None:
    """Mapped instead of read, it would end the process."""
    weights = llama / "model.safetensors"
    cut = Meanwhile(lambda: os.truncate(weights, 60_000))
    with pytest.raises(ConversionError, match=r"model\.safetensors: tensor '.*' is cut off: the file became"):
        convert(llama, out / "model.gguf", progress=cut)
    assert list(out.iterdir()) == []


def test_an_existing_file_is_kept_without_force(llama: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_text("mine")
    with pytest.raises(OptionInvalid, match="exists already"):
        convert(llama, path)
    assert path.read_text() == "mine"
    convert(llama, path, force=True)
    assert path.read_bytes()[:4] == b"GGUF"


def test_a_file_that_another_program_made_meanwhile_is_kept(llama: Path, out: Path) -> None:
    path = out / "model.gguf"
    with pytest.raises(OptionInvalid, match="exists already"):
        convert(llama, path, progress=Meanwhile(lambda: path.write_text("mine")))
    assert [(file.name, file.read_text()) for file in out.iterdir()] == [("model.gguf", "mine")]


def test_a_failed_conversion_leaves_the_file_it_was_to_replace(llama: Path, out: Path) -> None:
    path = out / "model.gguf"
    path.write_text("mine")
    weights = llama / "model.safetensors"
    with pytest.raises(ConversionError):
        convert(llama, path, force=True, progress=Meanwhile(lambda: os.truncate(weights, 60_000)))
    assert [(file.name, file.read_text()) for file in out.iterdir()] == [("model.gguf", "mine")]


def test_an_unknown_type_is_refused(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid, match="no type 'q3'"):
        convert(llama, tmp_path / "model.gguf", "q3")


def test_a_folder_for_the_file_that_is_not_there(llama: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionInvalid, match=r"cannot write .*nowhere.*No such file") as caught:
        convert(llama, tmp_path / "nowhere" / "model.gguf")
    assert "folder that exists" in caught.value.hint


def test_a_full_disk_leaves_nothing(llama: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(StorageFull, match="no room in"):
        convert(llama, out / "model.gguf")
    assert list(out.iterdir()) == []


def test_a_disk_that_fills_up_half_way_leaves_nothing(llama: Path, small_disk: Path) -> None:
    """There is room when the conversion begins; then another program takes it."""
    other = small_disk / "other"

    def fill_up() -> None:
        with other.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(65536)):
                pass

    with pytest.raises(StorageFull, match="no room in") as caught:
        convert(llama, small_disk / "model.gguf", "f32", progress=Meanwhile(fill_up))
    assert caught.value.facts["free_bytes"] == 0
    assert "type='q8_0'" in caught.value.hint
    assert list(small_disk.iterdir()) == [other]


def interrupt() -> None:
    raise KeyboardInterrupt


def test_an_interruption_leaves_nothing(llama: Path, out: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        convert(llama, out / "model.gguf", progress=Meanwhile(interrupt))
    assert list(out.iterdir()) == []


def test_ctrl_c_ends_the_command_and_leaves_nothing(llama: Path, out: Path) -> None:
    """Gigabytes of zeros in a file with holes: there is time to interrupt."""
    tokens, width = 1 << 20, 1024
    set_config(llama, vocab_size=tokens, hidden_size=width, head_dim=16)
    write_zeros(llama / "model.safetensors", llama_shapes(tokens, width))
    command = [sys.executable, "-m", "edge_runtime", "convert", str(llama), "-o", str(out / "model.gguf")]
    running = subprocess.Popen([*command, "--type", "q8_0"], stderr=subprocess.PIPE, text=True)
    while not list(out.iterdir()) and running.poll() is None:
        time.sleep(0.01)
    assert [path.suffix for path in out.iterdir()] == [".partial"]
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert (running.returncode, list(out.iterdir())) == (CANCELLED, [])
    assert said.endswith("cancelled\n")


def test_the_command_says_which_tensor_is_wrong_and_what_to_do(
    llama: Path, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tensors(llama, random_tensors({**llama_shapes(), "model.norm.weight": (WIDTH + 2,)}))
    assert main(["convert", str(llama), "-o", str(out / "model.gguf")]) == MODEL
    said = capsys.readouterr().err
    assert (
        "model.safetensors: tensor 'model.norm.weight' has the shape [66]; config.json asks for [64]" in said
    )
    assert "hint: config.json may belong to another model" in said
    assert list(out.iterdir()) == []
