"""The header of a GGUF model file, read without its weights.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. The limits are
those of llama.cpp's own reader (ggml/src/gguf.cpp at 0c1e57098) or tighter.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import ModelFileInvalid
from ..values.files import GIT_LFS_HINT
from .cursor import COPY_AGAIN, MAX_HEADER_BYTES, Cursor, model_not_found, open_model
from .tensor_table import read_tensors
from .types import NUMBER_DTYPES, GgufStringArray, GgufValueType, TensorInfo

MetadataValue = int | float | bool | str | NDArray[np.generic] | GgufStringArray

# Our own limits, far above any real model: the largest known have 2,000 tensors
# and half a million merges.
_MAX_KEYS = 20_000
_MAX_TENSORS = 100_000
_MAX_STRINGS = 4_000_000
_MAX_SPLITS = 1_000
_MAX_KEY_BYTES = 65_535  # the specification's

SPLIT_NAME = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
_LOOKS_LIKE = {
    b"vers": f"a Git LFS pointer: {GIT_LFS_HINT}",
    b"<!DO": "a web page: the download address was wrong, or asked for a login",
    b"<htm": "a web page: the download address was wrong, or asked for a login",
    b"PK\x03\x04": "a zip archive: unpack it, or convert the model to GGUF",
    b"lmgg": "a GGML file from before GGUF: look for a GGUF version of the model",
    b"tjgg": "a GGML file from before GGUF: look for a GGUF version of the model",
}


@dataclass(frozen=True, eq=False)
class GgufHeader:
    """Metadata and tensor table of one model, which may lie in several files."""

    path: Path  # the file that was asked for, the first of a split set
    paths: tuple[Path, ...]  # all files, in order
    version: int
    metadata: Mapping[str, MetadataValue]  # the first file's
    tensors: tuple[TensorInfo, ...]  # of all files
    data_offset_bytes: int  # where the first file's weights begin
    file_size_bytes: int  # of all files together
    # From where a value's type stands in the first file to where the value ends.
    value_spans: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def architecture(self) -> str | None:
        return self._text("general.architecture")

    @property
    def name(self) -> str | None:
        return self._text("general.name")

    @property
    def chat_template(self) -> str | None:
        return self._text("tokenizer.chat_template")

    @property
    def vocabulary_size(self) -> int:
        """Tokens the tokenizer knows; 0 when the file has no vocabulary."""
        tokens = self.metadata.get("tokenizer.ggml.tokens")
        return len(tokens) if isinstance(tokens, GgufStringArray) else 0

    @property
    def context_length(self) -> int | None:
        """Tokens the model was trained for."""
        return self._count("context_length")

    @property
    def block_count(self) -> int | None:
        return self._count("block_count")

    @property
    def tensor_bytes(self) -> int:
        """All weights; the padding between them is not counted."""
        return sum(tensor.size_bytes for tensor in self.tensors)

    def hyperparameter(self, key: str) -> MetadataValue | None:
        """'attention.head_count' -> the value of 'llama.attention.head_count'."""
        return self.metadata.get(f"{self.architecture}.{key}")

    def invalid(self, key: str, expected: str, found: object) -> ModelFileInvalid:
        """The error that says so of a metadata value, or of a tensor."""
        shown = str(found)[:80]
        return ModelFileInvalid(
            f"{self.path.name} is damaged at {key}: expected {expected}, found {shown}",
            hint=COPY_AGAIN,
            path=str(self.path),
            key=key,
            expected=expected,
            found=shown,
        )

    def _text(self, key: str) -> str | None:
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def _count(self, key: str) -> int | None:
        value = self.hyperparameter(key)
        return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_header(path: str | os.PathLike[str]) -> GgufHeader:
    """Metadata and tensor table of a GGUF file (versions 2 and 3, little-endian).

    Of a split set, give the first file: the others are found beside it. The
    weights are not looked at, and the values are not judged: see check_header.

    Raises ModelNotFound, ModelFileInvalid (facts: path, offset, expected, found)
    or ModelUnsupported.
    """
    path = Path(path)
    first = _read_file(path, file_index=0)
    files = [first]
    paths = _split_paths(path, first)
    for index, other in enumerate(paths[1:], start=1):
        files.append(_read_file(other, file_index=index))
        _check_split_number(other, files[-1], index)
    tensors = tuple(tensor for file in files for tensor in file.tensors)
    _check_split_tensors(path, first.metadata, tensors)
    return _header_of(path, paths, first, tensors, sum(file.size_bytes for file in files))


def first_of_set(path: Path) -> Path:
    """The first file of the split set that `path` is a part of by its name; else `path` itself."""
    found = SPLIT_NAME.fullmatch(path.name)
    return path.with_name(f"{found['stem']}-00001-of-{found['count']}.gguf") if found else path


def read_one_file(path: Path, *, total_bytes: int = 0, shown_as: Path | None = None) -> GgufHeader | None:
    """The header of one file by itself, be it one of a split set, or still arriving.

    total_bytes: how large the file will be once it is complete; the tensors must fit into that.
    shown_as: the path that errors name, where the file has another one for the time being.
    Returns None while the header itself is not complete. Raises as read_header() does.
    """
    with open_model(path) as cursor:
        cursor.path = shown_as or path
        cursor.size_bytes = max(cursor.size_bytes, total_bytes)
        try:
            file = _read_open_file(cursor, file_index=0)
        except ModelFileInvalid:
            if cursor.fell_short:
                return None
            raise
    path = shown_as or path
    return _header_of(path, (path,), file, file.tensors, file.size_bytes)


def _header_of(
    path: Path, paths: tuple[Path, ...], first: _File, tensors: tuple[TensorInfo, ...], size_bytes: int
) -> GgufHeader:
    return GgufHeader(
        path=path,
        paths=paths,
        version=first.version,
        metadata=first.metadata,
        tensors=tensors,
        data_offset_bytes=first.data_offset_bytes,
        file_size_bytes=size_bytes,
        value_spans=first.value_spans,
    )


@dataclass(frozen=True)
class _File:
    version: int
    metadata: dict[str, MetadataValue]
    value_types: dict[str, GgufValueType]
    value_spans: dict[str, tuple[int, int]]
    tensors: tuple[TensorInfo, ...]
    data_offset_bytes: int
    size_bytes: int


def _read_file(path: Path, file_index: int) -> _File:
    with open_model(path) as cursor:
        return _read_open_file(cursor, file_index)


def _read_open_file(cursor: Cursor, file_index: int) -> _File:
    version = _read_version(cursor)
    tensor_count = cursor.count(_MAX_TENSORS, "tensors")
    key_count = cursor.count(_MAX_KEYS, "metadata keys")
    metadata, value_types, spans = _read_metadata(cursor, key_count)
    alignment = _alignment_bytes(cursor, metadata, value_types)
    tensors, data_offset_bytes = read_tensors(cursor, tensor_count, alignment, file_index)
    return _File(version, metadata, value_types, spans, tensors, data_offset_bytes, cursor.size_bytes)


def _read_version(cursor: Cursor) -> int:
    magic = cursor.take(4, "the letters GGUF")
    if magic != b"GGUF":
        hint = f"this looks like {_LOOKS_LIKE[magic]}" if magic in _LOOKS_LIKE else COPY_AGAIN
        raise cursor.damaged("the letters GGUF", repr(magic), at=0, hint=hint)
    version = cursor.u32("the format version")
    if version in (2, 3):
        return version
    if version & 0xFFFF == 0 and version:  # 3 as a big-endian machine writes it
        raise cursor.unsupported("is big-endian; only little-endian files can be used", version)
    raise cursor.unsupported(f"is GGUF version {version}; versions 2 and 3 can be used", version)


def _read_metadata(
    cursor: Cursor, key_count: int
) -> tuple[dict[str, MetadataValue], dict[str, GgufValueType], dict[str, tuple[int, int]]]:
    """Values, their types, and where they stand."""
    metadata: dict[str, MetadataValue] = {}
    value_types: dict[str, GgufValueType] = {}
    spans: dict[str, tuple[int, int]] = {}
    for _ in range(key_count):
        at = cursor.position
        key = cursor.name(_MAX_KEY_BYTES, "a key")
        if key in metadata or not key:
            raise cursor.damaged("a key that is new and not empty", repr(key[:60]), at=at)
        start = cursor.position
        value_types[key] = _read_value_type(cursor, key)
        metadata[key] = _read_value(cursor, key, value_types[key])
        spans[key] = start, cursor.position
    return metadata, value_types, spans


def _read_value_type(cursor: Cursor, key: str) -> GgufValueType:
    at = cursor.position
    number = cursor.u32(f"the type of {key[:60]}")
    try:
        return GgufValueType(number)
    except ValueError:
        raise cursor.damaged(f"a value type from 0 to 12 for {key[:60]}", number, at=at) from None


def _read_value(cursor: Cursor, key: str, kind: GgufValueType) -> MetadataValue:
    if kind is GgufValueType.ARRAY:
        return _read_array(cursor, key)
    if kind is GgufValueType.STRING:
        return cursor.text(MAX_HEADER_BYTES, f"the text of {key[:60]}").decode("utf-8", "replace")
    return _read_numbers(cursor, key, kind, 1)[0].item()  # type: ignore[no-any-return]


def _read_array(cursor: Cursor, key: str) -> MetadataValue:
    kind = _read_value_type(cursor, key)
    if kind is GgufValueType.ARRAY:
        raise cursor.unsupported(f"has lists inside a list in {key[:60]}", "nested array")
    if kind is GgufValueType.STRING:
        return cursor.strings(cursor.count(_MAX_STRINGS, f"strings in {key[:60]}"), f"string in {key[:60]}")
    return _read_numbers(cursor, key, kind, cursor.count(MAX_HEADER_BYTES, f"numbers in {key[:60]}"))


def _read_numbers(cursor: Cursor, key: str, kind: GgufValueType, count: int) -> NDArray[np.generic]:
    """(count,) read-only."""
    dtype = NUMBER_DTYPES[kind]
    raw = cursor.take(count * dtype.itemsize, f"the value of {key[:60]}")
    numbers = np.frombuffer(raw, dtype)
    return numbers != 0 if kind is GgufValueType.BOOL else numbers


def _alignment_bytes(
    cursor: Cursor, metadata: Mapping[str, MetadataValue], value_types: Mapping[str, GgufValueType]
) -> int:
    alignment = metadata.get("general.alignment", 32)
    right_type = value_types.get("general.alignment", GgufValueType.UINT32) is GgufValueType.UINT32
    if not (right_type and isinstance(alignment, int) and alignment > 0 and alignment.bit_count() == 1):
        raise cursor.damaged("a power of two (UINT32) as general.alignment", repr(alignment))
    return alignment


def _split_paths(path: Path, first: _File) -> tuple[Path, ...]:
    """All files of the set that `path` begins; just `path` when it is whole."""
    count = first.metadata.get("split.count", 0)
    if not isinstance(count, int) or count <= 1:
        return (path,)
    found = SPLIT_NAME.fullmatch(path.name)
    if found is None or int(found["count"]) != count or count > _MAX_SPLITS:
        expected = f"a name like model-00001-of-{count:05}.gguf"
        raise _split_invalid(path, expected, path.name, "give the file its original name again")
    paths = [
        path.with_name(f"{found['stem']}-{number:05}-of-{count:05}.gguf") for number in range(1, count + 1)
    ]
    if paths[0] != path:
        raise _split_invalid(path, f"the first of {count} files", path.name, f"give {paths[0].name} instead")
    _check_split_number(path, first, 0)
    for other in paths:
        if not other.exists():
            hint = f"all {count} files must lie in one folder: fetch {other.name} too"
            raise model_not_found(other, f"is missing; {path.name} needs it", hint)
    return tuple(paths)


def _check_split_number(path: Path, file: _File, index: int) -> None:
    right_type = file.value_types.get("split.no") is GgufValueType.UINT16  # else llama.cpp aborts
    if not right_type or file.metadata["split.no"] != index:
        found = repr(file.metadata.get("split.no"))
        raise _split_invalid(path, f"split.no {index} (UINT16)", found, COPY_AGAIN)


def _check_split_tensors(
    path: Path, metadata: Mapping[str, MetadataValue], tensors: tuple[TensorInfo, ...]
) -> None:
    if len({tensor.name for tensor in tensors}) != len(tensors):
        raise _split_invalid(path, "each tensor in one file only", "one in several", COPY_AGAIN)
    expected = metadata.get("split.tensors.count")
    if "split.count" in metadata and isinstance(expected, int) and expected != len(tensors):
        raise _split_invalid(path, f"{expected} tensors in the set", len(tensors), COPY_AGAIN)


def _split_invalid(path: Path, expected: str, found: object, hint: str) -> ModelFileInvalid:
    message = f"{path.name} does not fit its split set: expected {expected}, found {found}"
    return ModelFileInvalid(message, hint=hint, path=str(path), expected=expected, found=found)
