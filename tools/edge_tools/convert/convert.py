"""Conversion of a Hugging Face checkpoint to GGUF, with numpy alone and little memory."""

from __future__ import annotations

import os
from pathlib import Path

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.types import GgmlType
from edge_runtime.gguf.writing import HeaderValue
from edge_runtime.values.output_file import check_output
from edge_runtime.values.progress import QUIET, Progress

from .families import family_of
from .families.family import Family
from .families.parts import pooling_metadata
from .general import general_metadata
from .source.checkpoint import Checkpoint
from .stored_numbers import ask_for_first
from .weights import fill
from .written import Converted, write_filled

# Name -> type of the matrices, and llama.cpp's number for such a file: include/llama.h, llama_ftype.
TYPES = {
    "bf16": (GgmlType.BF16, 32),
    "f16": (GgmlType.F16, 1),
    "f32": (GgmlType.F32, 0),
    "q8_0": (GgmlType.Q8_0, 7),
    "q4_0": (GgmlType.Q4_0, 2),
}


def convert(
    folder: str | os.PathLike[str],
    path: str | os.PathLike[str],
    type: str = "bf16",
    *,
    force: bool = False,
    progress: Progress = QUIET,
) -> Converted:
    """Write the checkpoint in `folder` to the GGUF file `path`; an existing one only with `force`.

    `type` is one of TYPES: what the matrices become. Norms, biases and a few small tensors stay
    F32, and rows that a quantized type cannot hold become F16, as in llama.cpp's own converter.

    Raises ModelNotFound, ModelUnsupported (an architecture that is not known), ConversionError
    (what is wrong with which file and tensor), OptionInvalid or StorageFull. The file gets its
    name when all of it is there.
    """
    kind, file_type = _type_named(type)
    path = Path(path)
    check_output(path, force)
    checkpoint = Checkpoint(Path(folder))
    family = family_of(checkpoint.config)
    checkpoint.config = checkpoint.config.with_defaults(family.defaults)
    filled = fill(checkpoint, family, kind)
    ask_for_first(stored for tensor in filled for stored in tensor.stored)
    parameters = sum(tensor.target.elements for tensor in filled)
    metadata = _metadata(checkpoint, family, parameters, file_type)
    smaller = "a smaller file with type='q8_0' or 'q4_0'"
    size_bytes = write_filled(path, metadata, filled, force=force, smaller=smaller, progress=progress)
    return Converted(path, family.gguf_architecture, type, len(filled), parameters, size_bytes)


def _type_named(name: str) -> tuple[GgmlType, int]:
    if name not in TYPES:
        raise OptionInvalid(
            f"there is no type {name[:40]!r} to convert to",
            hint=f"choose one of {', '.join(TYPES)}; `quantize` makes the others from a bf16 file",
            option="type",
            value=name[:40],
            allowed=", ".join(TYPES),
        )
    return TYPES[name]


def _metadata(
    checkpoint: Checkpoint, family: Family, parameters: int, file_type: int
) -> dict[str, HeaderValue]:
    config = checkpoint.config
    own = {**family.metadata(config), **pooling_metadata(checkpoint)}
    return {
        "general.architecture": family.gguf_architecture,
        "general.type": "model",
        **general_metadata(checkpoint.folder, config.raw, parameters),
        **{f"{family.gguf_architecture}.{key}": value for key, value in own.items()},
        "general.file_type": file_type,
        "general.quantization_version": 2,
        **family.tokenizer(checkpoint),
    }
