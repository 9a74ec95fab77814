"""Random command lines: a documented exit status, no traceback, nothing half-written, no hang.

EDGE_RUNTIME_FUZZ_CASES=20000 runs more of them, others each time.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from support.command_lines import Case, cases, commands, write_files

from edge_runtime.cli import command_line as cli
from edge_runtime.cli.screen import exit_status
from edge_runtime.device.folders import store_folder_or_none

resource = pytest.importorskip("resource")  # and with it POSIX, whose descriptors are used here

_CASES = int(os.environ.get("EDGE_RUNTIME_FUZZ_CASES", "0"))
_COMMANDS = commands()
_STATUSES = {value for name, value in vars(exit_status).items() if name.isupper() and isinstance(value, int)}
_MOST_SECONDS = 120  # a slow machine that imports everything for the first time took 59
_MOST_FILE_BYTES = 16 << 20  # of a model that `synth` is told to write


def _fuzzed(most_cases: int) -> settings:
    return settings(
        max_examples=most_cases,
        deadline=None,
        derandomize=not _CASES,
        database=None,
        phases=[Phase.generate, Phase.shrink] if _CASES else [Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


class _TooLongError(BaseException):
    """Not an Exception: the command line would take it for a fault of its own."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fuzz")
    write_files(folder)
    return folder


@_fuzzed(_CASES or 1900)
@given(case=cases(_COMMANDS))
def test_in_this_process(case: Case, folder: Path, no_network: list[object]) -> None:
    before = _files(folder)
    status, told = _run_here(case, folder)
    _judge(case, status, told, folder, before)
    assert no_network == []


@_fuzzed(_CASES // 50 or 40)
@given(case=cases(_COMMANDS))
def test_in_a_process_of_its_own(case: Case, folder: Path) -> None:
    before = _files(folder)
    status, told = _run_child(case, folder)
    _judge(case, status, told, folder, before)


def _judge(case: Case, status: int, told: str, folder: Path, before: dict[str, int]) -> None:
    found_differences = status == 1 and "diff" in case.arguments  # as its help says
    assert status in _STATUSES or found_differences, told
    assert "Traceback" not in told, told
    assert "fault in edge_runtime" not in told, told
    after = _files(folder)
    new = sorted(after.keys() - before.keys())
    for name in new:
        (folder / name).unlink()
    assert not [name for name in new if "partial" in name], told
    assert not (status and new), (new, told)
    if "--force" not in case.arguments:
        assert {name: after.get(name) for name in before} == before, told


def _files(folder: Path) -> dict[str, int]:
    """Sizes of what is in the working folder, but for the store."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {str(path.relative_to(folder)): path.stat().st_size for path in paths}
    return {name: size for name, size in names.items() if "edge-runtime" not in name and "store" not in name}


def _run_here(case: Case, folder: Path) -> tuple[int, str]:
    out, err = _stream(case.stdout, case.encoding), _stream(case.stderr, case.encoding)
    given_in = None if case.stdin is None else io.TextIOWrapper(io.BytesIO(case.stdin), encoding="utf-8")
    streams = mock.patch.multiple(sys, stdin=given_in, stdout=out, stderr=err, __stderr__=err)
    with streams, _no_microphone(), _environment(case, folder), _limits():
        try:
            status = cli.main(case.arguments)
        except SystemExit as error:  # of argparse
            status = error.code if isinstance(error.code, int) else 1
        told = _content(sys.stderr)
        for stream in {out, err, given_in, sys.stdin, sys.stdout, sys.stderr} - {None}:
            with contextlib.suppress(OSError):  # of /dev/full, which is closed all the same
                stream.close()
    return status, told


@contextmanager
def _no_microphone() -> Iterator[None]:
    """Without patch.dict(), which would unload what a command has loaded: not every library takes that."""
    loaded = sys.modules.get("sounddevice")
    sys.modules["sounddevice"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if loaded is None:
            del sys.modules["sounddevice"]
        else:
            sys.modules["sounddevice"] = loaded


def _stream(kind: str, encoding: str) -> io.TextIOWrapper | None:
    if kind == "closed":
        return None
    raw = Path("/dev/full").open("wb") if kind == "full" else io.BytesIO()  # noqa: SIM115 - main closes none
    return io.TextIOWrapper(raw, encoding=encoding, line_buffering=kind == "full")


def _content(stream: object) -> str:
    buffer = getattr(stream, "buffer", None)
    if not isinstance(buffer, io.BytesIO):
        return ""
    stream.flush()  # type: ignore[attr-defined]
    return buffer.getvalue().decode("utf-8", "replace")


@contextmanager
def _environment(case: Case, folder: Path) -> Iterator[None]:
    here = Path.cwd()
    settings = {"EDGE_RUNTIME_CHILDREN": "no", "HOME": str(folder), **case.environment}
    with mock.patch.dict(os.environ, {name: value for name, value in settings.items() if value is not None}):
        for name, value in settings.items():
            if value is None:
                os.environ.pop(name, None)
        os.chdir(folder)
        try:
            # Without HOME the user's real folder would be found, with all models in it.
            with mock.patch("pwd.getpwuid", side_effect=KeyError("nobody")):
                store = store_folder_or_none()
                assert store is None or store.is_relative_to(folder)
                yield
        finally:
            os.chdir(here)


@contextmanager
def _limits() -> Iterator[None]:
    """Of time and of the size of files."""

    def too_long(number: int, frame: FrameType | None) -> None:
        raise _TooLongError

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(_MOST_SECONDS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (_MOST_FILE_BYTES, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


_REDIRECTIONS = {"closed": "{}>&-", "full": "{}>/dev/full", "pipe": ""}


def _run_child(case: Case, folder: Path) -> tuple[int, str]:
    """By way of a shell, which closes descriptors."""
    redirections = [
        _REDIRECTIONS[case.stdout].format(1),
        _REDIRECTIONS[case.stderr].format(2),
        "<&-" if case.stdin is None else "",
    ]
    environment = {**os.environ, "PYTHONIOENCODING": case.encoding, **case.environment, "HOME": str(folder)}
    script = f'ulimit -f {_MOST_FILE_BYTES // 512}; exec "$@" {" ".join(redirections)}'
    ran = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "edge_runtime", *case.arguments],
        input=case.stdin or b"",
        capture_output=True,
        cwd=folder,
        env={name: value for name, value in environment.items() if value is not None},
        timeout=_MOST_SECONDS,
        check=False,
    )
    return ran.returncode, ran.stderr.decode("utf-8", "replace")
