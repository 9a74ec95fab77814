"""Nothing but `models pull` opens a connection: watched from inside, and cut off from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import ROOT

# Runs in the child before anything else, and before any module of ours is imported.
_WATCH = """
import sys, os
WATCHED = "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto", "urllib.Request"
def watch(event, args):
    if event in WATCHED:
        with open(os.environ["TRIED"], "a") as file:
            file.write(f"{event} {args[-1] if args else ''}\\n")
sys.addaudithook(watch)
"""
_COMMANDS = {
    "generate": ["generate", "--max-tokens", "4", "Hello"],
    "chat": ["chat", "--max-tokens", "4", "Hello"],
    "bench": ["bench", "--prompt-tokens", "8", "--answer-tokens", "2", "--repeat", "1"],
    "doctor": ["doctor"],
    "models list": ["models", "list"],
    "models path": ["models", "path", "smollm2-135m-instruct"],
    "verify": ["verify", "smollm2-135m-instruct"],
    "help": ["--help"],
}


def run(arguments: list[str], tmp_path: Path, store: Path, *before: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "sitecustomize.py").write_text(_WATCH)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]),
        "TRIED": str(tmp_path / "tried"),
        "EDGE_RUNTIME_HOME": str(store),
    }
    return subprocess.run(
        [*before, sys.executable, "-m", "edge_runtime", *arguments],
        env=environment,
        input="",
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.fixture(scope="module")
def store(smollm2_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that holds the real model by name."""
    folder = tmp_path_factory.mktemp("offline store")
    model = folder / "models" / smollm2_path.parent.name
    model.mkdir(parents=True)
    for file in smollm2_path.parent.iterdir():
        (model / file.name).symlink_to(file)
    return folder


@pytest.mark.parametrize("name", _COMMANDS)
def test_no_command_tries_to_leave_the_machine(name: str, tmp_path: Path, store: Path) -> None:
    done = run(_COMMANDS[name], tmp_path, store)
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "tried").exists(), (tmp_path / "tried").read_text()


def test_the_watch_would_see_a_pull(tmp_path: Path) -> None:
    """The tests above prove something only if an attempt is seen."""
    environment = {
        "HF_ENDPOINT": "http://127.0.0.1:9",
        "PIP_INDEX_URL": "http://127.0.0.1:9",
        "PIP_RETRIES": "0",
    }
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        done = run(["models", "pull", "gemma-3-1b-it"], tmp_path, tmp_path / "empty store")
    assert done.returncode == 3
    assert "socket.connect" in (tmp_path / "tried").read_text()


@pytest.mark.parametrize("name", ["generate", "chat"])
def test_it_works_where_there_is_no_network_at_all(name: str, tmp_path: Path, store: Path) -> None:
    """In a network namespace with no interface, not even loopback: native code included."""
    unshare = shutil.which("unshare")
    if (
        unshare is None
        or subprocess.run([unshare, "-n", "true"], check=False, capture_output=True).returncode
    ):
        pytest.skip("this user may not make a network namespace")
    done = run(_COMMANDS[name], tmp_path, store, unshare, "-n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
