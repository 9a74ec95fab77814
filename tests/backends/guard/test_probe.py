"""The crash guard, with children that really die."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from support.builders import tiny_llama_gguf
from support.stand_in_python import python_that

from edge_runtime.backends.backend import BackendOptions, Chunk
from edge_runtime.backends.guard.probe import ProbeResult, build_key, guard_file, probe_result, run_probe
from edge_runtime.backends.guard.probe_model import write_probe_model
from edge_runtime.backends.llama import LlamaBackend, repack_type
from edge_runtime.device.folders import store_folder
from edge_runtime.errors import EngineUnavailable, ModelLoadFailed
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import read_header
from edge_runtime.memory import this_platform
from edge_runtime.memory.weights import can_be_repacked

_PROBE_SHA256 = "8f2401f9f275da39b29339e68ff17ca9911e902a1e68f48e198c9cface9a3f03"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    return path


def test_a_good_build_is_tried_once_and_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = python_that("", tmp_path, monkeypatch)
    assert probe_result() is None
    assert run_probe().ok and run_probe().use_extra_bufts
    assert len(runs.read_text().splitlines()) == 1
    assert probe_result() == run_probe()
    run_probe(force=True)
    assert len(runs.read_text().splitlines()) == 2


def test_a_build_that_dies_with_repacked_weights_runs_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a build with AMX does on a hypervisor that does not allow it: SIGSEGV at the first decode."""
    crash = """case "$*" in *'"use_extra_bufts": true'*) kill -SEGV $$ ;; esac"""
    python_that(crash, tmp_path, monkeypatch)
    result = run_probe()
    assert result.ok and not result.use_extra_bufts
    assert "SIGSEGV" in result.detail


def test_a_build_that_dies_always_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    python_that("echo 'illegal instruction' >&2; kill -ILL $$", tmp_path, monkeypatch)
    result = run_probe()
    assert not result.ok
    assert "SIGILL" in result.detail
    assert probe_result() is None  # the next start gets its own chance


def test_a_build_that_refuses_a_sound_model_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = python_that("echo 'no such architecture' >&2; exit 1", tmp_path, monkeypatch)
    assert run_probe() == ProbeResult(False, False, "no such architecture")
    assert probe_result() is None
    assert len(runs.read_text().splitlines()) == 1  # without repacked weights it would say the same


