"""Metadata that says where a model comes from: name, size, licence, base models, generation defaults.

Source of the keys: llama.cpp gguf-py/gguf/metadata.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_runtime.errors import ConversionError
from edge_runtime.gguf.writing import HeaderValue

from ..metadata_text import size_label
from .model_card import CardValue, read_card
from .source.config import LARGEST_FRACTION
from .source.json_file import read_object_if_there

_FRACTIONS = {
    "top_p": "top_p",
    "min_p": "min_p",
    "xtc_probability": "xtc_probability",
    "xtc_threshold": "xtc_threshold",
    "temperature": "temp",
    "repetition_penalty": "penalty_repeat",
    "penalty_repeat": "penalty_repeat",
    "mirostat_tau": "mirostat_tau",
    "mirostat_eta": "mirostat_eta",
}
_NUMBERS = {"top_k": "top_k", "penalty_last_n": "penalty_last_n", "mirostat": "mirostat"}
_CARD_KEYS = {
    "author": "author",
    "organization": "organization",
    "description": "description",
    "license": "license",
    "license_name": "license.name",
    "license_link": "license.link",
}
_HUB_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_VERSION = re.compile(r"v\d+(\.\d+)*|\d.*")


def general_metadata(
    folder: Path, config: Mapping[str, Any], parameters: int | None
) -> dict[str, HeaderValue]:
    """All keys that begin with `general.`, except for architecture and file type.

    `parameters` is None where the file has no size worth a name: an adapter's.
    """
    card = read_card(folder / "README.md")
    metadata = _sampling(folder)
    metadata["general.name"] = _name(folder, config, card)
    if parameters is not None:
        metadata["general.size_label"] = size_label(parameters)
    for key, name in _CARD_KEYS.items():
        if key in card:
            metadata[f"general.{name}"] = ",".join(_list(card[key]))
    metadata |= _origins("base_model", _list(card.get("base_model") or card.get("base_models")))
    metadata |= _origins("dataset", _list(card.get("datasets") or card.get("dataset")))
    lists = {"tags": ("tags", "pipeline_tag"), "languages": ("languages", "language")}
    for name, keys in lists.items():
        if items := [item.encode() for key in keys for item in _list(card.get(key))]:
            metadata[f"general.{name}"] = items
    return metadata


def _sampling(folder: Path) -> dict[str, HeaderValue]:
    """What the model's makers advise; a file that cannot be read advises nothing."""
    try:
        said = read_object_if_there(folder / "generation_config.json")
    except ConversionError:
        return {}
    metadata: dict[str, HeaderValue] = {}
    for key, name in _FRACTIONS.items():
        value = said.get(key)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_FRACTION:
            metadata[f"general.sampling.{name}"] = float(value)
    for key, name in _NUMBERS.items():
        if isinstance(said.get(key), int) and not isinstance(said[key], bool) and 0 <= said[key] < 2**31:
            metadata[f"general.sampling.{name}"] = int(said[key])
    return metadata


def _name(folder: Path, config: Mapping[str, Any], card: dict[str, CardValue]) -> str:
    said = card.get("name") or card.get("model_name")
    if isinstance(said, str):
        return said
    path = config.get("_name_or_path")
    known = path if isinstance(path, str) and path and path.count("/") <= 1 else folder.resolve().name
    return title(known.split("/")[-1]) or "model"


def title(name: str) -> str:
    """ "gemma-3n-E2B-it" -> "Gemma 3n E2B It"; versions and abbreviations stay as they are."""
    words = name.strip().replace("-", " ").split()
    return " ".join(
        word.title() if word.islower() and not _VERSION.fullmatch(word) else word for word in words
    )


def _origins(kind: str, names: list[str]) -> dict[str, HeaderValue]:
    """Hugging Face names, `organization/name`, under general.base_model.0 and so on.

    PEFT writes a folder's path where it loaded the base model from one: nobody's business but its last part.
    """
    if not names:
        return {}
    metadata: dict[str, HeaderValue] = {f"general.{kind}.count": len(names)}
    for number, name in enumerate(names):
        *before, own = re.split(r"[/\\]", name.rstrip("/\\"))
        metadata[f"general.{kind}.{number}.name"] = title(own)
        if _HUB_NAME.fullmatch(name):
            organization = before[0]
            metadata[f"general.{kind}.{number}.organization"] = title(organization)
            metadata[f"general.{kind}.{number}.repo_url"] = f"https://huggingface.co/{name}"
    return metadata


def _list(value: CardValue | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])
