"""Checks of a well-formed GGUF file whose values make no sense, before llama.cpp reads it.

llama.cpp refuses many bad values with an error, but some end in a failed
assertion, a division by zero or an exception that nobody catches: the process is
gone. Those are what is checked here, for any architecture; a value that is
absent, or belongs to an architecture we do not know, passes.

Source: GGML_ASSERT and GGML_ABORT in llama.cpp at 0c1e57098, above all in
src/llama-model.cpp (load_hparams, create_memory) and ggml/src/ggml.c.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from ..errors import ModelUnsupported
from .check_attention import check_attention
from .check_vocabulary import check_vocabulary
from .header import GgufHeader
from .hyperparameters import RANGES, check_length, invalid, number, number_or_none, numbers
from .sampling import read_sampling
from .tensor_names import EMBEDDING_TENSOR, split_name
from .types import GgmlType

_TENSOR_ALIGNMENT_BYTES = 32  # ggml's TENSOR_ALIGNMENT, for mapped weights

_POSITIVE_FLOATS = (
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.group_norm_epsilon",
    "rope.freq_base",
    "rope.freq_base_swa",
)
_PER_LAYER = (
    "attention.head_count",
    "attention.head_count_kv",
    "feed_forward_length",
    "expert_used_count",
)

_DRAFT_MODELS = ("eagle3", "dflash")  # these predict part of another model's vocabulary

_TABLE = re.compile(r"tid2eid|d2t")  # lists of token or expert numbers, the only tensors of integers
_ONLY_STORED = frozenset(  # types that nothing calculates with
    {GgmlType.I8, GgmlType.I16, GgmlType.I32, GgmlType.I64, GgmlType.F64, GgmlType.Q8_1, GgmlType.Q8_K}
)


def check_header(header: GgufHeader) -> None:
    """Returns when nothing is known that would stop, or kill, llama.cpp.

    Raises ModelFileInvalid (facts: path, key, expected, found) for values that
    contradict each other, ModelUnsupported for a file that is no language model.
    """
    _check_kind(header)
    checks: tuple[Callable[[GgufHeader], object], ...] = (
        _check_integers,
        _check_floats,
        _check_layers,
        check_attention,
        _check_experts,
        _check_embedding,
        _check_tensor_types,
        _check_tensor_offsets,
        check_vocabulary,
        read_sampling,
    )
    for check in checks:
        check(header)


def _check_kind(header: GgufHeader) -> None:
    if not header.architecture:
        found = header.metadata.get("general.architecture")
        raise header.invalid("general.architecture", "the name of an architecture", found)
    kind = header.metadata.get("general.type")
    if header.architecture == "clip" or (isinstance(kind, str) and kind in ("mmproj", "adapter")):
        raise _unsupported(header, "is a projector or an adapter", "give the language model it belongs to")
    if not header.tensors:
        raise _unsupported(header, "holds no weights, only a vocabulary", "give the whole model")


def _check_integers(header: GgufHeader) -> None:
    for key in RANGES:
        numbers(header, key)
    for key in _PER_LAYER:
        check_length(header, key)


def _check_floats(header: GgufHeader) -> None:
    for key in _POSITIVE_FLOATS:
        value = header.hyperparameter(key)
        if isinstance(value, float) and not (math.isfinite(value) and value > 0):
            raise invalid(header, key, "a finite number above 0", value)
    for name, value in header.metadata.items():
        if name.startswith(f"{header.architecture}.") and isinstance(value, float) and math.isnan(value):
            raise header.invalid(name, "a number", value)
    factor = header.hyperparameter("rope.scaling.factor")
    if isinstance(factor, float) and not (math.isfinite(factor) and factor >= 0):
        raise invalid(header, "rope.scaling.factor", "a finite number, 0 or more", factor)


def _check_layers(header: GgufHeader) -> None:
    """The blk.N tensors and block_count tell the same story; blocks for multi-token
    prediction may have been left out of the file."""
    found = {split[0] for tensor in header.tensors if (split := split_name(tensor.name))}
    blocks = header.block_count
    if blocks is None or not found:
        return
    extra = number(header, "nextn_predict_layers")
    if extra > blocks:
        raise invalid(header, "nextn_predict_layers", f"at most the {blocks} layers", extra)
    if not blocks - extra <= max(found) + 1 <= blocks:
        raise invalid(header, "block_count", f"{max(found) + 1}, the layers in the file", blocks)


def _check_experts(header: GgufHeader) -> None:
    experts = number(header, "expert_count")
    if experts <= 1 and (header.architecture or "").startswith("hunyuan"):  # means a dense model there
        return
    used = number(header, "expert_used_count")
    if (experts and not 0 < used <= experts) or (used and not experts):
        raise invalid(header, "expert_used_count", f"from 1 to the {experts} experts", used)
    groups = number(header, "expert_group_count")
    if groups and (groups >= experts or experts % groups):
        raise invalid(header, "expert_group_count", f"a divisor of the {experts} experts", groups)
    if groups > 1:
        chosen = number(header, "expert_group_used_count")
        if not 0 < chosen < groups:
            raise invalid(header, "expert_group_used_count", f"from 1 to {groups - 1}", chosen)


def _check_embedding(header: GgufHeader) -> None:
    table = next((tensor for tensor in header.tensors if tensor.name == EMBEDDING_TENSOR), None)
    if table is None or len(table.shape) != 2:
        return
    key = "features_length" if header.hyperparameter("features_length") is not None else "embedding_length"
    width = number_or_none(header, key)
    if width is not None and width != table.shape[0]:
        raise invalid(header, key, f"{table.shape[0]}, the width of {table.name}", width)
    tokens = header.vocabulary_size
    if tokens and tokens != table.shape[1] and header.architecture not in _DRAFT_MODELS:
        expected = f"{table.shape[1]} tokens, the rows of {table.name}"
        raise header.invalid("tokenizer.ggml.tokens", expected, tokens)


def _check_tensor_types(header: GgufHeader) -> None:
    for tensor in header.tensors:
        if tensor.type in _ONLY_STORED and not _TABLE.search(tensor.name):
            raise header.invalid(tensor.name, "a type to calculate with", tensor.type.name)
        norm = tensor.name.endswith(("norm.weight", ".bias")) or tensor.name.startswith("rope_f")
        if norm and len(tensor.shape) == 1 and tensor.type is not GgmlType.F32:
            raise header.invalid(tensor.name, "type F32", tensor.type.name)


def _check_tensor_offsets(header: GgufHeader) -> None:
    for tensor in header.tensors:
        if tensor.offset_bytes % _TENSOR_ALIGNMENT_BYTES:
            expected = f"weights at multiples of {_TENSOR_ALIGNMENT_BYTES} bytes"
            raise header.invalid("general.alignment", expected, f"{tensor.name} at {tensor.offset_bytes}")


def _unsupported(header: GgufHeader, problem: str, hint: str) -> ModelUnsupported:
    return ModelUnsupported(f"{header.path.name} {problem}", hint=hint, path=str(header.path))
