"""One file over HTTP from a server that misbehaves: resume, restart or give up, never mix versions."""

from __future__ import annotations

import ssl
import threading
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.fault_server import Fault, FaultServer, ServedFile, fault_server

from edge_runtime.catalog.pulling import download as module
from edge_runtime.catalog.pulling.download import Remote, download
from edge_runtime.catalog.pulling.partial_file import Expected, PartialFile
from edge_runtime.catalog.store import partial_path
from edge_runtime.errors import ModelDownloadFailed, NetworkNotAllowed
from edge_runtime.values.progress import QUIET

CONTENT = bytes(range(256)) * 400  # 102,400 bytes
OTHER = CONTENT[::-1]


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that were asked for; none is kept."""
    asked: list[float] = []
    monkeypatch.setattr(module, "sleep", asked.append)
    return asked


def fetch(server: FaultServer, final: Path, size_bytes: int = 0, **headers: str) -> bytes:
    with PartialFile(final) as partial:
        download(Remote(f"{server.url}/file", "file", size_bytes, headers), partial, QUIET)
        partial.check(Expected())
        return partial.path.read_bytes()


def leave_part(final: Path, data: bytes, etag: str = "") -> None:
    with PartialFile(final) as partial:
        partial.write(data)
        if etag:
            partial.etag = etag


def serve(server: FaultServer, *faults: Fault, etag: str = '"v1"') -> ServedFile:
    served = server.files["/file"] = ServedFile(CONTENT, etag=etag, faults=list(faults))
    return served


@pytest.mark.parametrize("size_bytes", [0, len(CONTENT)])
def test_whole_file_in_one_request(server: FaultServer, tmp_path: Path, size_bytes: int) -> None:
    serve(server)
    assert fetch(server, tmp_path / "file", size_bytes) == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("size_bytes", [0, len(CONTENT)])
def test_dropped_connection_goes_on_where_it_stopped(
    server: FaultServer, tmp_path: Path, size_bytes: int
) -> None:
    serve(server, Fault(drop_after=1000), Fault(drop_after=2000))
    assert fetch(server, tmp_path / "file", size_bytes) == CONTENT
    ranges = [asked.headers.get("Range") for asked in server.requests]
    assert ranges == [None, "bytes=1000-", "bytes=3000-"]


def test_any_number_of_drops_is_survived_while_bytes_come(server: FaultServer, tmp_path: Path) -> None:
    serve(server, *[Fault(drop_after=1000)] * 20)
    assert fetch(server, tmp_path / "file") == CONTENT
    assert len(server.requests) == 21


def test_next_run_goes_on_where_the_last_one_stopped(server: FaultServer, tmp_path: Path) -> None:
    serve(server)
    leave_part(tmp_path / "file", CONTENT[:5000], '"v1"')
    assert fetch(server, tmp_path / "file") == CONTENT
    assert server.requests[0].headers["Range"] == "bytes=5000-"
    assert server.requests[0].headers["If-Range"] == '"v1"'


def test_server_that_ignores_ranges_starts_again(server: FaultServer, tmp_path: Path) -> None:
    serve(server, Fault(ignore_range=True))
    leave_part(tmp_path / "file", CONTENT[:5000])
    assert fetch(server, tmp_path / "file") == CONTENT


def test_changed_file_is_not_glued_to_the_old_part(server: FaultServer, tmp_path: Path) -> None:
    serve(server, etag='"v2"')
    leave_part(tmp_path / "file", OTHER[:5000], '"v1"')
    assert fetch(server, tmp_path / "file") == CONTENT


def test_file_that_changes_between_two_tries_is_taken_whole(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = serve(server, Fault(drop_after=1000))
    served.content, served.etag = OTHER, '"old"'

    def swap(_: float) -> None:
        served.content, served.etag = CONTENT, '"new"'

    monkeypatch.setattr(module, "sleep", swap)
    assert fetch(server, tmp_path / "file") == CONTENT


def test_weak_etag_promises_nothing_and_is_not_sent(server: FaultServer, tmp_path: Path) -> None:
    serve(server, Fault(drop_after=1000), etag='W/"v1"')
    assert fetch(server, tmp_path / "file") == CONTENT
    assert "If-Range" not in server.requests[1].headers


@pytest.mark.parametrize(("size_bytes", "requests"), [(0, 2), (len(CONTENT), 1)])  # unknown: 416 comes first
def test_part_longer_than_the_file_starts_again(
    server: FaultServer, tmp_path: Path, size_bytes: int, requests: int
) -> None:
    serve(server)
    leave_part(tmp_path / "file", OTHER + b"more")
    assert fetch(server, tmp_path / "file", size_bytes) == CONTENT
    assert len(server.requests) == requests


def test_complete_part_of_known_size_asks_nobody(server: FaultServer, tmp_path: Path) -> None:
    leave_part(tmp_path / "file", CONTENT)
    assert fetch(server, tmp_path / "file", len(CONTENT)) == CONTENT
    assert server.requests == []


def test_complete_part_of_unknown_size_is_recognized(server: FaultServer, tmp_path: Path) -> None:
    serve(server)
    leave_part(tmp_path / "file", CONTENT)
    assert fetch(server, tmp_path / "file") == CONTENT
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_passing_trouble_is_waited_out(
    server: FaultServer, tmp_path: Path, status: int, pauses: list[float]
) -> None:
    serve(server, Fault(status=status), Fault(status=status))
    assert fetch(server, tmp_path / "file") == CONTENT
    assert pauses == [1.0, 2.0]


def test_server_says_how_long_to_wait_within_reason(
    server: FaultServer, tmp_path: Path, pauses: list[float]
) -> None:
    serve(
        server,
        Fault(status=503, headers={"Retry-After": "7"}),
        Fault(status=503, headers={"Retry-After": "9999"}),
    )
    assert fetch(server, tmp_path / "file") == CONTENT
    assert pauses == [7.0, 60.0]


def test_lasting_trouble_ends_after_five_tries_and_keeps_the_part(
    server: FaultServer, tmp_path: Path
) -> None:
    serve(server, *[Fault(status=500)] * 9)
    leave_part(tmp_path / "file", CONTENT[:5000])
    with pytest.raises(ModelDownloadFailed, match="500") as caught:
        fetch(server, tmp_path / "file")
    assert len(server.requests) == 5
    assert "goes on from there" in caught.value.hint
    assert partial_path(tmp_path / "file").read_bytes() == CONTENT[:5000]


@pytest.mark.parametrize("status", [401, 403, 404, 410, 451])
def test_refusal_is_final_and_names_its_status(server: FaultServer, tmp_path: Path, status: int) -> None:
    serve(server, Fault(status=status))
    with pytest.raises(ModelDownloadFailed) as caught:
        fetch(server, tmp_path / "file")
    assert caught.value.facts["status"] == status
    assert len(server.requests) == 1


@pytest.mark.parametrize("add", [1, -1, 5000])
def test_wrong_length_is_refused_before_the_body(server: FaultServer, tmp_path: Path, add: int) -> None:
    serve(server, Fault(add_to_length=add))
    with pytest.raises(ModelDownloadFailed, match=f"expected {len(CONTENT)}"):
        fetch(server, tmp_path / "file", len(CONTENT))


def test_length_that_promises_too_much_ends_with_what_there_is(server: FaultServer, tmp_path: Path) -> None:
    """The next range is answered with 416 and the true size."""
    serve(server, Fault(add_to_length=10))
    assert fetch(server, tmp_path / "file") == CONTENT
    assert len(server.requests) == 2


def test_no_server_at_all_is_our_error(server: FaultServer, tmp_path: Path) -> None:
    with (
        PartialFile(tmp_path / "file") as partial,
        pytest.raises(ModelDownloadFailed, match="5 times") as caught,
    ):
        download(Remote("http://127.0.0.1:9/file", "file"), partial, QUIET)
    assert "import the file" in caught.value.hint


def test_distrusted_certificate_is_final_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def distrust(*_: object) -> None:
        error = ssl.SSLCertVerificationError()
        error.verify_message = "self-signed certificate"
        raise urllib.error.URLError(error)

    monkeypatch.setattr(module, "_open", distrust)
    with PartialFile(tmp_path / "file") as partial, pytest.raises(ModelDownloadFailed) as caught:
        download(Remote("https://127.0.0.1:9/file", "file"), partial, QUIET)
    assert caught.value.facts["certificate"] == "self-signed certificate"
    assert "SSL_CERT_FILE" in caught.value.hint


def test_silent_server_times_out(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.2)
    never = threading.Event()
    serve(server, Fault(wait_for=never))
    assert fetch(server, tmp_path / "file") == CONTENT
    never.set()
    assert server.requests[1].headers["Range"].startswith("bytes=5")  # half of it had come


def test_slow_server_is_not_given_up(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.5)
    serve(server, Fault(pause_s=0.01))
    started = time.monotonic()
    assert fetch(server, tmp_path / "file") == CONTENT
    assert time.monotonic() - started > 0.2


def test_token_does_not_follow_a_redirect(server: FaultServer, tmp_path: Path) -> None:
    serve(server)
    server.files["/gate"] = ServedFile(b"", redirect_to="/file")
    with PartialFile(tmp_path / "file") as partial:
        download(Remote(f"{server.url}/gate", "file", 0, {"Authorization": "Bearer secret"}), partial, QUIET)
    assert server.asked("/gate")[0].headers["Authorization"] == "Bearer secret"
    assert "Authorization" not in server.asked("/file")[0].headers


@pytest.mark.parametrize("url", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_only_web_addresses_are_opened(url: str, tmp_path: Path) -> None:
    with (
        PartialFile(tmp_path / "file") as partial,
        pytest.raises(ModelDownloadFailed, match="no web address"),
    ):
        download(Remote(url, "file"), partial, QUIET)


@pytest.mark.parametrize("variable", ["EDGE_RUNTIME_OFFLINE", "HF_HUB_OFFLINE"])
def test_offline_means_no_request(
    server: FaultServer, tmp_path: Path, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "1")
    serve(server)
    with pytest.raises(NetworkNotAllowed, match=variable):
        fetch(server, tmp_path / "file")
    assert server.requests == []


@pytest.mark.parametrize("value", ["0", "", "false"])
def test_offline_can_be_said_no_to(
    server: FaultServer, tmp_path: Path, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_RUNTIME_OFFLINE", value)
    serve(server)
    assert fetch(server, tmp_path / "file") == CONTENT
