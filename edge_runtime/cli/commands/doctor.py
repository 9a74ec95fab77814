"""`edge-runtime doctor`: what this device has, what stands in the way, what to do about it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ...bench.doctor import (
    AudioFinding,
    EngineFinding,
    Findings,
    Part,
    Problem,
    StoreFinding,
    find_problems,
    switched_on,
)
from ...device.device import Device, DeviceMemory
from ...values.display_text import padded
from ...values.files import expanded
from ...values.units import format_bytes
from ..options.shared_options import add_json_option
from ..screen.errors import problem_text
from ..screen.exit_status import AUDIO, ENGINE, GOOD, MEMORY, MODEL
from ..screen.sentences import PIPE_COLUMNS, wrapped
from ..screen.table import Column, table_lines
from . import SUMMARIES

_WIDTH, _INDENT = PIPE_COLUMNS, 12
_MODELS = (Column(least=30), Column(least=9, right=True, gap=1))
_STATUS_OF = {Part.ENGINE: ENGINE, Part.MEMORY: MEMORY, Part.MODEL: MODEL, Part.AUDIO: AUDIO}


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "doctor",
        help=SUMMARIES["doctor"],
        description="Check processor, memory, engine, models and audio. "
        "Exit status 0 when nothing stands in the way of running a model, "
        "else 6 (engine), 4 (memory) or 3 (no model).",
    )
    add_json_option(parser)
    parser.add_argument(
        "--probe",
        action="store_true",
        help="try the engine out again, in a child process (default: once for each build)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ...bench.doctor_findings import gather_findings

    findings = gather_findings(probe=args.probe)
    problems = find_problems(findings)
    if args.json:
        print(json.dumps(report_object(findings, problems), default=_plain))
    else:
        print("\n".join(report_lines(findings, problems)))
    return exit_status(problems)


def exit_status(problems: Sequence[Problem]) -> int:
    """That of the first problem that blocks; the engine comes before memory and model."""
    return next((_STATUS_OF[problem.part] for problem in problems if problem.blocks), GOOD)


def report_object(findings: Findings, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "ok": exit_status(problems) == GOOD,
        "problems": [asdict(problem) for problem in problems],
        **asdict(findings),
    }


def _plain(value: object) -> object:
    return sorted(value) if isinstance(value, frozenset) else str(value)


def report_lines(findings: Findings, problems: Sequence[Problem]) -> list[str]:
    """The whole report."""
    device = findings.device
    title = f"edge-runtime {findings.version}, Python {findings.python_version}"
    parts = {
        "system": [f"{title}, {device.system} {device.cpu.architecture}"],
        "processor": list(_processor_lines(device)),
        "memory": list(_memory_lines(device.memory)),
        "engine": list(_engine_lines(findings.engine)),
        "store": list(_store_lines(findings.store)),
        "audio": list(_audio_lines(findings.audio)),
    }
    lines = [line for name, texts in parts.items() for line in _section(name, texts)]
    return [
        *lines,
        "",
        *(line for problem in problems for line in _problem_lines(problem)),
        _verdict(problems),
    ]


def _section(name: str, texts: Sequence[str]) -> list[str]:
    margin, deeper = " " * _INDENT, " " * (_INDENT + 2)
    first, *others = texts
    return [
        *wrapped(first, first=padded(name, _INDENT), indent=margin),
        *(line for text in others for line in wrapped(text, first=deeper, indent=deeper)),
    ]


def _processor_lines(device: Device) -> Iterator[str]:
    cpu = device.cpu
    yield cpu.model or "unknown"
    cores, threads = cpu.physical_cores or "unknown", cpu.logical_cores or "unknown"
    yield f"cores {cores}, hardware threads {threads}; {device.default_threads} used unless told otherwise"
    yield f"has {' '.join(cpu.notable_features) or 'unknown instruction sets'}"


def _memory_lines(memory: DeviceMemory) -> Iterator[str]:
    swap = _size(memory.swap_total_bytes) if memory.swap_total_bytes != 0 else "none"
    yield f"{_size(memory.total_bytes)}, {_size(memory.available_bytes)} available, swap {swap}"
    for limit in memory.limits:
        used = "" if limit.used_bytes is None else f", {format_bytes(limit.used_bytes)} used"
        yield f"limit {format_bytes(limit.limit_bytes)}{used}: {limit.source}"
    if not memory.limits:
        yield "no limit by a control group or ulimit"


def _engine_lines(engine: EngineFinding) -> Iterator[str]:
    library = engine.library
    if library is None:
        yield f"llama-cpp-python {engine.installed_version or 'not installed'}"
        return
    yield f"llama-cpp-python {library.version}, llama.cpp {library.llama_version}"
    yield _short(library.library_path)
    yield f"built with {' '.join(switched_on(library.build_flags))}"
    for device in library.devices:
        free = f"{format_bytes(device.memory_free_bytes)} of {format_bytes(device.memory_total_bytes)} free"
        yield f"device {device.name} ({device.kind}): {device.description}, {free}"
    abilities = {
        "GPU offload": library.supports_gpu_offload,
        "mmap": library.supports_mmap,
        "mlock": library.supports_mlock,
    }
    yield ", ".join(f"{name} {'yes' if able else 'no'}" for name, able in abilities.items())
    yield f"trial run: {engine.probe.detail if engine.probe else 'not made yet (--probe makes it)'}"


def _store_lines(store: StoreFinding) -> Iterator[str]:
    free = "" if store.free_bytes is None else f", {format_bytes(store.free_bytes)} free"
    yield "no place for models" if store.folder is None else f"{_short(store.folder)}{free}"
    rows = [(model.name, format_bytes(model.size_bytes)) for model in store.models]
    for line in table_lines(_MODELS, rows, width=_WIDTH - _INDENT - 2):
        yield line.replace(" ", "\N{NO-BREAK SPACE}")
    if not store.models:
        yield "no models"


def _audio_lines(audio: AudioFinding) -> Iterator[str]:
    if audio.error:
        yield "unknown"
        return
    yield f"inputs: {', '.join(audio.inputs) or 'none'}"
    yield f"outputs: {', '.join(audio.outputs) or 'none'}"


def _problem_lines(problem: Problem) -> list[str]:
    word = "problem" if problem.blocks else "warning"
    return problem_text(word, problem.text, problem.hint, _WIDTH).splitlines()


def _verdict(problems: Sequence[Problem]) -> str:
    blocking = sum(problem.blocks for problem in problems)
    if not blocking:
        return "nothing stands in the way of running a model"
    return f"{blocking} problem{'s' if blocking > 1 else ''} in the way of running a model"


def _size(size_bytes: int | None) -> str:
    return "unknown" if size_bytes is None else format_bytes(size_bytes)


def _short(path: str | Path) -> str:
    """With ~ for the home folder."""
    text, home = str(path), str(expanded("~"))
    return f"~{text[len(home) :]}" if text.startswith(f"{home}/") else text
