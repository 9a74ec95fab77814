"""The engine's cache, its build and the virtual environment, with a stand-in for pip. No network."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from support.places import ROOT

sys.path.append(str(ROOT / "scripts"))

import build_engine
import build_tools
import set_up
from build_progress import BuildProgress

REQUEST = build_engine.EngineRequest("0.3.36", "cpu", portable=False)
FAKE_PIP = """
import os, pathlib, sys, time
out = pathlib.Path(sys.argv[sys.argv.index("--wheel-dir") + 1])
print("environment", os.environ["CMAKE_ARGS"], os.environ["TMPDIR"], os.environ["SKBUILD_WHEEL_EXCLUDE"])
for step in range(1, 21):
    print(f"  [{{step}}/20] compiling", flush=True)
{body}
out.mkdir()
(out / "llama_cpp_python-0.3.36-py3-none-any.whl").write_bytes(b"wheel")
"""


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def fake_pip(tmp_path: Path, body: str = "") -> Path:
    script = tmp_path / "fake pip.py"
    script.write_text(FAKE_PIP.format(body=body))
    # Not as a "#!" line: that cannot name a Python under a path with a space.
    return executable(tmp_path / "fake python", f'#!/bin/sh\nexec "{sys.executable}" "{script}" "$@"\n')


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("EDGE_RUNTIME_BACKEND", "EDGE_RUNTIME_PORTABLE", *build_engine._ENVIRONMENT):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(build_engine, "compiler_digest", lambda: "compiler")


def test_pin_comes_from_pyproject() -> None:
    assert build_engine.engine_request().version in (ROOT / "pyproject.toml").read_text()


def test_built_wheel_is_found_again_and_nothing_else_is_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build_engine.find_wheel(REQUEST) is None
    (build_engine.engine_cache() / ".building-killed").mkdir(parents=True)
    wheel = build_engine.build_wheel(REQUEST, fake_pip(tmp_path))
    assert wheel.read_bytes() == b"wheel"
    assert build_engine.find_wheel(REQUEST) == wheel
    folder = wheel.parent
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.log"]
    assert folder.name.startswith("0.3.36-cpu-native-")
    assert capsys.readouterr().err.splitlines()[1].startswith("engine 0.3.36-cpu-native:   5 %, 0:00 so far")


def test_build_gets_its_flags_and_a_folder_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CMAKE_ARGS", "-DMINE=1")
    build_engine.build_wheel(REQUEST, fake_pip(tmp_path))
    (log,) = build_engine.engine_cache().glob("*.log")
    said = log.read_text()
    assert f'"-DCMAKE_PROJECT_llama_cpp_INCLUDE={ROOT}/scripts/engine.cmake"' in said
    assert '"-DEDGE_RUNTIME_BACKEND=cpu" "-DEDGE_RUNTIME_PORTABLE=OFF" -DMINE=1' in said
    assert f"{build_engine.engine_cache()}/.building-" in said


def test_failed_build_leaves_no_wheel_and_shows_where_the_log_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    body = "print('x.cpp:1: error: no such thing')\nprint('error: subprocess-exited-with-error')\nsys.exit(1)"
    with pytest.raises(build_tools.SetUpError, match=r"building llama-cpp-python==0.3.36 failed; .*\.log$"):
        build_engine.build_wheel(REQUEST, fake_pip(tmp_path, body))
    assert capsys.readouterr().err.splitlines()[-1] == "x.cpp:1: error: no such thing"
    assert build_engine.find_wheel(REQUEST) is None
    assert [path.suffix for path in build_engine.engine_cache().iterdir()] == [".log"]


def test_full_disk_is_said_before_the_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**8))
    with pytest.raises(build_tools.SetUpError, match=r"needs 1 GB .* 0.1 GB are free"):
        build_engine.build_wheel(REQUEST, fake_pip(tmp_path))


def test_key_changes_with_all_that_shapes_the_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_engine, "_cpu_fingerprint", lambda: "this processor")
    digests = [REQUEST.digest()]
    digests.append(build_engine.EngineRequest("0.3.36", "vulkan", portable=False).digest())
    digests.append(build_engine.EngineRequest("0.3.37", "cpu", portable=False).digest())
    digests.append(build_engine.EngineRequest("0.3.36", "cpu", portable=True).digest())
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_OPENMP=OFF")
    digests.append(REQUEST.digest())
    monkeypatch.delenv("CMAKE_ARGS")
    monkeypatch.setattr(build_engine, "_cpu_fingerprint", lambda: "another processor")
    digests.append(REQUEST.digest())
    assert len(set(digests)) == 6


def test_portable_wheel_serves_every_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    request = build_engine.EngineRequest("0.3.36", "cpu", portable=True)
    before = request.digest()
    monkeypatch.setattr(build_engine, "_cpu_fingerprint", lambda: "another processor")
    assert request.digest() == before


def test_without_a_compiler_a_cached_wheel_still_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = build_engine.build_wheel(REQUEST, fake_pip(tmp_path))
    monkeypatch.setattr(build_engine, "compiler_digest", lambda: None)
    assert build_engine.find_wheel(REQUEST) == wheel
    monkeypatch.setattr(build_engine, "compiler_digest", lambda: "newer")
    assert build_engine.find_wheel(REQUEST) is None


BUILDER = """
import sys
sys.path.insert(0, {scripts!r})
import build_engine, pathlib
build_engine.compiler_digest = lambda: "compiler"
request = build_engine.EngineRequest("0.3.36", "cpu", portable=False)
try:
    print(build_engine.build_wheel(request, pathlib.Path(sys.argv[1])))
