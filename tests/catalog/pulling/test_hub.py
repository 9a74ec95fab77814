"""Files from Hugging Face, played by a server on this machine."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import tiny_model as tiny
from support.builders import RawTensor, gguf_bytes
from support.fault_server import Fault, FaultServer, fault_server

from edge_runtime.catalog import store
from edge_runtime.catalog.pulling import download
from edge_runtime.catalog.pulling.pull import pull
from edge_runtime.errors import ModelDownloadFailed, ModelFileInvalid

hub = pytest.importorskip("huggingface_hub")


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture(autouse=True)
def settings(server: FaultServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("HF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(download, "sleep", lambda pause_s: None)


def test_file_of_the_manifest(server: FaultServer) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    tiny.serve_on_hub(server, Fault(drop_after=5000))
    pulled = pull(tiny.NAME)
    assert pulled.path.read_bytes() == tiny.CONTENT
    assert server.asked(tiny.HUB_PATH)[1].headers["Range"] == "bytes=5000-"
    assert pulled.record.compared_with == "manifest"
    assert tiny.in_store() == tiny.READY


def test_without_a_hash_in_the_manifest_the_hub_s_own_decides(server: FaultServer) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE], sha256="", size_bytes=0)
    served = tiny.serve_on_hub(server, Fault(flip=True))
    with pytest.raises(ModelFileInvalid):
        pull(tiny.NAME)
    assert tiny.in_store() == []
    served.faults.clear()
    assert pull(tiny.NAME).record.compared_with == "hub"
    state = store.file_state(store.model_file(tiny.NAME, tiny.FILE_NAME), "")
    assert state is store.FileState.UNVERIFIED


def test_another_size_than_a_manifest_without_a_hash_says_is_reported_and_taken(server: FaultServer) -> None:
    said: list[str] = []
    tiny.write_manifest([tiny.HUB_SOURCE], sha256="", size_bytes=17)
    tiny.serve_on_hub(server)
    assert pull(tiny.NAME, on_progress=lambda update: said.append(update.stage)).record.sha256 == tiny.SHA256
    assert any("changed since its manifest was written" in text for text in said)


def test_another_version_on_the_hub_is_refused_before_it_is_fetched(server: FaultServer) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE], sha256="0" * 64)
    tiny.serve_on_hub(server)
    with pytest.raises(ModelDownloadFailed, match="by now"):
        pull(tiny.NAME)
    assert server.asked(tiny.HUB_PATH) == []


def test_gated_model_says_how_to_get_in_and_a_token_opens_it(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    served = tiny.serve_on_hub(server, token="hf_secret")
    served.headers = {**served.headers, "X-Error-Code": "GatedRepo"}
    with pytest.raises(ModelDownloadFailed, match="accept its terms") as caught:
        pull(tiny.NAME)
    assert "HF_TOKEN" in caught.value.hint
    assert "huggingface.co/org/tiny-gguf" in caught.value.hint
    served.headers = {"X-Repo-Commit": "0" * 40}
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    assert pull(tiny.NAME).record.sha256 == tiny.SHA256


@pytest.mark.parametrize("status", [401, 403])
def test_refusal_of_the_file_itself_says_how_to_get_in_too(server: FaultServer, status: int) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    tiny.serve_on_hub(server, Fault(status=status))
    with pytest.raises(ModelDownloadFailed) as caught:
        pull(tiny.NAME)
    assert "HF_TOKEN" in caught.value.hint


def test_missing_file_names_the_repository(server: FaultServer) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    with pytest.raises(ModelDownloadFailed, match="org/tiny-gguf"):
        pull(tiny.NAME)


def test_unreachable_hub_is_our_error(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ModelDownloadFailed, match="cannot be reached"):
        pull(tiny.NAME)


def put_into_hub_cache(folder: Path, content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = folder / "models--org--tiny-gguf"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot / tiny.FILE_NAME).write_bytes(content)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(folder))


def test_copy_in_the_hub_s_cache_is_used_without_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FaultServer
) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    put_into_hub_cache(tmp_path, tiny.CONTENT, monkeypatch)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT
    assert server.requests == []


def test_damaged_copy_in_the_hub_s_cache_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FaultServer
) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    put_into_hub_cache(tmp_path, tiny.CONTENT[:-1] + b"?", monkeypatch)
    tiny.serve_on_hub(server)
    assert pull(tiny.NAME).path.read_bytes() == tiny.CONTENT


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.write_manifest([tiny.HUB_SOURCE])
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelDownloadFailed) as caught:
        pull(tiny.NAME)
    assert 'pip install "edge-runtime[hub]"' in caught.value.hint


# --- headers that show what a file is ------------------------------------------------------


def gguf_of(size_bytes: int, tokens: list[str]) -> bytes:
    """A file of about that size, all of it weights, with a vocabulary of the gpt2 kind."""
    metadata = {
        "general.architecture": "llama",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.eos_token_id": 0,
    }
    return gguf_bytes(metadata, {"weight": RawTensor((size_bytes // 4,), 0, bytes(size_bytes // 4 * 4))})


def serve(server: FaultServer, content: bytes, *faults: Fault) -> list[int]:
    """A manifest and a file on the hub. Returns what counts the bytes that a pull has received."""
    sha256 = hashlib.sha256(content).hexdigest()
    tiny.write_manifest([tiny.HUB_SOURCE], sha256=sha256, size_bytes=len(content))
    served = tiny.serve_on_hub(server, *faults)
    served.content, served.etag = content, f'"{sha256}"'
    return []


def pull_counting(counted: list[int]) -> None:
    pull(tiny.NAME, on_progress=lambda update: counted.append(update.done))


@pytest.mark.parametrize("arrived_bytes", [0, 5000, 3_000_000])
def test_a_repeated_token_is_refused_after_the_header(server: FaultServer, arrived_bytes: int) -> None:
    content = gguf_of(40_000_000, ["a", "b", "a"])
    received = serve(server, content)
    part = store.partial_path(store.model_file(tiny.NAME, tiny.FILE_NAME))
    part.parent.mkdir(parents=True)
    part.write_bytes(content[:arrived_bytes])
    with pytest.raises(ModelFileInvalid, match=r"not fetched further.*each token once") as caught:
        pull_counting(received)
    assert "another quantization" in caught.value.hint
    assert max(received, default=0) < 5_000_000
    assert tiny.in_store() == []


def test_a_tensor_past_the_end_is_refused_after_the_header(server: FaultServer) -> None:
    content = gguf_of(40_000_000, ["a", "b"])[:-4096]
    received = serve(server, content)
    with pytest.raises(ModelFileInvalid, match="where the file ends"):
        pull_counting(received)
    assert max(received, default=0) < 5_000_000


def test_a_good_header_costs_no_byte_twice(server: FaultServer) -> None:
    content = gguf_of(3_000_000, [f"token {number}" for number in range(60_000)])  # 1.1 MB of header
    received = serve(server, content, Fault(drop_after=700_000), Fault(drop_after=900_000))
    pull_counting(received)
    starts = [asked.headers.get("Range", "bytes=0-") for asked in server.asked(tiny.HUB_PATH)]
    assert starts == ["bytes=0-", "bytes=700000-", "bytes=1600000-"]
    assert store.model_file(tiny.NAME, tiny.FILE_NAME).read_bytes() == content
