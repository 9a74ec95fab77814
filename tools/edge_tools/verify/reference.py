"""References to compare a file with: another GGUF file, a manifest, or an earlier report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.catalog.catalog import Manifest, ModelFile, find_manifest, split_name
from edge_runtime.catalog.manifest import read_manifest
from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.values.units import format_bytes

_MAX_REPORT_BYTES = 64_000_000


@dataclass(frozen=True)
class FileHash:
    """What a manifest says of the whole file."""

    sha256: str
    size_bytes: int  # 0: not known
    source: str


@dataclass(frozen=True)
class KnownTensor:
    type: str
    shape: tuple[int, ...]
    sha256: str = ""  # "": not known, its bytes are there to compare with
    info: TensorInfo | None = None  # where they are


@dataclass(frozen=True, eq=False)
class KnownTensors:
    tensors: Mapping[str, KnownTensor]
    source: str
    header: GgufHeader | None = None  # None: an earlier report, there are hashes only


Reference = FileHash | KnownTensors


def find_reference(against: str | Path, path: Path) -> Reference:
    """What `path` is to be compared with.

    `against` is a GGUF file, a manifest (.toml), what `verify --json` printed (.json), or
    a name of the catalog, with a quantization or without. Raises OptionInvalid for anything
    else and for a manifest without a sha256; ModelNotFound and ModelFileInvalid.
    """
    name = str(against)
    suffix = Path(name).suffix.lower()
    if suffix == ".json":
        return _from_report(Path(name))
    if suffix == ".toml":
        return _from_manifest(read_manifest(Path(name)), "", path)
    if suffix == ".gguf" or Path(name).is_file():
        return _from_gguf(Path(name))
    head, quantization = split_name(name)
    return _from_manifest(find_manifest(head), quantization, path)


def _from_gguf(path: Path) -> KnownTensors:
    header = read_header(path)
    known = {
        tensor.name: KnownTensor(tensor.type.name, tensor.shape, info=tensor) for tensor in header.tensors
    }
    return KnownTensors(known, path.name, header)


def _from_manifest(manifest: Manifest, quantization: str, path: Path) -> FileHash:
    file = _meant(manifest, quantization, path)
    if not file.sha256:
        raise OptionInvalid(
            f"the manifest of {manifest.name} has no sha256 for {file.file_name}",
            hint="compare with another GGUF file, or with what `edge-runtime verify --json` printed",
            option="against",
            value=manifest.name,
        )
    return FileHash(file.sha256, file.size_bytes, f"the manifest of {manifest.name}, {file.quantization}")


def _meant(manifest: Manifest, quantization: str, path: Path) -> ModelFile:
    """The file that was named, or is called so, or is as large; the only one in any case."""
    size_bytes = path.stat().st_size
    rules = (
        lambda file: quantization and file.quantization.lower() == quantization.lower(),
        lambda file: not quantization and file.file_name == path.name,
        lambda file: not quantization and file.size_bytes == size_bytes,
        lambda file: not quantization and len(manifest.files) == 1,
    )
    for rule in rules:
        for file in manifest.files:
            if rule(file):
                return file
    offered = ", ".join(f"{manifest.name}:{file.quantization}" for file in manifest.files)
    raise OptionInvalid(
        f"against: no file of {manifest.name} is called {path.name}",
        hint=f"say which one is meant: {offered}",
        option="against",
        value=manifest.name,
    )


def _from_report(path: Path) -> KnownTensors:
    try:
        if path.stat().st_size > _MAX_REPORT_BYTES:
            raise ValueError(f"larger than {format_bytes(_MAX_REPORT_BYTES)}")
        rows = _contents(json.loads(path.read_text(encoding="utf-8")))["tensors"]
        known = {str(row["name"]): _known(row) for row in rows}
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise OptionInvalid(
            f"against: {path} is not what `edge-runtime verify --json` prints ({error})",
            hint="run `edge-runtime verify FILE --json > report.json` on a file that is known to be good",
            option="against",
            value=str(path),
        ) from error
    return KnownTensors(known, path.name)


def _contents(report: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of the one file that was verified. Raises ValueError, KeyError and TypeError for anything else."""
    files = report["files"]
    if len(files) != 1 or not files[0]["contents"]:
        raise ValueError("it holds no contents of one file")
    contents: Mapping[str, Any] = files[0]["contents"]
    return contents


def _known(row: Mapping[str, Any]) -> KnownTensor:
    return KnownTensor(str(row["type"]), tuple(map(int, row["shape"])), str(row["sha256"]))
