"""`edge-runtime quantize`: what ends it early leaves nothing behind, and is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from edge_tools.quantize import quantize
from support.builders import gguf_bytes
from support.places import ROOT
from support.quantized_models import left_in, pieces_of_tiny, types_in, wants, write_e2b, write_tiny

from edge_runtime.backends.llama.quantizer import QuantizeTask, run_quantizer
from edge_runtime.errors import ConversionError, EngineUnavailable, OptionInvalid, StorageFull
from edge_runtime.gguf.header import read_header
from edge_runtime.gguf.types import GgmlType
from edge_runtime.values.progress import Advance, QuietProgress


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def e2b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_e2b(tmp_path_factory.mktemp("e2b") / "e2b.gguf")


class Counted(QuietProgress):
    def __init__(self) -> None:
        self.done_bytes: list[int] = []
        self.total_bytes = 0

    @contextmanager
    def bar(self, label: str, total_bytes: int, done_bytes: int) -> Iterator[Advance]:
        self.total_bytes = total_bytes
        yield self.done_bytes.append


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its per-layer embeddings keep one core busy for seconds in Q4_K."""
    return write_e2b(tmp_path_factory.mktemp("slow") / "slow.gguf", tokens=8000)


def test_progress_goes_up_to_the_files_size(slow: Path, tmp_path: Path) -> None:
    counted = Counted()
    made = quantize(slow, tmp_path / "out.gguf", wants(type="Q4_0", ple="Q8_0", threads=1), counted)
    assert sum(counted.done_bytes) == counted.total_bytes == made.size_bytes
    assert len(counted.done_bytes) > 1 and min(counted.done_bytes) >= 0


def start_and_wait(source: Path, output: Path) -> tuple[subprocess.Popen[bytes], Path]:
    """`edge-runtime quantize` at work, and the file that it is writing to."""
    command = [sys.executable, "-m", "edge_runtime", "quantize", str(source), "-o", str(output)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tools")))}
    process = subprocess.Popen(
        [*command, "--type", "Q4_K_M", "--threads", "1"], env=environment, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: size_of(partial_in(output.parent)) > 0)
    return process, partial_in(output.parent)


def partial_in(folder: Path) -> Path:
    return next(folder.glob(".*.partial"), folder / "none")


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1200):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come to that within a minute")


def writers_of(path: Path) -> list[int]:
    """Processes that have a file open, were it unlinked as well."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.removesuffix(" (deleted)") == str(path):
            found.append(int(entry.parts[2]))
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="no /proc here")


@needs_proc
def test_ctrl_c_ends_the_child_and_leaves_nothing(slow: Path, tmp_path: Path) -> None:
    process, partial = start_and_wait(slow, tmp_path / "out.gguf")
    assert len(set(writers_of(partial))) == 2  # we, and llama.cpp's process
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert writers_of(partial) == []
    assert left_in(tmp_path) == []


@needs_proc
def test_a_child_that_nobody_listens_to_cleans_up(slow: Path, tmp_path: Path) -> None:
    process, partial = start_and_wait(slow, tmp_path / "out.gguf")
    process.kill()
    process.wait()
    wait_for(lambda: not writers_of(partial))
    assert left_in(tmp_path) == []


def test_an_output_that_exists_is_kept(tiny: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.gguf"
    output.write_text("mine")
    with pytest.raises(OptionInvalid, match="exists already"):
        quantize(tiny, output, wants(type="Q8_0"))
    assert output.read_text() == "mine"
    quantize(tiny, output, wants(type="Q8_0", force=True))
    assert read_header(output).tensors
    quantize(output, output, wants(type="Q4_0", force=True))  # its own source, too
    assert types_in(output)["blk.0.ffn_up.weight"] is GgmlType.Q4_0
    with pytest.raises(OptionInvalid, match="no name"):
        quantize(tiny, None, wants(type="Q8_0"))
    with pytest.raises(OptionInvalid, match="is a folder"):
        quantize(tiny, tmp_path, wants(type="Q8_0", force=True))


def test_what_llama_cpp_refuses_is_told_in_its_words(tmp_path: Path) -> None:
    path = tmp_path / "new.gguf"
    metadata, tensors = pieces_of_tiny()
    renamed = {key.replace("llama.", "brandnew."): value for key, value in metadata.items()}
    path.write_bytes(gguf_bytes({**renamed, "general.architecture": "brandnew"}, tensors))
    with pytest.raises(ConversionError, match="unknown model architecture: 'brandnew'") as caught:
        quantize(path, tmp_path / "out.gguf", wants(type="Q4_0"))
    assert caught.value.hint
    assert left_in(tmp_path) == ["new.gguf"]


def test_a_crash_of_llama_cpp_is_an_error_of_ours(tiny: Path, tmp_path: Path) -> None:
    gone: Any = 4  # a type that ggml has taken back: its blocks have no size
    task = QuantizeTask(tiny, tmp_path / "out.gguf", [("blk.0.ffn_up.weight", gone)], {}, threads=1)
    with pytest.raises(ConversionError, match=r"tiny\.gguf.*(SIG|GGML_ASSERT)"):
        run_quantizer(task, lambda size_bytes: None)


def test_a_write_that_fails_is_noticed(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files here may have 20 kB: llama.cpp's writes fail as they do on a full disk."""
    resource = pytest.importorskip("resource")
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, old[1]))
    try:
        with pytest.raises(ConversionError, match=r"tiny\.gguf.*ios"):
            quantize(tiny, tmp_path / "out.gguf", wants(type="Q8_0"))
        free = iter([10**9])
        monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=next(free, 100)))
        with pytest.raises(StorageFull, match="no room"):
            quantize(tiny, tmp_path / "out.gguf", wants(type="Q8_0"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert left_in(tmp_path) == []


def test_room_on_the_disk_is_looked_for_first(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = quantize(tiny, None, wants(type="Q8_0", split_bytes=40_000, dry_run=True))
    needed = made.inspection.header.file_size_bytes + max(made.file_bytes)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=needed - 1))
    with pytest.raises(StorageFull) as caught:
        quantize(tiny, tmp_path / "out.gguf", wants(type="Q8_0", split_bytes=40_000))
    assert caught.value.facts["needed_bytes"] == needed
    assert left_in(tmp_path) == []


def test_without_the_engine_the_way_to_it_is_told(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    with pytest.raises(EngineUnavailable, match="does not load") as caught:
        quantize(tiny, None, wants(type="Q8_0", dry_run=True))
    assert "setup" in caught.value.hint
