"""A type for every tensor from a type for each class, as llama.cpp itself decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_runtime.backends.llama.quantizer import TypeQuestion, planned_types
from edge_runtime.backends.llama.quantizer_log import Fallback
from edge_runtime.backends.llama.tensor_patterns import tensor_patterns
from edge_runtime.errors import ConversionError
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import GgmlType

from ..tensor_classes import TensorClass, tensor_class
from .options import QuantizeOptions
from .recipes import Row
from .type_names import TYPES, QuantType, is_plain, type_named

TABLES = (TensorClass.EMBEDDING, TensorClass.PLE, TensorClass.OUTPUT, TensorClass.OTHER)


@dataclass(frozen=True)
class Wanted:
    """`whole` is what llama.cpp is told of the file; it chooses for the classes that nothing is said of."""

    whole: QuantType
    body: QuantType
    tables: Mapping[TensorClass, GgmlType]

    @property
    def names(self) -> dict[str, str]:
        """Of the types, by class."""
        return {"body": self.body.name, **{kind.value: table.name for kind, table in self.tables.items()}}


@dataclass(frozen=True)
class TensorTypes:
    types: Mapping[str, GgmlType]  # in the order in which llama.cpp will write the tensors
    fallbacks: tuple[Fallback, ...]
    kept: int = 0  # tensors that would have become larger


def wanted_by_type(options: QuantizeOptions) -> Wanted:
    """Raises OptionInvalid."""
    whole = type_named(options.type or "")
    tables = _given(options)
    # Left to itself llama.cpp takes per-layer embeddings for an output matrix and makes them Q6_K. Only one
    # row of them is read a token, and none is multiplied with: the type that was asked for does.
    tables.setdefault(TensorClass.PLE, whole.base)
    return Wanted(whole, type_named(options.body, "body") if options.body else whole, tables)


def wanted_by_row(row: Row, options: QuantizeOptions) -> Wanted:
    """What is said of a class comes before the recipe."""
    body = type_named(options.body or row.body, "body")
    tables = {kind: type_named(row.of(kind)).base for kind in TABLES}
    return Wanted(body, body, tables | _given(options))


def _given(options: QuantizeOptions) -> dict[TensorClass, GgmlType]:
    names = {kind: getattr(options, kind.value) for kind in TABLES}
    return {kind: type_named(name, kind.value).base for kind, name in names.items() if name}


def tensor_types(
    source: GgufHeader, wanted: Sequence[Wanted], *, has_matrix: bool, children: bool | None = None
) -> list[TensorTypes]:
    """For each of them every tensor's type. Half a second. Raises what planned_types() does."""
    pairs = [
        (
            _question(source, one.whole, one.tables, has_matrix),
            _question(source, one.body, one.tables, has_matrix),
        )
        for one in wanted
    ]
    questions = list(dict.fromkeys(question for pair in pairs for question in pair))
    answers = dict(zip(questions, planned_types(source.path, questions, children=children), strict=True))
    for answer in answers.values():
        _check_names(source, answer.types)
    in_body = {t.name for t in source.tensors if tensor_class(t) is TensorClass.BODY}
    merged = []
    for whole, body in ((answers[first], answers[second]) for first, second in pairs):
        types = {name: (body if name in in_body else whole).types[name] for name in whole.types}
        fallbacks = [f for f in whole.fallbacks if f.tensor not in in_body]
        fallbacks += [f for f in body.fallbacks if f.tensor in in_body]
        merged.append(TensorTypes(types, tuple(fallbacks)))
    return merged


def _question(
    source: GgufHeader, kind: QuantType, tables: Mapping[TensorClass, GgmlType], has_matrix: bool
) -> TypeQuestion:
    classes = {tensor.name: tensor_class(tensor) for tensor in source.tensors}
    overrides = tensor_patterns({name: tables[found] for name, found in classes.items() if found in tables})
    if is_plain(kind.base):  # llama.cpp heeds overrides in quantized files alone
        return TypeQuestion(TYPES["Q8_0"].file_type, (*overrides, (".*", kind.base)), has_matrix)
    return TypeQuestion(kind.file_type, overrides, has_matrix)


def _check_names(source: GgufHeader, types: Mapping[str, GgmlType]) -> None:
    missing = {tensor.name for tensor in source.tensors} ^ types.keys()
    if missing:
        name = min(missing)
        raise ConversionError(
            f"{source.path.name}: llama.cpp's log does not tell the type of {name!r}",
            hint="a tensor with such a name cannot be quantized; convert the model again",
            path=str(source.path),
            tensor=name,
        )


def without_growth(source: GgufHeader, found: TensorTypes) -> TensorTypes:
    """What would become larger than it is stays: no type gives back what was lost."""
    types = dict(found.types)
    kept = [tensor for tensor in source.tensors if _bits(types[tensor.name]) > _bits(tensor.type)]
    types |= {tensor.name: tensor.type for tensor in kept}
    fallbacks = tuple(f for f in found.fallbacks if types[f.tensor] is f.taken)
    return TensorTypes(types, fallbacks, len(kept))


def _bits(kind: GgmlType) -> float:
    return 8 * kind.block_bytes / kind.block_elements
