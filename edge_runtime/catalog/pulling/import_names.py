"""Names in the store for files that come from elsewhere: plain letters, and no two alike."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from pathlib import Path

from ...errors import OptionInvalid
from ...gguf.header import SPLIT_NAME
from ...values.files import hash_file
from ..store import is_unchanged, model_file, model_folder, read_record

_MOST_NAME, _MOST_STEM = 64, 190  # characters
_HASH_CHARACTERS = 8


def model_name(path: Path) -> str:
    """'Big Model-00001-of-00002.gguf' -> 'big-model', '名前.gguf' -> 'model-f04c1d2b'."""
    stem = _whole_stem(path)
    plain = _plain(stem.lower(), r"[^a-z0-9._-]+")
    return _told_apart(plain, stem, _MOST_NAME)


def stored_file_name(path: Path) -> str:
    """Likewise of the file; parts of a split set keep their numbers."""
    stem = _whole_stem(path)
    plain = _plain(stem, r"[^A-Za-z0-9._+-]+")
    return f"{_told_apart(plain, stem, _MOST_STEM)}{path.stem.removeprefix(stem)}.gguf"


def refuse_replacing(path: Path, name: str, file_name: str, sha256: str, *, was_wanted: bool) -> None:
    """Raises OptionInvalid where a file of this name and hash would take another model's place.

    was_wanted: whether the user gave the name: then it may have several files, as a model with
    several quantizations has.
    """
    final = model_file(name, file_name)
    if final.is_file():
        others = [] if _sha256_of(final) == sha256 else [final]
    elif was_wanted:
        others = []
    else:
        stem = _whole_stem(final)
        others = [other for other in model_folder(name).glob("*.gguf") if _whole_stem(other) != stem]
    if others:
        raise OptionInvalid(
            f"name: {name!r} is the name of another model here, {others[0].name}; "
            f"{path.name} would take its place",
            hint=f"import it under a name of its own: name=; or first `edge-runtime models remove {name}`",
            option="name",
            value=name,
        )


def _whole_stem(path: Path) -> str:
    """Without the number of a part of a split set."""
    found = SPLIT_NAME.fullmatch(path.name)
    return found["stem"] if found else path.stem


def _plain(text: str, others: str) -> str:
    letters = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return re.sub(others, "-", letters).strip("-._+")


def _told_apart(plain: str, text: str, most: int) -> str:
    """With a hash, where letters were lost: other texts may look the same without them."""
    if text.isascii() and 0 < len(plain) <= most:
        return plain
    composed = unicodedata.normalize("NFC", text)  # macOS takes letters and accents apart
    digest = hashlib.sha256(composed.encode("utf-8", "surrogateescape")).hexdigest()[:_HASH_CHARACTERS]
    return f"{plain[: most - _HASH_CHARACTERS - 1].rstrip('-._+') or 'model'}-{digest}"


def _sha256_of(path: Path) -> str:
    record = read_record(path)
    return record.sha256 if record and is_unchanged(path, record) else hash_file(path)
