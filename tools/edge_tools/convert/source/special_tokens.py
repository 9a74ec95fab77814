"""Special tokens: those that begin and end a text, whether they are added, and the chat template.

Source of the rules: llama.cpp gguf-py/gguf/vocab.py, SpecialVocab. tokenizer.json says what is added
around a text; tokenizer_config.json names the tokens; config.json has the numbers of those left.
"""

from __future__ import annotations

import re
from typing import Any

from edge_runtime.gguf.writing import HeaderValue
from edge_runtime.values.units import format_bytes

from .json_file import read_object_if_there
from .source_error import damaged
from .tokenizer_files import TokenizerFiles, token_text

_ID_KEYS = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "unk": "unknown_token_id",
    "sep": "seperator_token_id",  # spelled like this in GGUF
    "pad": "padding_token_id",
    "mask": "mask_token_id",
    "eot": "eot_token_id",
    "eom": "eom_token_id",
}
_KINDS = ("bos", "eos", "unk", "sep", "pad", "mask")
_LARGEST_ID = 2**31
_MOST_TEMPLATE_BYTES = 4_000_000


def special_metadata(files: TokenizerFiles, tokens: int | None = None) -> dict[str, HeaderValue]:
    """`tokens`: numbers from it on are left out. Raises ConversionError."""
    rules = _Rules(files)
    metadata: dict[str, HeaderValue] = {}
    for kind, number in rules.ids().items():
        if 0 <= number < (_LARGEST_ID if tokens is None else tokens):
            metadata[f"tokenizer.ggml.{_ID_KEYS[kind]}"] = number
    for kind, is_added in rules.added.items():
        metadata[f"tokenizer.ggml.add_{kind}_token"] = is_added
    return metadata | (_template_metadata(files) if files.config else {})


class _Rules:
    """What the two tokenizer files say, put together."""

    def __init__(self, files: TokenizerFiles) -> None:
        self._files = files
        self.added: dict[str, bool] = {}  # "bos" -> whether it is put before every text
        self._entries = {kind: files.config.get(f"{kind}_token") for kind in (*_KINDS, "cls")}
        self._kinds = list(_KINDS)
        self._entries["bos"] = self._entries["bos"] or self._entries["cls"]
        self._entries["eos"] = self._entries["eos"] or self._entries["sep"]
        for step in _steps(files.tokenizer.get("post_processor")):
            self._apply(step)
        for kind in ("bos", "eos", "sep"):
            said = files.config.get(f"add_{kind}_token")
            if isinstance(said, bool):
                self.added.setdefault(kind, said)

    def ids(self) -> dict[str, int]:
        """Kind -> number of the token. tokenizer.json's number goes before config.json's."""
        numbers = (
            {token.text: token.id for token in reversed(self._files.added)} if self._files.config else {}
        )
        model, text = self._files.model_config, self._files.model_config.get("text_config")
        found: dict[str, int] = {}
        for kind in self._kinds:
            key = f"{kind}_token_id"
            said = model.get(key)
            if said is None and isinstance(text, dict):
                said = text.get(key)
            number = numbers.get(token_text(self._entries.get(kind)) or "", said)
            if isinstance(number, int) and not isinstance(number, bool):
                found[kind] = number
        return found

    def _apply(self, step: dict[str, Any]) -> None:
        if step.get("type") == "ByteLevel":
            self.added.setdefault("bos", False)
            self.added.setdefault("eos", False)
        elif step.get("type") == "TemplateProcessing":
            single = _template(step, "single")
            first = _special(single[0]) if len(single) > 1 else None
            last = _special(single[-1]) if len(single) > 1 else None
            self._begin(first)
            self._end(last)
            self._between(_template(step, "pair"), first, last)

    def _begin(self, first: str | None) -> None:
        if first is None:
            return
        if first not in (self._entries["bos"], self._entries["cls"]):
            self._entries["bos"] = self._entries["bos"] or first
            self._entries["cls"] = self._entries["cls"] or first
        self.added["bos"] = first in (self._entries["bos"], self._entries["cls"])

    def _end(self, last: str | None) -> None:
        """Where a text ends with another token than the named one, the named one ends a turn."""
        if last is None:
            return
        if self._files.config and last != self._entries["eos"]:
            self._entries["eot"] = self._entries["eos"]
            self._kinds.append("eot")
        self._entries["eos"] = last
        self.added["eos"] = True

    def _between(self, pair: list[dict[str, Any]], first: str | None, last: str | None) -> None:
        """Whether a separator stands between two texts."""
        begin = 1 if pair and first and _special(pair[0]) == first else 0
        end = len(pair) - 1 if pair and last and _special(pair[-1]) == last else len(pair)
        inner = pair[begin:end]
        if len(inner) < 3 or _text_of(inner[0]) != "A" or _text_of(inner[-1]) != "B":
            return
        separators = [text for text in (self._entries["sep"], self._entries["eos"]) if text]
        middle = [_special(item) for item in inner[1:-1]]
        is_first = middle[0] in separators and not last
        self.added["sep"] = is_first or (len(middle) == 2 and middle[1] in separators)
        if self.added["sep"]:
            self._entries["sep"] = self._entries["sep"] or self._entries["eos"]


def _steps(post_processor: Any) -> list[dict[str, Any]]:
    if not isinstance(post_processor, dict):
        return []
    steps = post_processor.get("processors", [post_processor])
    return [step for step in steps if isinstance(step, dict)] if isinstance(steps, list) else []


def _template(step: dict[str, Any], name: str) -> list[dict[str, Any]]:
    items = step.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _special(item: dict[str, Any]) -> str | None:
    inner = item.get("SpecialToken")
    found = inner.get("id") if isinstance(inner, dict) else None
    return found if isinstance(found, str) else None


def _text_of(item: dict[str, Any]) -> object:
    inner = item.get("Sequence")
    return inner.get("id") if isinstance(inner, dict) else None


def _template_metadata(files: TokenizerFiles) -> dict[str, HeaderValue]:
    template = files.config.get("chat_template", _template_beside(files))
    if isinstance(template, str):
        return {"tokenizer.chat_template": template}
    metadata: dict[str, HeaderValue] = {}
    for choice in template if isinstance(template, list) else []:
        name = re.sub("[^A-Za-z0-9]", "_", str(choice.get("name", ""))) if isinstance(choice, dict) else ""
        if name and isinstance(choice.get("template"), str):
            key = "tokenizer.chat_template" + ("" if name == "default" else f".{name}")
            metadata[key] = choice["template"]
    names = sorted(key.split(".")[2] for key in metadata if key.count(".") == 2)
    return {**metadata, "tokenizer.chat_templates": [n.encode() for n in names]} if names else metadata


def _template_beside(files: TokenizerFiles) -> object:
    """In chat_template.jinja, more of them in a folder; or, older, in chat_template.json."""
    path = files.folder / "chat_template.jinja"
    if not path.is_file():
        return read_object_if_there(files.folder / "chat_template.json").get("chat_template")
    others = sorted((files.folder / "additional_chat_templates").glob("*.jinja"))
    if not others:
        return _text(path)
    named = [{"name": other.stem, "template": _text(other)} for other in others]
    return [{"name": "default", "template": _text(path)}, *named]


def _text(path: Any) -> str:
    try:
        raw: bytes = path.read_bytes()
        if len(raw) > _MOST_TEMPLATE_BYTES:
            raise damaged(path, f"is larger than {format_bytes(_MOST_TEMPLATE_BYTES)}")
        return raw.decode().replace("\r\n", "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise damaged(path, f"cannot be read: {error}") from error
