"""Conversion of a PEFT LoRA adapter to a GGUF file that llama.cpp adds to a model."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from edge_runtime.errors import ConversionError, ModelNotFound, OptionInvalid
from edge_runtime.gguf.writing import HeaderValue
from edge_runtime.values.output_file import check_output
from edge_runtime.values.progress import QUIET, Progress

from .adapter_config import MERGE, AdapterConfig, base_folder, read_adapter_config
from .adapter_pairs import find_pairs
from .adapter_weights import fill_adapter
from .convert import TYPES
from .families import family_of
from .general import general_metadata
from .source.config import read_config
from .source.safetensors_file import StoredTensor, read_tensors
from .written import Converted, write_filled

WEIGHTS_NAME = "adapter_model.safetensors"
ADAPTER_TYPES = ("f32", "f16", "bf16")


def convert_adapter(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    type: str = "f32",
    *,
    base: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress = QUIET,
) -> Converted:
    """Write the adapter in `folder` to the GGUF file `path`; an existing one only with `force`.

    `base` is the folder of the model it was made for, of which only config.json is read; by default
    the folder that the adapter names. `type` is one of ADAPTER_TYPES.

    Raises ModelNotFound, ModelUnsupported (a base model that is not known), ConversionError (an
    adapter that is damaged, does not fit, or is no plain LoRA), OptionInvalid or StorageFull.
    """
    _check_type(type)
    path, folder = Path(path), Path(folder)
    check_output(path, force)
    if not folder.is_dir():
        hint = "give the folder of a PEFT adapter: adapter_config.json, adapter_model.safetensors"
        raise ModelNotFound(f"{folder} is no folder", hint=hint, name=str(folder), looked_in=[str(folder)])
    adapter = read_adapter_config(folder)
    config = read_config(base_folder(adapter, Path(base) if base is not None else None))
    family = family_of(config)
    pairs = find_pairs(_tensors(folder), family, config.with_defaults(family.defaults))
    if not pairs:
        raise ConversionError(
            f"{WEIGHTS_NAME} has nothing for the language part of the model", hint=MERGE, path=str(folder)
        )
    weights = fill_adapter(adapter, pairs, TYPES[type][0])
    metadata = {
        "general.architecture": family.gguf_architecture,
        **_metadata(folder, adapter, weights.alpha),
    }
    size_bytes = write_filled(
        path, metadata, weights.filled, force=force, smaller="use type='f16'", progress=progress
    )
    parameters = sum(half.target.elements for half in weights.filled)
    return Converted(path, family.gguf_architecture, type, len(weights.filled), parameters, size_bytes)


def _check_type(name: str) -> None:
    if name not in ADAPTER_TYPES:
        raise OptionInvalid(
            f"an adapter cannot be of the type {name[:40]!r}",
            hint=f"choose one of {', '.join(ADAPTER_TYPES)}; a quantized model takes any of them",
            option="type",
            value=name[:40],
            allowed=", ".join(ADAPTER_TYPES),
        )


def _tensors(folder: Path) -> list[StoredTensor]:
    path = folder / WEIGHTS_NAME
    if not path.is_file():
        raise ConversionError(
            f"{folder} has no {WEIGHTS_NAME}",
            hint="an adapter in adapter_model.bin cannot be converted: save it as safetensors",
            path=str(folder),
        )
    return list(read_tensors(path).values())


def _metadata(folder: Path, adapter: AdapterConfig, alpha: float) -> dict[str, HeaderValue]:
    """Source: llama.cpp convert_lora_to_gguf.py, and src/llama-adapter.cpp, which reads it."""
    metadata: dict[str, HeaderValue] = {
        "general.type": "adapter",
        "adapter.type": "lora",
        **general_metadata(folder, {}, None),
        "adapter.lora.alpha": alpha,
        "general.quantization_version": 2,
    }
    if adapter.invocation_tokens:
        metadata["adapter.alora.invocation_tokens"] = np.array(adapter.invocation_tokens, "<u4")
    return metadata
