"""The crash guard, with children that really die."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from builders import tiny_llama_gguf

from edge_runtime.errors import ModelLoadFailed
from edge_runtime.probe import build_key, guard_file, probe_result, run_probe
from edge_runtime.store import store_folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    path.write_bytes(tiny_llama_gguf())
    return path


def python_that(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a shell script in Python's place: `script` sees the arguments, then Python runs. Logs each run."""
    log = tmp_path / "runs"
    stand_in = tmp_path / "python"
    stand_in.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\n{script}\nexec "{sys.executable}" "$@"\n')
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    return log


def test_a_good_build_is_tried_once_and_remembered(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = python_that("", tmp_path, monkeypatch)
    assert probe_result() is None
    assert run_probe(model).ok and run_probe(model).use_extra_bufts
    assert len(runs.read_text().splitlines()) == 1
    assert probe_result() == run_probe(model)
    run_probe(model, force=True)
    assert len(runs.read_text().splitlines()) == 2


def test_a_build_that_dies_with_repacked_weights_runs_without_them(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a build with AMX does on a hypervisor that does not allow it: SIGSEGV at the first decode."""
    crash = """case "$*" in *'"use_extra_bufts": true'*) kill -SEGV $$ ;; esac"""
    python_that(crash, tmp_path, monkeypatch)
    result = run_probe(model)
    assert result.ok and not result.use_extra_bufts
    assert "SIGSEGV" in result.detail


def test_a_file_that_is_refused_does_not_condemn_the_build(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / "odd.gguf"
    odd.write_bytes(model.read_bytes().replace(b"blk.1.ffn_gate.weight", b"blk.1.ffn_gone.weight"))
    with pytest.raises(ModelLoadFailed, match="ffn_gate"):
        run_probe(odd)
    assert probe_result() is None
    assert run_probe(model).ok


def test_a_build_that_dies_always_is_not_used(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_that("echo 'illegal instruction' >&2; kill -ILL $$", tmp_path, monkeypatch)
    result = run_probe(model)
    assert not result.ok
    assert "SIGILL" in result.detail
    assert probe_result() is None  # the next file gets its own chance


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
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blocked = tmp_path / "a file where the folder should be"
    blocked.write_text("")
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(blocked))
    assert run_probe(model).ok
    assert probe_result() is None


def test_another_build_or_cpu_has_another_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    first = build_key()
    monkeypatch.setattr("edge_runtime.probe.cpu_fingerprint", lambda: "another CPU")
    second = build_key()
    (tmp_path / "libllama.so").write_bytes(b"another build")
    monkeypatch.setenv("LLAMA_CPP_LIB_PATH", str(tmp_path))
    assert len({first, second, build_key()}) == 3


def test_the_memory_is_json_that_a_person_can_read(model: Path) -> None:
    run_probe(model)
    memory = json.loads((store_folder() / "probe.json").read_text())
    assert memory["builds"][build_key()]["detail"] == "loads and decodes"
