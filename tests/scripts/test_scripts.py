"""The set-up scripts, run in a copy of the checkout under a path with a space, without a network.

Python, CMake and compilers are stand-ins: what is tested is what the scripts decide
and say. They are tried for real by whoever runs them.
"""

from __future__ import annotations

import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.places import ROOT

SHELL_SCRIPTS = [*sorted(ROOT.glob("scripts/*.sh")), ROOT / ".ci" / "run"]
COREUTILS = ("bash", "env", "dirname", "cat", "cksum", "grep", "sh", "touch", "mkdir", "sleep")


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "check out"
    for name in ("scripts", "edge_runtime"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / ".ci", root / ".ci")
    shutil.copy(ROOT / "pyproject.toml", root)
    return root


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A PATH with the shell's own tools and this Python, but no compiler and no CMake."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in COREUTILS:
        (folder / name).symlink_to(shutil.which(name) or f"/bin/{name}")
    executable(folder / "python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    return folder


def run_script(
    script: Path, *arguments: str, path: Path, stdin: str | int = "", extra: Mapping[str, str] = {}
) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("HOME",)}
    given = {"input": stdin} if isinstance(stdin, str) else {"stdin": stdin}
    return subprocess.run(
        [script, *arguments],
        env={**kept, "PATH": str(path), **extra},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        **given,  # type: ignore[call-overload]
    )


# --- the shell -----------------------------------------------------------------------


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_script_parses_and_can_be_run(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")


@pytest.mark.parametrize("script", SHELL_SCRIPTS, ids=lambda path: path.name)
def test_script_keeps_to_bash_3_2_and_quotes_its_paths(script: Path) -> None:
    text = script.read_text()
    for newer in (
        r"declare -A",
        r"\bmapfile\b",
        r"\breadarray\b",
        r"\$\{\w+(,,|\^\^)",
        r"&>>",
        r"\|&",
        r"local -n",
    ):
        assert not re.search(newer, text), f"bash 3.2 on macOS has no {newer}"
    assert not re.search(r'(?<!["\w=])\$(root|bin|edge_runtime|python)\b', text), "a path without quotes"
    assert "set -euo pipefail" in text or text.count("\n") == 2


def test_missing_compiler_and_cmake_are_named_in_one_line(checkout: Path, tools: Path) -> None:
    done = run_script(checkout / "scripts/setup.sh", path=tools)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "a C and C++ compiler and CMake" in done.stderr
    assert "sudo apt install build-essential cmake (Debian)" in done.stderr
    assert "xcode-select --install && brew install cmake (macOS)" in done.stderr
    assert not (checkout / ".venv").exists()  # said before anything took time


def test_only_cmake_missing(checkout: Path, tools: Path) -> None:
    for name in ("cc", "c++"):
        executable(tools / name, "#!/bin/sh\necho compiler 1.0\n")
    done = run_script(checkout / "scripts/demo.sh", "Hello", path=tools)
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: building llama.cpp needs CMake; install with: sudo apt install cmake "
    )


def test_stub_of_a_compiler_counts_as_missing(checkout: Path, tools: Path) -> None:
    for name in ("cc", "c++", "cmake"):
        executable(tools / name, "#!/bin/sh\nexit 1\n")
    done = run_script(checkout / "scripts/setup.sh", path=tools)
    assert "needs a C and C++ compiler; install" in done.stderr


@pytest.mark.parametrize(
    ("backend", "complaint"),
    [("opencl", "choose one of cpu, vulkan, metal, cuda"), ("metal", "Linux has none")],
)
@pytest.mark.skipif(sys.platform != "linux", reason="macOS has Metal")
def test_backend_that_cannot_be(checkout: Path, tools: Path, backend: str, complaint: str) -> None:
    done = run_script(checkout / "scripts/setup.sh", path=tools, extra={"EDGE_RUNTIME_BACKEND": backend})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"EDGE_RUNTIME_BACKEND={backend}: " in done.stderr
    assert complaint in done.stderr