def test_a_child_that_was_killed_says_nothing_about_the_build(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel sends SIGKILL where memory is short: to conclude "not with repacked weights" was wrong."""
    kill = """case "$*" in *'"use_extra_bufts": true'*) kill -KILL $$ ;; esac"""
    runs = python_that(kill, tmp_path, monkeypatch)
    with pytest.raises(EngineUnavailable, match="killed, probably for want of memory") as caught:
        run_probe()
    assert "memory limit" in caught.value.hint
    with pytest.raises(EngineUnavailable, match="killed"):
        guard_file(model, use_extra_bufts=True)
    assert probe_result() is None and not (store_folder() / "probe.json").exists()
    assert len(runs.read_text().splitlines()) == 2


def test_without_a_temporary_folder_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/proc/no such folder")
    with pytest.raises(EngineUnavailable, match="temporary") as caught:
        run_probe()
    assert "TMPDIR" in caught.value.hint


# --- the model that is tried ----------------------------------------------------------


def test_the_probe_model_is_sound_small_and_the_same_every_time(tmp_path: Path) -> None:
    first, second = tmp_path / "a.gguf", tmp_path / "b.gguf"
    write_probe_model(first), write_probe_model(second)
    assert first.read_bytes() == second.read_bytes()
    # What a build was tried out with stays what it was: as written before gguf/writing wrote it.
    assert hashlib.sha256(first.read_bytes()).hexdigest() == _PROBE_SHA256
    assert first.stat().st_size < 3_000_000
    header = read_header(first)
    check_header(header)
    end_bytes = max(tensor.offset_bytes + tensor.size_bytes for tensor in header.tensors)
    assert end_bytes == first.stat().st_size


def test_the_probe_model_has_matrices_that_repacking_and_amx_take(tmp_path: Path) -> None:
    """AMX: 32 rows at a time, whole blocks of 256; ggml/src/ggml-cpu/amx/amx.cpp."""
    write_probe_model(path := tmp_path / "probe.gguf")
    matrices = [tensor for tensor in read_header(path).tensors if len(tensor.shape) == 2]
    assert {"Q4_0", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "F16"} == {tensor.type.name for tensor in matrices}
    assert all(tensor.shape[0] % 256 == 0 and tensor.shape[1] % 32 == 0 for tensor in matrices)
    types = {tensor.type for tensor in matrices if repack_type(int(tensor.type), tensor.shape)}
    platform = this_platform()
    assert types == {tensor.type for tensor in matrices if can_be_repacked(tensor, platform)}


def test_the_probe_models_logits_are_numbers_with_and_without_repacking(tmp_path: Path) -> None:
    write_probe_model(path := tmp_path / "probe.gguf")
    logits = []
    for use_extra_bufts in (True, False):
        options = BackendOptions(context_tokens=64, threads=2, use_extra_bufts=use_extra_bufts)
        backend = LlamaBackend(path, options)
        tokens = backend.tokenize("probe", add_special=True, parse_special=False)
        backend.decode([Chunk(0, 0, tokens, wants_logits=True)])
        logits.append(backend.logits(0).copy())
        backend.close()
    assert np.isfinite(logits).all()
    assert 0.1 < logits[0].std() < 100  # neither all the same nor near an overflow
    np.testing.assert_allclose(logits[0], logits[1], atol=0.05 * logits[0].std())


# --- files, and what is remembered -----------------------------------------------------


def test_a_file_that_is_refused_is_named_and_does_not_condemn_the_build(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(model.read_bytes().replace(b"blk.1.ffn_gate.weight", b"blk.1.ffn_gone.weight"))
    with pytest.raises(ModelLoadFailed, match=r"odd\.gguf.*ffn_gate"):
        guard_file(odd, use_extra_bufts=True)
    assert run_probe().ok


def test_a_file_that_kills_its_reader_is_refused_and_not_remembered(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = python_that("kill -ABRT $$", tmp_path, monkeypatch)
    for _ in range(2):
        with pytest.raises(ModelLoadFailed, match=r"tiny\.gguf.*SIGABRT"):
            guard_file(model, use_extra_bufts=True)
    assert len(runs.read_text().splitlines()) == 2


def test_a_file_is_tried_again_only_when_it_has_changed(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = python_that("", tmp_path, monkeypatch)
    guard_file(model, use_extra_bufts=True)
    guard_file(model, use_extra_bufts=True)
    assert len(runs.read_text().splitlines()) == 1
    model.write_bytes(model.read_bytes() + bytes(32))
    guard_file(model, use_extra_bufts=True)
    assert len(runs.read_text().splitlines()) == 2


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"builds": {"KEY": {"ok": 1}}}', '{"builds": 7}'])
def test_a_damaged_memory_is_as_good_as_none(text: str) -> None:
    store_folder().mkdir(parents=True)
    (store_folder() / "probe.json").write_text(text.replace("KEY", build_key()))
    assert probe_result() is None


def test_a_store_that_cannot_be_written_only_costs_another_try(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "a file where the folder should be"
    blocked.write_text("")
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(blocked))
    assert run_probe().ok
    assert probe_result() is None


def test_another_build_or_cpu_has_another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = build_key()
    monkeypatch.setattr("edge_runtime.backends.guard.probe.cpu_fingerprint", lambda: "another CPU")
    second = build_key()
    (tmp_path / "libllama.so").write_bytes(b"another build")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert len({first, second, build_key()}) == 3


def test_the_memory_is_json_that_a_person_can_read() -> None:
    run_probe()
    memory = json.loads((store_folder() / "probe.json").read_text())
    assert memory["builds"][build_key()]["detail"] == "loads and decodes"
