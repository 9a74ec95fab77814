"""User folders on each system, with an older folder there, and without a home."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.places import ROOT

from edge_runtime.catalog import catalog
from edge_runtime.catalog.store import stored_names
from edge_runtime.cli.command_line import main
from edge_runtime.device import folders
from edge_runtime.errors import OptionInvalid

# platformdirs looks at the system when it is imported: each case has a process of its own.
_SHOW = """
import sys
sys.platform = sys.argv[1]
sys.path[1:1] = sys.argv[2:]
if sys.argv[1] == 'win32':
    sys.modules['ctypes'] = None  # it lacks what Windows' has: environment variables decide
from edge_runtime.device import folders
print(folders.store_folder().as_posix())
print(folders.cache_folder().as_posix())
"""


def shown(platform: str, home: Path, *paths: str, **variables: str) -> list[str]:
    """The store and the cache of a system, with the home folder as ~."""
    environment = {"HOME": str(home), "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"], **variables}
    command = [sys.executable, "-c", _SHOW, platform, *paths]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line.replace(str(home), "~") for line in done.stdout.split("\n") if line]


ANDROID = {"ANDROID_DATA": "/data", "ANDROID_ROOT": "/system"}
APP = "/data/user/0/org.example.app/files/chaquopy"
CASES = [
    ("linux", (), {}, "~/.local/share/edge-runtime", "~/.cache/edge-runtime"),
    ("linux", (), {"XDG_DATA_HOME": "not/absolute"}, "~/.local/share/edge-runtime", "~/.cache/edge-runtime"),
    ("linux", (), {"XDG_DATA_HOME": "/data"}, "/data/edge-runtime", "~/.cache/edge-runtime"),
    ("linux", (), {"XDG_CACHE_HOME": "/fast"}, "~/.local/share/edge-runtime", "/fast/edge-runtime"),
    ("darwin", (), {}, "~/Library/Application Support/edge-runtime", "~/Library/Caches/edge-runtime"),
    ("win32", (), {"LOCALAPPDATA": "/me/local"}, "/me/local/edge-runtime", "/me/local/edge-runtime/cache"),
    (
        *("linux", (APP,), ANDROID),
        "/data/user/0/org.example.app/files/edge-runtime",
        "/data/user/0/org.example.app/cache/edge-runtime",
    ),
]


@pytest.mark.parametrize(("platform", "paths", "variables", "store", "cache"), CASES)
def test_each_system_has_its_own_place(
    platform: str, paths: tuple[str, ...], variables: dict[str, str], store: str, cache: str, tmp_path: Path
) -> None:
    assert shown(platform, tmp_path, *paths, **variables) == [store, cache]


def test_a_folder_of_before_is_used_further(tmp_path: Path) -> None:
    """platformdirs heeds XDG_DATA_HOME on macOS, too; what is there already is found all the same."""
    moved = {"XDG_DATA_HOME": "/data", "XDG_CACHE_HOME": "/fast"}
    old = ["Library/Application Support/edge-runtime", "Library/Caches/edge-runtime"]
    for folder in old:
        (tmp_path / folder).mkdir(parents=True)
    assert shown("darwin", tmp_path, **moved) == [f"~/{folder}" for folder in old]


def test_home_variable_decides_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_HOME", str(tmp_path / "here"))
    assert folders.store_folder() == tmp_path / "here"
    assert folders.cache_folder() == tmp_path / "here" / "cache"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in /etc/passwd, as containers have them."""
    pwd = pytest.importorskip("pwd")

    def nobody(_: int) -> None:
        raise KeyError("uid not found")

    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", nobody)


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("chosen", ["", "~/models"])
def test_no_home_is_our_error_and_names_the_variable(chosen: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_HOME", chosen)
    for folder in (folders.store_folder, folders.cache_folder):
        with pytest.raises(OptionInvalid, match="EDGE_RUNTIME_HOME") as caught:
            folder()
        assert "set EDGE_RUNTIME_HOME" in caught.value.hint
    assert folders.store_folder_or_none() is None


@pytest.mark.usefixtures("homeless")
def test_without_a_home_what_needs_no_store_works(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert stored_names() == ()
    assert len(catalog.manifest_folders()) == 2
    assert main(["inspect", str(tiny)]) == 0
    assert main(["plan", str(tiny), "--budget", "1GB"]) == 0
    assert main(["plan", "gemma-3n-e2b-it", "--budget", "3GB"]) == 0
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.usefixtures("homeless")
@pytest.mark.parametrize("command", ["models list", "models pull silero-vad", "chat --list"])
def test_without_a_home_what_needs_the_store_says_so(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) != 0
    told = capsys.readouterr().err
    assert told.startswith("error: EDGE_RUNTIME_HOME is not set")


def test_importing_the_package_imports_no_platformdirs() -> None:
    code = "import sys, edge_runtime; sys.exit('platformdirs' in sys.modules or 'psutil' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0


def test_set_up_finds_the_engine_where_the_caches_are(tmp_path: Path) -> None:
    """It runs before anything is installed: it has a rule of its own, for the same folder."""
    code = "import build_engine; print(build_engine.engine_cache().parent)"
    for variables in ({}, {"XDG_CACHE_HOME": "/fast"}):
        environment = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT / "scripts"), **variables}
        command = [sys.executable, "-S", "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.strip().replace(str(tmp_path), "~") == shown("linux", tmp_path, **variables)[1]
