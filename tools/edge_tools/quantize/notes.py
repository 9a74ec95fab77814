"""Notes for a person about a file that is about to be made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from edge_runtime.backends.llama.quantizer_log import Fallback
from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import GgmlType

from ..tensor_classes import TensorClass, tensor_class
from .options import QuantizeOptions
from .type_names import is_plain, type_named

_GOOD_SOURCES = (GgmlType.Q8_0, GgmlType.Q8_K)  # hardly anything is lost yet


def notes_on(
    source: GgufHeader, options: QuantizeOptions, types: Mapping[str, GgmlType], fallbacks: Sequence[Fallback]
) -> Iterator[str]:
    yield from _quantized_twice(source, types)
    yield from _fallbacks(fallbacks)
    yield from _kept(source, options, types)


def _quantized_twice(source: GgufHeader, types: Mapping[str, GgmlType]) -> Iterator[str]:
    coarse = Counter(
        tensor.type.name
        for tensor in source.tensors
        if types[tensor.name] is not tensor.type
        and not is_plain(tensor.type)
        and tensor.type not in _GOOD_SOURCES
    )
    if coarse:
        names = ", ".join(f"{count} in {name}" for name, count in coarse.most_common())
        yield (
            f"{source.path.name} is quantized already ({names}): what was lost stays lost, and each time "
            "loses more; the file it was made from gives a better one"
        )


def _fallbacks(fallbacks: Sequence[Fallback]) -> Iterator[str]:
    kinds = Counter((f.row_elements, f.wanted.name, f.wanted.block_elements, f.taken.name) for f in fallbacks)
    for (row, wanted, block, taken), count in kinds.items():
        yield (
            f"{count} tensors have rows of {row}, which blocks of {block} do not divide: "
            f"{taken} instead of {wanted}"
        )


def _kept(source: GgufHeader, options: QuantizeOptions, types: Mapping[str, GgmlType]) -> Iterator[str]:
    """`other=` reaches only what llama.cpp quantizes at all: not AltUp, LAuReL and PLE's projection."""
    if options.other is None:
        return
    kind = type_named(options.other, "other").base
    kept = [
        tensor
        for tensor in source.tensors
        if tensor_class(tensor) is TensorClass.OTHER
        and types[tensor.name] is tensor.type
        and tensor.type is not kind
    ]
    if kept:
        yield (
            f"{len(kept)} tensors of other= stay as they are, {kept[0].name} for one: "
            "llama.cpp never quantizes them"
        )


def check_matrix(source: GgufHeader, name: str, matrix: Mapping[str, Any]) -> None:
    """Raises OptionInvalid when an importance matrix is another model's."""
    known = {tensor.name: tensor for tensor in source.tensors}
    if not matrix.keys() & known.keys():
        raise _another_model(name, f"none of its {len(matrix)} tensors is in {source.path.name}")
    for tensor_name in matrix.keys() & known.keys():
        shape, found = known[tensor_name].shape, len(matrix[tensor_name])
        columns = shape[0] * (shape[2] if len(shape) > 2 else 1)
        if found != columns:
            raise _another_model(
                name, f"{tensor_name} has {columns} columns in {source.path.name}, and {found} in it"
            )


def without_importance(
    source: GgufHeader, matrix: Mapping[str, Any], types: Mapping[str, GgmlType]
) -> Iterator[str]:
    """Matrices of the body that are quantized as if every column counted for as much."""
    missing = [
        tensor.name
        for tensor in source.tensors
        if tensor_class(tensor) is TensorClass.BODY
        and types[tensor.name] is not tensor.type
        and not is_plain(types[tensor.name])
        and tensor.name not in matrix
    ]
    if missing:
        yield f"the importance matrix has nothing of {len(missing)} matrices, {missing[0]} for one"


def _another_model(name: str, problem: str) -> OptionInvalid:
    return OptionInvalid(
        f"imatrix: {name} is of another model: {problem}",
        hint="make one of this model with `edge-runtime imatrix`",
        option="imatrix",
        value=name,
    )