def test_vulkan_needs_its_shader_compiler(checkout: Path, tools: Path) -> None:
    for name in ("cc", "c++", "cmake"):
        executable(tools / name, "#!/bin/sh\necho 1.0\n")
    done = run_script(checkout / "scripts/setup.sh", path=tools, extra={"EDGE_RUNTIME_BACKEND": "vulkan"})
    assert "needs Vulkan's glslc; install with: sudo apt install libvulkan-dev glslc" in done.stderr


@pytest.mark.parametrize("override", [False, True])
def test_old_python_is_refused_in_one_line(checkout: Path, tools: Path, override: bool) -> None:
    executable(tools / "python3", "#!/bin/sh\nexit 1\n")  # what `version_info < (3, 10)` would give
    extra = {"EDGE_RUNTIME_PYTHON": str(tools / "python3")} if override else {}
    done = run_script(checkout / "scripts/setup.sh", path=tools, extra=extra)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "is a Python 3.10 or newer; install with: sudo apt install python3 python3-venv" in done.stderr


def test_newest_python_is_taken(checkout: Path, tools: Path) -> None:
    for name in ("python3.11", "python3.12", "python3.13"):
        good = (
            "exit 1" if name == "python3.13" else f"echo {name} took over >&2"
        )  # a shim that is not installed
        executable(tools / name, f"#!/bin/sh\n{good}\n")
    done = run_script(checkout / "scripts/setup.sh", path=tools)
    assert done.stderr.splitlines() == ["python3.12 took over"]


# --- the stamp -----------------------------------------------------------------------

FAKE_PYTHON = """#!/bin/sh
case $1 in
  -c) exit 0 ;;
esac
cat >/dev/null # a pipe's content is for the answer, not for the set-up
echo "set up $3" >&2
mkdir -p "{root}/.venv/bin"
printf '%s %s' "$5" "$3" >"{root}/.venv/.set-up"
touch "{root}/.venv/bin/python"
chmod +x "{root}/.venv/bin/python"
"""


@pytest.fixture
def quick(checkout: Path, tools: Path) -> Path:
    """A PATH whose Python pretends to set up, and the programs that .venv would hold."""
    (tools / "chmod").symlink_to(shutil.which("chmod") or "/bin/chmod")
    executable(tools / "python3", FAKE_PYTHON.replace("{root}", str(checkout)))
    for name in ("edge-runtime", "ruff", "mypy"):
        executable(checkout / ".venv/bin" / name, f'#!/bin/sh\necho {name} "$@"\n')
    return tools


def set_up_lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    assert done.returncode == 0, done.stderr
    return [line for line in done.stderr.splitlines() if line.startswith("set up")]


def test_second_set_up_does_nothing(checkout: Path, quick: Path) -> None:
    script = checkout / "scripts/setup.sh"
    assert set_up_lines(run_script(script, path=quick)) == ["set up hub"]
    assert set_up_lines(run_script(script, path=quick)) == []
    assert set_up_lines(run_script(script, "dev", path=quick)) == ["set up dev"]
    assert set_up_lines(run_script(script, "hub", path=quick)) == []  # dev has all of hub


@pytest.mark.parametrize("change", ["pyproject", "flags", "portable", "backend", "moved", "python gone"])
def test_set_up_runs_again_when_it_must(checkout: Path, quick: Path, change: str) -> None:
    run_script(checkout / "scripts/setup.sh", path=quick)
    script, arguments, extra = checkout / "scripts/setup.sh", [], {}
    if change == "pyproject":
        (checkout / "pyproject.toml").write_text((checkout / "pyproject.toml").read_text() + "\n# more\n")
    elif change == "flags":
        (checkout / "scripts/engine.cmake").write_text("set(GGML_NATIVE OFF)\n")
    elif change == "portable":
        arguments = ["--portable"]
    elif change == "backend":
        extra = {"EDGE_RUNTIME_BACKEND": "vulkan"}
    elif change == "moved":
        script = checkout.rename(checkout.with_name("elsewhere")) / "scripts/setup.sh"
        executable(quick / "python3", FAKE_PYTHON.replace("{root}", str(script.parent.parent)))
    else:
        (checkout / ".venv/bin/python").unlink()
    assert set_up_lines(run_script(script, *arguments, path=quick, extra=extra)) == ["set up hub"]


