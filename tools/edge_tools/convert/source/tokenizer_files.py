"""The tokenizer's files in a checkpoint, each read once."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from .json_file import read_object_if_there
from .source_error import damaged

_NUMBER = re.compile("[0-9]{1,9}")


class AddedToken(NamedTuple):
    id: int
    text: str
    special: bool


class TokenizerFiles:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.json_path = folder / "tokenizer.json"
        self.config_path = folder / "tokenizer_config.json"
        self.sentencepiece_path = folder / "tokenizer.model"

    @cached_property
    def tokenizer(self) -> dict[str, Any]:
        """tokenizer.json, {} where there is none."""
        return read_object_if_there(self.json_path)

    @cached_property
    def config(self) -> dict[str, Any]:
        """tokenizer_config.json, {} where there is none."""
        return read_object_if_there(self.config_path)

    @cached_property
    def model_config(self) -> dict[str, Any]:
        return read_object_if_there(self.folder / "config.json")

    @property
    def model(self) -> dict[str, Any]:
        """The model in tokenizer.json: vocabulary and merges."""
        return _object(self.tokenizer.get("model"))

    @cached_property
    def added(self) -> tuple[AddedToken, ...]:
        """Tokens that tokenizer.json adds to its vocabulary, in the order there."""
        return tuple(
            added_token(self.json_path, entry.get("id"), entry)
            for entry in _list(self.tokenizer.get("added_tokens"))
            if isinstance(entry, dict)
        )

    @cached_property
    def added_by_config(self) -> tuple[AddedToken, ...]:
        """Tokens that tokenizer_config.json adds, in the order there."""
        entries = _object(self.config.get("added_tokens_decoder"))
        return tuple(added_token(self.config_path, key, _object(entry)) for key, entry in entries.items())

    def special_texts(self) -> set[str]:
        """The texts of bos_token, eos_token and all others that have a name, or are listed as special."""
        named = [value for key, value in self.config.items() if key.endswith("_token")]
        for key in ("extra_special_tokens", "additional_special_tokens"):
            listed = self.config.get(key)
            named += listed.values() if isinstance(listed, dict) else _list(listed)
        return {text for text in map(token_text, named) if text is not None}


def token_text(entry: Any) -> str | None:
    """Of a token in tokenizer_config.json, which is a text or an object with one."""
    text = entry.get("content") if isinstance(entry, dict) else entry
    return text if isinstance(text, str) else None


def added_token(path: Path, number: Any, entry: dict[str, Any]) -> AddedToken:
    text = token_text(entry)
    if text is None or not _NUMBER.fullmatch(str(number)):
        raise damaged(path, f"adds the token {str(entry)[:60]} with the number {str(number)[:20]}")
    return AddedToken(int(number), text, entry.get("special") is True)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
