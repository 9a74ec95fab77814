"""A Hugging Face checkpoint becomes a GGUF file, with numpy alone and little memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import OptionInvalid
from ...gguf_types import GgmlType, TensorInfo
from ...progress import QUIET, Progress
from ..synth.header_bytes import ALIGNMENT_BYTES, HeaderValue, header_bytes
from .checkpoint import Checkpoint
from .families import family_of
from .families.family import Family
from .families.parts import pooling_metadata
from .general import general_metadata
from .output_file import check_output, output_file
from .weights import Filled, chunks, fill

# Name -> type of the matrices, and llama.cpp's number for such a file: include/llama.h, llama_ftype.
TYPES = {
    "bf16": (GgmlType.BF16, 32),
    "f16": (GgmlType.F16, 1),
    "f32": (GgmlType.F32, 0),
    "q8_0": (GgmlType.Q8_0, 7),
    "q4_0": (GgmlType.Q4_0, 2),
}


@dataclass(frozen=True)
class Converted:
    path: Path
    architecture: str  # GGUF's
    type: str  # of TYPES
    tensors: int
    parameters: int
    size_bytes: int  # of the whole file

    def as_json(self) -> dict[str, object]:
        return {
            "path": str(self.path),
            "architecture": self.architecture,
            "type": self.type,
            "tensors": self.tensors,
            "parameters": self.parameters,
            "size_bytes": self.size_bytes,
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
    with Checkpoint(Path(folder)) as checkpoint:
        family = family_of(checkpoint.config)
        checkpoint.config = checkpoint.config.with_defaults(family.defaults)
        filled = fill(checkpoint, family, kind)
        parameters = sum(tensor.target.elements for tensor in filled)
        placed = _place(filled)
        header = header_bytes(_metadata(checkpoint, family, parameters, file_type), placed)
        total_bytes = len(header) + placed[-1].offset_bytes + _padded(placed[-1].size_bytes)
        _write(checkpoint, filled, header, path, total_bytes, force, progress)
    return Converted(path, family.gguf_architecture, type, len(filled), parameters, total_bytes)


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
        **general_metadata(checkpoint.folder, dict(config.raw), parameters),
        **{f"{family.gguf_architecture}.{key}": value for key, value in own.items()},
        "general.file_type": file_type,
        "general.quantization_version": 2,
        **family.tokenizer(checkpoint),
    }


def _place(filled: Sequence[Filled]) -> list[TensorInfo]:
    """Offsets count from the start of the data; dimensions in ggml's order, the row length first."""
    infos: list[TensorInfo] = []
    offset_bytes = 0
    for tensor in filled:
        shape = tuple(reversed(tensor.target.written_shape))
        infos.append(TensorInfo(tensor.target.name, shape, tensor.kind, offset_bytes, tensor.size_bytes, 0))
        offset_bytes += _padded(tensor.size_bytes)
    return infos


def _padded(size_bytes: int) -> int:
    return size_bytes + -size_bytes % ALIGNMENT_BYTES


def _write(
    checkpoint: Checkpoint,
    filled: Sequence[Filled],
    header: bytes,
    path: Path,
    total_bytes: int,
    force: bool,
    progress: Progress,
) -> None:
    with output_file(path, total_bytes, force) as file, progress.bar(path.name, total_bytes, 0) as advance:
        file.write(header)
        advance(len(header))
        for tensor in filled:
            for chunk in chunks(checkpoint, tensor):
                file.write(chunk)
                advance(len(chunk))
            padding = _padded(tensor.size_bytes) - tensor.size_bytes
            file.write(bytes(padding))
            advance(padding)