def test_set_up_key_does_not_depend_on_where_it_is_called_from(checkout: Path, quick: Path) -> None:
    run_script(checkout / "scripts/setup.sh", path=quick)
    done = subprocess.run(
        ["bash", "scripts/../scripts/setup.sh"],
        env={"PATH": str(quick), "HOME": os.environ["HOME"]},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    assert set_up_lines(done) == []


# --- demo, test, CI ------------------------------------------------------------------


def test_demo_with_arguments_answers_once(checkout: Path, quick: Path) -> None:
    done = run_script(checkout / "scripts/demo.sh", "--portable", "Why is it?", path=quick)
    assert done.stdout == "edge-runtime generate Why is it?\n"  # nothing but the answer
    assert done.stderr.splitlines() == ["set up hub", "edge-runtime models pull smollm2-135m-instruct"]


def test_demo_with_a_pipe_hands_it_to_generate(checkout: Path, quick: Path) -> None:
    executable(checkout / ".venv/bin/edge-runtime", '#!/bin/sh\n[ "$1" = generate ] && cat\nexit 0\n')
    assert run_script(checkout / "scripts/demo.sh", path=quick, stdin="hi\n").stdout == "hi\n"


def test_demo_on_a_terminal_starts_a_chat(checkout: Path, quick: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        done = run_script(checkout / "scripts/demo.sh", path=quick, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.stdout == "edge-runtime chat\n"


def test_demo_passes_the_exit_status_on(checkout: Path, quick: Path) -> None:
    executable(checkout / ".venv/bin/edge-runtime", '#!/bin/sh\n[ "$1" = models ] && exit 0\nexit 4\n')
    assert run_script(checkout / "scripts/demo.sh", "x", path=quick).returncode == 4


def test_ci_runs_every_check_and_hands_arguments_to_pytest(checkout: Path, quick: Path) -> None:
    run_script(checkout / "scripts/setup.sh", "dev", path=quick)
    executable(checkout / ".venv/bin/python", '#!/bin/sh\necho python "$@"\n')
    done = run_script(checkout / ".ci/run", "-k", "one two", path=quick)
    assert done.stdout.splitlines() == [
        "edge-runtime models pull smollm2-135m-instruct",
        "edge-runtime models pull gemma-3-270m",
        "edge-runtime models pull silero-vad",
        "edge-runtime models pull whisper-base",
        "ruff check .",
        "ruff format --check .",
        "mypy",
        "python -m pytest -k one two",
    ]


@pytest.mark.parametrize(
    ("installed", "asked", "runs"),
    [
        ("hub", "hub", False),
        ("hub,speech", "hub", False),
        ("speech,hub", "hub,speech", False),
        ("dev", "hub,plot", False),
        ("hub", "hub,plot", True),
        ("hub,speech-convert", "speech", True),
    ],
)
def test_a_set_up_with_more_extras_is_enough(
    checkout: Path, quick: Path, installed: str, asked: str, runs: bool
) -> None:
    run_script(checkout / "scripts/setup.sh", "hub", path=quick)  # writes the stamp of this checkout
    stamp = checkout / ".venv" / ".set-up"
    key = stamp.read_text().rpartition(" ")[0]
    stamp.write_text(f"{key} {installed}")
    run_script(checkout / "scripts/setup.sh", asked, path=quick)
    assert (stamp.read_text() != f"{key} {installed}") is runs