except KeyboardInterrupt:
    sys.exit(130)
"""


def start_build(pip: Path) -> subprocess.Popen[str]:
    code = BUILDER.format(scripts=str(ROOT / "scripts"))
    command = [sys.executable, "-c", code, str(pip)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    for _ in range(1000):
        if path.exists():
            return
        time.sleep(0.01)
    raise AssertionError(f"{path} did not come")


def test_two_builds_at_once_build_once(tmp_path: Path) -> None:
    count = tmp_path / "builds"
    body = f"open({str(count)!r}, 'a').write('x')\ntime.sleep(0.5)"
    builds = [start_build(fake_pip(tmp_path, body)) for _ in range(2)]
    answers = [build.communicate(timeout=30) for build in builds]
    assert [build.returncode for build in builds] == [0, 0]
    assert answers[0][0] == answers[1][0]
    assert count.read_text() == "x"
    assert sum("waiting for it" in said for _, said in answers) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stopped_build_takes_its_compilers_along_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    started = tmp_path / "started"
    body = f"""
import subprocess
child = subprocess.Popen(["sleep", "60"])
pathlib.Path({str(started)!r}).write_text(str(child.pid))
os.rename({str(started)!r}, {str(started.with_suffix(".pid"))!r})
time.sleep(60)
"""
    build = start_build(fake_pip(tmp_path, body))
    pid_file = started.with_suffix(".pid")
    wait_for(pid_file)
    build.send_signal(number)
    _, said = build.communicate(timeout=20)
    assert build.returncode == 130, said
    assert not is_running(int(pid_file.read_text()))
    assert [path.suffix for path in build_engine.engine_cache().iterdir()] == [".log"]


def is_running(pid: int) -> bool:
    """A child that nobody waits for any more stays as a zombie until init takes it."""
    for _ in range(200):
        state = Path(f"/proc/{pid}/stat")
        if not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.01)
    return True


# --- progress and virtual environment ------------------------------------------------


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def show_build(stream: StringIO, lines: list[str], seconds_a_line: float = 6.0) -> str:
    clock = [0.0]
    with BuildProgress("engine", stream, lambda: clock[0]) as progress:
        for line in lines:
            clock[0] += seconds_a_line
            progress.see(line)
    return stream.getvalue()


def test_progress_is_one_line_every_ten_percent_without_a_terminal() -> None:
    steps = [f"  [{n}/50] /usr/bin/c++ -c x.cpp" for n in range(1, 51)]
    lines = show_build(StringIO(), ["Collecting llama-cpp-python", *steps]).splitlines()
    assert lines[0] == "engine: fetching the source"
    assert lines[1] == "engine:   2 %, 0:12 so far"
    assert lines[2] == "engine:  10 %, 0:36 so far, about 5:24 left"
    assert len(lines) == 2 + 11  # at 2, 10, 20 ... 100 %, first and last
    assert lines[-1] == "engine: ended after 5:06"


def test_progress_updates_one_line_on_a_terminal() -> None:
    shown = show_build(Terminal(), ["[ 40%] Building C object", "[100%] Linking"])
    assert shown.split("\r\033[K")[2:4] == [
        "engine:  40 %, 0:06 so far, about 0:09 left",
        "engine: 100 %, 0:12 so far, about 0:00 left",
    ]
    assert shown.count("\n") == 2


def test_missing_venv_module_says_which_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_up.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        build_tools.SetUpError, match="has no venv module; install with: sudo apt install python3-venv"
    ):
        set_up.require_venv_module()


def test_half_made_venv_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(set_up, "VENV", tmp_path / "a venv")
    monkeypatch.setattr(set_up, "run", lambda command, failure: ran.append(command))
    answer = f"{sys.version_info[:2]} {tmp_path / 'a venv'}"
    executable(tmp_path / "a venv/bin/python", f'#!/bin/sh\necho "{answer}"\n')
    set_up.make_venv()
    assert ran == []
    executable(tmp_path / "a venv/bin/python", "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n")
    set_up.make_venv()
    assert ran[0][1:4] == ["-m", "venv", "--clear"]
