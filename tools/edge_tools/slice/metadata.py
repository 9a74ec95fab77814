"""The metadata of the slice: the source's, except for what the cut changes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.layer_patterns import SHARED_LAYERS, WINDOW_PATTERN
from edge_runtime.gguf.writing import ALIGNMENT_BYTES, HeaderValue, as_in, raw_metadata

from ..metadata_text import size_label
from .matformer import MatFormer
from .plan import SlicePlan


def slice_metadata(source: MatFormer, plan: SlicePlan, parameters: int) -> dict[str, HeaderValue]:
    """In the source's order; a pattern of windows that it left out comes last.

    Raises ModelFileInvalid when the file has become shorter.
    """
    header = source.header
    raw = raw_metadata(header)
    metadata: dict[str, HeaderValue] = {
        key: value for key, value in raw.items() if not key.startswith("split.")
    }
    for key, number in _numbers(source, plan, parameters):
        if isinstance(header.metadata.get(key), int):
            metadata[key] = as_in(raw[key], number)
    metadata |= _per_layer(source, plan)
    metadata |= _texts(header, plan, parameters)
    return metadata


def _numbers(source: MatFormer, plan: SlicePlan, parameters: int) -> Iterator[tuple[str, int]]:
    """For keys that hold one number; those that are absent stay so."""
    layers = len(plan.kept)
    yield "gemma3n.block_count", layers
    yield "gemma3n.feed_forward_length", plan.feed_forward
    yield f"gemma3n.{SHARED_LAYERS}", source.shared_layers(layers)
    yield "general.parameter_count", parameters
    yield "general.alignment", ALIGNMENT_BYTES


def _per_layer(source: MatFormer, plan: SlicePlan) -> dict[str, HeaderValue]:
    """Lists with a value for each layer, in the type they have."""
    lists: dict[str, HeaderValue] = {}
    for key, value in source.header.metadata.items():
        if not key.startswith("gemma3n.") or not isinstance(value, np.ndarray):
            continue
        if key == "gemma3n.feed_forward_length":
            lists[key] = np.full(len(plan.kept), plan.feed_forward, value.dtype)
        elif key == f"gemma3n.{WINDOW_PATTERN}":  # it may be longer or shorter than the layers are many
            lists[key] = np.array(plan.slides, value.dtype)
        elif len(value) == source.layers:
            lists[key] = value[list(plan.kept)]
    # Without a list llama.cpp repeats the first layers' pattern.
    if f"gemma3n.{WINDOW_PATTERN}" not in lists and plan.slides != source.slides[: len(plan.slides)]:
        lists[f"gemma3n.{WINDOW_PATTERN}"] = np.array(plan.slides)
    return lists


def _texts(header: GgufHeader, plan: SlicePlan, parameters: int) -> dict[str, HeaderValue]:
    texts: dict[str, HeaderValue] = {}
    if header.name is not None:
        sliced = f"sliced to {plan.target.name}" if plan.target else "sliced"
        shape = f"{len(plan.kept)} layers, feed-forward {plan.feed_forward}"
        texts["general.name"] = f"{header.name} ({sliced}: {shape})"
    if "general.size_label" in header.metadata:
        texts["general.size_label"] = size_label(parameters)
    return texts
