"""Shapes in JSON files. The named ones are in shapes/, and any other file of the same form works:

    {
      "architecture": "llama",            one of the families here
      "vocabulary_tokens": 32000,         rows of token_embd; the tokenizer is cut or padded to it
      "separate_output": true,            an output matrix of its own; false when left out
      "source": "...",                    where the numbers come from; not used
      "hyperparameters": {                GGUF's keys without "llama."
        "block_count": 22,
        "feed_forward_length": {"runs": [["owning", 6144], ["rest", 12288]]},
        "attention.sliding_window_pattern": {"cycle": [true, true, false]}
      }
    }

A value for each layer can be a list, or short: {"cycle": [...]} begins again when it
is through; {"runs": [[10, a], ["owning", b], ["rest", c]]} says how many layers get a
value, "owning" meaning those up to the last that owns a key-value cache. A whole
number is written as UINT32, one with a fraction (1.0) as FLOAT32. With "base": "NAME" a
file says only what differs from a named shape.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType
from typing import Any

from edge_runtime.errors import ModelNotFound, OptionInvalid
from edge_runtime.values.files import expanded
from edge_runtime.values.units import format_bytes

from .families.shape import Shape, invalid

_FOLDER = Path(__file__).parent / "shapes"
_MOST_BYTES = 1_000_000  # of a JSON file
_KEYS = {"architecture", "base", "hyperparameters", "separate_output", "source", "vocabulary_tokens"}


def shape_names() -> tuple[str, ...]:
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.json")))


def shape_named(name: str | Path) -> Shape:
    """A named shape, or the one in a JSON file. Raises ModelNotFound or OptionInvalid."""
    if name in shape_names():
        return _read(_FOLDER / f"{name}.json")
    path = expanded(name)
    if path.suffix == ".json" and path.is_file():
        return _read(path)
    raise ModelNotFound(
        f"no shape is called {str(name)[:80]!r}",
        hint=f"there is: {', '.join(shape_names())}; or give a JSON file like those",
        name=str(name)[:80],
        looked_in=[str(_FOLDER)],
    )


def _read(path: Path) -> Shape:
    content = _content(path)
    unknown = sorted(set(content) - _KEYS)
    if unknown:
        raise _bad_file(path, f"unknown {', '.join(unknown)}; known: {', '.join(sorted(_KEYS))}")
    base = _base(path, content)
    hyperparameters = content.get("hyperparameters", {})
    if not isinstance(hyperparameters, dict):
        raise _bad_file(path, "hyperparameters must be an object")
    shape = Shape(
        path.stem,
        str(content.get("architecture", base.architecture)),
        content.get("vocabulary_tokens", base.vocabulary_tokens),
        MappingProxyType({**base.hyperparameters, **hyperparameters}),
        content.get("separate_output", base.separate_output) is True,
    )
    if not isinstance(shape.vocabulary_tokens, int) or not 0 < shape.vocabulary_tokens < 2**24:
        raise invalid(shape, "vocabulary_tokens", "from 1 to 16 million", shape.vocabulary_tokens)
    return shape


def _base(path: Path, content: dict[str, Any]) -> Shape:
    if "base" not in content:
        return Shape(path.stem, "", 0)
    if content["base"] not in shape_names():
        raise _bad_file(path, f"base must be one of {', '.join(shape_names())}")
    return shape_named(content["base"])


def _content(path: Path) -> dict[str, Any]:
    with path.open("rb") as handle:
        raw = handle.read(_MOST_BYTES + 1)
    try:
        content = json.loads(raw) if len(raw) <= _MOST_BYTES else None
    except (ValueError, RecursionError) as error:
        raise _bad_file(path, str(error)) from error
    if not isinstance(content, dict):
        raise _bad_file(path, f"expected one JSON object of at most {format_bytes(_MOST_BYTES)}")
    return content


def _bad_file(path: Path, problem: str) -> OptionInvalid:
    return OptionInvalid(
        f"{path} is no shape: {problem}",
        hint="see the files in tools/edge_tools/synth/shapes",
        option="SHAPE",
        value=str(path),
    )
