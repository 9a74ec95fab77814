"""Findings go in, a report comes out. Only the last three look around, in an empty home."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.stand_in_python import python_that

from edge_runtime.backends.guard.probe import ProbeResult
from edge_runtime.backends.llama.library import DeviceInfo, LibraryInfo
from edge_runtime.bench import doctor_findings
from edge_runtime.bench.doctor import (
    AudioFinding,
    EngineFinding,
    Findings,
    Part,
    StoredModel,
    StoreFinding,
    find_problems,
    switched_on,
)
from edge_runtime.cli.commands import doctor as door
from edge_runtime.device import folders
from edge_runtime.device.cgroup import MemoryLimit
from edge_runtime.device.device import Cpu, Device, DeviceMemory

GB = 10**9
FLAGS = "CPU : AVX = 1 | AVX2 = 1 | REPACK = 1"
WORKS = ProbeResult(True, True, "loads and decodes")


def library(build_flags: str = FLAGS) -> LibraryInfo:
    cpu = DeviceInfo("CPU", "Example CPU", "cpu", 7 * GB, 8 * GB)
    return LibraryInfo("0.3.36", "0.5.0", "/lib/libllama.so", build_flags, (cpu,), False, True, True)


def healthy() -> Findings:
    cpu = Cpu("Example CPU", "x86_64", 2, 4, frozenset({"avx", "avx2", "amx_int8"}), "fingerprint")
    memory = DeviceMemory(8 * GB, 7 * GB, 0, 0)
    models = (StoredModel("small", 98_000_000),)
    return Findings(
        version="0.1.0",
        python_version="3.11.7",
        device=Device("Linux", cpu, memory, 2),
        engine=EngineFinding("0.3.36", "0.3.36", library(), "", WORKS),
        store=StoreFinding(Path("/store"), True, 50 * GB, models, "small", 98_000_000),
        audio=AudioFinding(("Microphone",), ("Loudspeaker",), ""),
    )


def with_part(part: str, **changes: Any) -> Findings:
    """The healthy findings with some fields of one part changed."""
    findings = healthy()
    return replace(findings, **{part: replace(getattr(findings, part), **changes)})


def with_memory(**changes: Any) -> Findings:
    findings = healthy()
    memory = replace(findings.device.memory, **changes)
    return replace(findings, device=replace(findings.device, memory=memory))


def test_healthy_device_has_no_problem() -> None:
    assert find_problems(healthy()) == ()
    assert door.exit_status(()) == 0


@pytest.mark.parametrize(
    ("findings", "part", "text", "hint"),
    [
        pytest.param(
            with_part("engine", installed_version="", library=None),
            *(Part.ENGINE, "not installed", "llama-cpp-python==0.3.36"),
            id="no engine",
        ),
        pytest.param(
            with_part("engine", installed_version="0.2.90"),
            *(Part.ENGINE, "0.2.90, this package needs 0.3.36", "scripts/setup.sh"),
            id="other version",
        ),
        pytest.param(
            with_part("engine", library=None, error="ended by SIGILL"),
            *(Part.ENGINE, "does not load: ended by SIGILL", "scripts/setup.sh"),
            id="library ends the process",
        ),
        pytest.param(
            with_part("engine", library=library("CPU : AVX = 1 | AVX512 = 1 | AVX2 = 1")),
            *(Part.ENGINE, "built for a CPU with AVX512, which this one lacks", "--portable"),
            id="built for another CPU",
        ),
        pytest.param(
            with_part("engine", probe=ProbeResult(False, False, "SIGSEGV in llama.cpp")),
            *(Part.ENGINE, "fails on this CPU: SIGSEGV", "doctor --probe"),
            id="probe failed",
        ),
        pytest.param(
            with_memory(limits=(MemoryLimit("/sys/fs/cgroup/app/memory.max", 200_000_000, 0),)),
            *(Part.MEMORY, "/sys/fs/cgroup/app/memory.max allows 200 MB", "raise the container's limit"),
            id="group limit",
        ),
        pytest.param(
            with_memory(limits=(MemoryLimit("RLIMIT_AS", 200_000_000, 0),)),
            *(Part.MEMORY, "RLIMIT_AS allows 200 MB; small needs about 248 MB", "ulimit -v unlimited"),
            id="ulimit",
        ),
        pytest.param(
            with_memory(available_bytes=100_000_000),
            *(Part.MEMORY, "100 MB of memory are free", "close other programs"),
            id="memory full",
        ),
        pytest.param(
            with_part("store", models=()),
            *(Part.MODEL, "no model is here", "edge-runtime models pull small"),
            id="no model",
        ),
    ],
)
def test_problem_that_blocks(findings: Findings, part: Part, text: str, hint: str) -> None:
    (problem,) = find_problems(findings)
    assert problem.blocks
    assert problem.part == part
    assert text in problem.text
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("findings", "text", "hint"),
    [
        pytest.param(
            with_part("engine", library=library(FLAGS + " | AMX_INT8 = 1"), probe=None),
            *("AMX, which crashes (ldtilecfg)", "without AMX"),
            id="AMX, not tried",
        ),
        pytest.param(
            with_part(
                "engine",
                library=library(FLAGS + " | AMX_INT8 = 1"),
                probe=ProbeResult(True, False, "only without repacked weights (SIGSEGV in llama.cpp)"),
            ),
            *("repacked weights stay off", "without AMX"),
            id="AMX, survived by the crash guard",
        ),
        pytest.param(
            with_part("engine", library=library("CPU : AVX = 1")),
            *("built without AVX2", "scripts/setup.sh"),
            id="portable build on a better CPU",
        ),
        pytest.param(
            with_part("store", writable=False),
            *("/store cannot be written", "EDGE_RUNTIME_HOME"),
            id="read-only store",
        ),
        pytest.param(
            with_part("store", free_bytes=100_000_000),
            *("100 MB of disk are free", "models remove"),
            id="little disk",
        ),
        pytest.param(
            with_part("audio", error="No module named 'sounddevice'"),
            *("sounddevice", "pip install 'edge-runtime[speech]'"),
            id="no sounddevice",
        ),
        pytest.param(
            with_part("audio", error="PortAudio library not found"),
            *("PortAudio", "libportaudio2"),
            id="no PortAudio",
        ),
    ],
)
def test_warning_does_not_block(findings: Findings, text: str, hint: str) -> None:
    (problem,) = find_problems(findings)
    assert not problem.blocks
    assert text in problem.text
    assert hint in problem.hint
    assert door.exit_status((problem,)) == 0


def test_amx_build_that_works_here_is_no_problem() -> None:
    assert find_problems(with_part("engine", library=library(FLAGS + " | AMX_INT8 = 1"))) == ()


def test_unknown_features_of_the_cpu_prove_nothing() -> None:
    findings = healthy()
    cpu = replace(findings.device.cpu, features=frozenset())
    assert find_problems(replace(findings, device=replace(findings.device, cpu=cpu))) == ()


def test_full_disk_blocks_only_while_a_model_must_still_come() -> None:
    empty = with_part("store", models=(), free_bytes=50_000_000)
    assert [problem.blocks for problem in find_problems(empty)] == [True, True]


def test_what_blocks_comes_before_warnings() -> None:
    findings = with_part("engine", library=library("CPU : AVX = 1"))  # slow, a warning
    findings = replace(findings, store=replace(findings.store, models=()))
    assert [problem.part for problem in find_problems(findings)] == [Part.MODEL, Part.ENGINE]


def test_engine_decides_the_status_before_memory_and_model() -> None:
    findings = replace(
        with_memory(available_bytes=1), engine=EngineFinding("", "0.3.36", None, "not installed", None)
    )
    findings = replace(findings, store=replace(findings.store, models=()))
    problems = find_problems(findings)
    assert [problem.part for problem in problems] == [Part.ENGINE, Part.MEMORY, Part.MODEL]
    statuses = [door.exit_status(problems[n:]) for n in range(4)]
    assert statuses == [6, 4, 3, 0]


def test_switches_of_every_backend_are_read() -> None:
    text = "CUDA : ARCHS = 890 | CPU : AVX2 = 1 | SVE_CNT = 16 | REPACK = 1 |"
    assert switched_on(text) == ("AVX2", "REPACK")


def test_report_fits_the_width_but_for_a_long_path_which_stays_whole() -> None:
    long_path = f"/{'very-long-folder-name/' * 6}memory.max"
    findings = replace(
        with_memory(limits=(MemoryLimit(long_path, 10, 5),)),
        audio=AudioFinding((), (), "PortAudio library not found"),
    )
    problems = find_problems(findings)
    lines = door.report_lines(findings, problems)
    assert [line.strip().removeprefix("problem: ") for line in lines if len(line) > 80] == [long_path] * 2
    assert [
        line.partition(":")[0].strip() for line in lines if line.lstrip().startswith(("hint", "prob", "warn"))
    ] == [*("problem", "hint", "warning", "hint")]
    assert lines[-1] == "1 problem in the way of running a model"


def test_report_in_full() -> None:
    assert door.report_lines(healthy(), ()) == [
        "system      edge-runtime 0.1.0, Python 3.11.7, Linux x86_64",
        "processor   Example CPU",
        "              cores 2, hardware threads 4; 2 used unless told otherwise",
        "              has avx avx2 amx_int8",
        "memory      8.00 GB, 7.00 GB available, swap none",
        "              no limit by a control group or ulimit",
        "engine      llama-cpp-python 0.3.36, llama.cpp 0.5.0",
        "              /lib/libllama.so",
        "              built with AVX AVX2 REPACK",
        "              device CPU (cpu): Example CPU, 7.00 GB of 8.00 GB free",
        "              GPU offload no, mmap yes, mlock yes",
        "              trial run: loads and decodes",
        "store       /store, 50.0 GB free",
        "              small                            98.0 MB",
        "audio       inputs: Microphone",
        "              outputs: Loudspeaker",
        "",
        "nothing stands in the way of running a model",
    ]


def test_json_is_one_object_that_says_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = with_part("store", models=())
    monkeypatch.setattr(doctor_findings, "gather_findings", lambda probe: findings)
    assert run_door("--json") == 3
    report = json.loads(capsys.readouterr().out)
    assert report["ok"] is False
    assert report["problems"][0]["part"] == "model"
    assert report["device"]["cpu"]["features"] == ["amx_int8", "avx", "avx2"]
    assert report["engine"]["library"]["devices"][0]["name"] == "CPU"


def run_door(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    door.add_parser(parser.add_subparsers())
    args = parser.parse_args(["doctor", *arguments])
    status: int = args.run(args)
    return status


def test_a_library_that_ends_its_process_does_not_end_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    python_that("kill -ILL $$", tmp_path, monkeypatch)
    monkeypatch.setattr(doctor_findings, "_installed_version", lambda package: "0.3.36")
    engine = doctor_findings.find_engine(probe=False)
    assert (engine.library, engine.error) == (None, "ended by SIGILL")


def test_empty_home_has_a_store_to_be_made_and_no_model(user_folder: Path) -> None:
    store = doctor_findings.find_store()
    assert user_folder in store.folder.parents
    assert store.writable
    assert store.models == ()
    assert store.default_model_bytes > 10**7
    assert not store.folder.exists()  # looking creates nothing


def test_models_in_the_store_are_found(user_folder: Path) -> None:
    folder = folders.store_folder() / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "a.gguf").write_bytes(b"GGUF")
    (folder / "b.gguf.partial").write_bytes(b"GGUF")
    assert doctor_findings.find_store().models == (StoredModel("mine", 4),)
