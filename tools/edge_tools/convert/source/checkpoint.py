"""A Hugging Face checkpoint in a folder: its config, and its tensors in one or many safetensors files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from edge_runtime.errors import ConversionError, ModelNotFound

from .config import Config, read_config
from .json_file import read_object
from .safetensors_file import StoredTensor, read_tensors
from .source_error import bad_tensor, damaged

INDEX_NAME = "model.safetensors.index.json"
_SHARD_NAME = re.compile(r"[^/\\\0]{1,200}\.safetensors")


class Checkpoint:
    def __init__(self, folder: Path) -> None:
        """Raises ModelNotFound or ConversionError."""
        if not folder.is_dir():
            raise ModelNotFound(
                f"{folder} is no folder",
                hint="give the folder of a Hugging Face checkpoint: config.json, *.safetensors, a tokenizer",
                name=str(folder),
                looked_in=[str(folder)],
            )
        self.folder = folder
        self.config: Config = read_config(folder)
        self.tensors: Mapping[str, StoredTensor] = _all_tensors(folder)


def _all_tensors(folder: Path) -> dict[str, StoredTensor]:
    """By file name, then by tensor name: the order llama.cpp's converter has."""
    index = folder / INDEX_NAME
    places = _weight_map(index) if index.exists() else {}
    names = sorted(set(places.values())) or _files_without_index(folder)
    tensors: dict[str, StoredTensor] = {}
    for name in names:
        for tensor in read_tensors(folder / name).values():
            if tensor.name in tensors:
                raise bad_tensor(tensor.path, tensor.name, f"is in {tensors[tensor.name].path.name} too")
            tensors[tensor.name] = tensor
    for tensor_name, file_name in places.items():
        if tensor_name not in tensors:
            raise bad_tensor(folder / file_name, tensor_name, f"is missing, although {INDEX_NAME} lists it")
    return tensors


def _files_without_index(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.glob("model*.safetensors"))
    if names:
        return names
    raise ConversionError(
        f"{folder} has no model.safetensors",
        hint="weights in pytorch_model.bin cannot be converted: fetch the safetensors version of the model",
        path=str(folder),
    )


def _weight_map(index: Path) -> dict[str, str]:
    """Tensor name -> file name, as the index says; only plain names of files beside it."""
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise damaged(index, "has no weight_map")
    for name in set(map(str, places.values())):
        if not _SHARD_NAME.fullmatch(name):
            raise damaged(
                index,
                f"names the file {name[:120]!r}; only safetensors files in its own folder can be read",
                hint="this index was not made by Hugging Face's tools: do not trust the checkpoint",
                file=name[:200],
            )
        if not (index.parent / name).is_file():
            raise damaged(index.parent / name, f"is missing, although {index.name} lists it")
    return {str(tensor): str(name) for tensor, name in places.items()}
