"""The place of each weight: in the mapped file, as a repacked copy, or on flash.

Which tensors llama.cpp copies into another order, and what becomes of the originals.

Source: llama.cpp at 0c1e57098, ggml/src/ggml-cpu/repack.cpp (ggml_repack_get_optimal_repack_type)
and src/llama-model-loader.cpp (create_tensor: only operands of MUL_MAT; a tied embedding
counts a second time as the output).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from ..gguf.header import GgufHeader
from ..gguf.tensor_names import EMBEDDING_TENSOR, OUTPUT_TENSOR, PLE_TENSOR
from ..gguf.types import GgmlType, TensorInfo
from .platform import Platform
from .streaming import streamable_bytes

# Rows are looked up in these, they are not multiplied with.
_LOOKED_UP = ("token_embd.", "position_embd.", "token_types.", "per_layer_token_embd.")
_NOT_MULTIPLIED = ("norm", "rope_freqs", "rope_factors", "conv1d", "ssm_a", "altup_correct_scale")

# (features that all must be there, rows the matrix must be a multiple of), tried in this order.
_AVX2 = frozenset({"avx2"})
_AVX512 = frozenset({"avx512f", "avx512bw"})
_I8MM = frozenset({"neon", "i8mm"})
_DOTPROD = frozenset({"neon", "dotprod"})
_Rule = tuple[frozenset[str], int]
_REPACKED: dict[GgmlType, tuple[_Rule, ...]] = {
    GgmlType.Q4_0: ((_AVX2, 8), (_I8MM, 4), (_DOTPROD, 4)),
    GgmlType.Q4_K: ((_AVX2, 8), (_I8MM, 8), (_DOTPROD, 8)),
    GgmlType.Q2_K: ((_AVX512, 8),),
    GgmlType.Q5_K: ((_I8MM, 8), (_DOTPROD, 8)),
    GgmlType.Q6_K: ((_I8MM, 8), (_DOTPROD, 8)),
    GgmlType.IQ4_NL: ((_AVX2, 8), (_DOTPROD, 4)),
    GgmlType.MXFP4: ((_AVX2, 8), (_DOTPROD, 4)),
    GgmlType.Q8_0: ((_I8MM, 4), (_DOTPROD, 4)),
    GgmlType.Q1_0: ((_I8MM, 4), (_DOTPROD, 4)),
}


class WeightClass(Enum):
    BODY = "body"
    EMBEDDING = "embedding"
    PLE = "per-layer embeddings"
    OUTPUT = "output"


@dataclass(frozen=True)
class ClassBytes:
    """One class of weights, by what becomes of it."""

    mapped_bytes: int = 0  # read by every token, from the mapped file
    repacked_bytes: int = 0  # anonymous copies; their originals are never read again
    looked_up_bytes: int = 0  # only a few rows a token


@dataclass(frozen=True)
class WeightSizes:
    body: ClassBytes
    embedding: ClassBytes
    output: ClassBytes
    ple_bytes: int
    ple_row_bytes: int
    streamable_bytes: int  # may be read from flash for every token
    is_tied: bool  # the output is the embedding

    @property
    def without_ple_bytes(self) -> int:
        """Of the file: a tied embedding counts once."""
        classes = [self.body, self.embedding, self.output]
        total = sum(c.mapped_bytes + c.repacked_bytes + c.looked_up_bytes for c in classes)
        return total - (self.output.repacked_bytes if self.is_tied else 0)


def weight_sizes(header: GgufHeader, platform: Platform, repack: bool) -> WeightSizes:
    names = {tensor.name for tensor in header.tensors}
    tied = OUTPUT_TENSOR not in names
    ple = [tensor for tensor in header.tensors if tensor.name == PLE_TENSOR]
    can = repack and platform.can_repack
    body = [tensor for tensor in header.tensors if class_of(tensor) is WeightClass.BODY]
    embedding = [tensor for tensor in header.tensors if class_of(tensor) is WeightClass.EMBEDDING]
    output = [tensor for tensor in header.tensors if class_of(tensor) is WeightClass.OUTPUT]
    return WeightSizes(
        body=_class_bytes(body, platform, can),
        embedding=_looked_up(embedding, tied and not _tied_is_repacked(embedding, platform, can)),
        output=_tied_output(embedding, platform, can) if tied else _class_bytes(output, platform, can),
        ple_bytes=sum(tensor.size_bytes for tensor in ple),
        ple_row_bytes=sum(tensor.size_bytes // tensor.shape[1] for tensor in ple),
        streamable_bytes=streamable_bytes(body),
        is_tied=tied,
    )


def class_of(tensor: TensorInfo) -> WeightClass:
    if tensor.name == PLE_TENSOR:
        return WeightClass.PLE
    if tensor.name.startswith(_LOOKED_UP):
        return WeightClass.EMBEDDING
    return WeightClass.OUTPUT if tensor.name == OUTPUT_TENSOR else WeightClass.BODY


def is_repacked(tensor: TensorInfo, platform: Platform) -> bool:
    """Whether llama.cpp copies this operand of a matrix product into another order."""
    plain = tensor.name.startswith(_LOOKED_UP) or any(word in tensor.name for word in _NOT_MULTIPLIED)
    return not plain and tensor.name.endswith(".weight") and can_be_repacked(tensor, platform)


def can_be_repacked(tensor: TensorInfo, platform: Platform) -> bool:
    """By type and shape alone. The first rule whose features are there and whose rows fit decides."""
    experts = len(tensor.shape) == 3 and "_exps" in tensor.name
    if len(tensor.shape) != 2 and not experts:
        return False
    rules = _REPACKED.get(tensor.type, ())
    return any(needed <= platform.cpu_features and tensor.shape[1] % rows == 0 for needed, rows in rules)


def _class_bytes(tensors: Iterable[TensorInfo], platform: Platform, can_repack: bool) -> ClassBytes:
    mapped = repacked = 0
    for tensor in tensors:
        if can_repack and is_repacked(tensor, platform):
            repacked += tensor.size_bytes
        else:
            mapped += tensor.size_bytes
    return ClassBytes(mapped, repacked)


def _looked_up(embedding: Sequence[TensorInfo], multiplied: bool) -> ClassBytes:
    size_bytes = sum(tensor.size_bytes for tensor in embedding)
    return ClassBytes(mapped_bytes=size_bytes) if multiplied else ClassBytes(looked_up_bytes=size_bytes)


def _tied_is_repacked(embedding: Sequence[TensorInfo], platform: Platform, can_repack: bool) -> bool:
    return can_repack and any(
        tensor.name == EMBEDDING_TENSOR and can_be_repacked(tensor, platform) for tensor in embedding
    )


def _tied_output(embedding: Sequence[TensorInfo], platform: Platform, can_repack: bool) -> ClassBytes:
    if not _tied_is_repacked(embedding, platform, can_repack):
        return ClassBytes()
    return ClassBytes(
        repacked_bytes=sum(tensor.size_bytes for tensor in embedding if tensor.name == EMBEDDING_TENSOR)
    )
