"""One reading of every tensor: its numbers, its sha256, and the bytes of another file's."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edge_runtime.errors import ModelFileInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.values.progress import QUIET, Advance, Progress

from ..tensor_data import read_pieces
from .numbers import NumberScan
from .reference import KnownTensors
from .report import Findings, Problem, TensorResult

_Pieces = Iterator[NDArray[np.uint8]]


def check_weights(
    header: GgufHeader,
    known: KnownTensors | None,
    may_be_zero: frozenset[str],
    findings: Findings,
    progress: Progress = QUIET,
) -> tuple[TensorResult, ...]:
    """Adds to `findings`. A matrix of zeros alone is a problem unless it is in `may_be_zero`."""
    if known is not None:
        _check_names(header, known, findings)
    with progress.bar("weights", header.tensor_bytes, 0) as advance:
        return tuple(
            _check_tensor(header, tensor, known, may_be_zero, findings, advance) for tensor in header.tensors
        )


def _check_names(header: GgufHeader, known: KnownTensors, findings: Findings) -> None:
    names = {tensor.name for tensor in header.tensors}
    for name in sorted(known.tensors.keys() - names):
        findings.problem(name, f"this tensor, as in {known.source}", "none")
    for name in sorted(names - known.tensors.keys()):
        findings.problem(name, f"no such tensor, as in {known.source}", "one")


def _check_tensor(
    header: GgufHeader,
    tensor: TensorInfo,
    known: KnownTensors | None,
    may_be_zero: frozenset[str],
    findings: Findings,
    advance: Advance,
) -> TensorResult:
    scan, digest, comparison = NumberScan(tensor.type), hashlib.sha256(), _Comparison(tensor, known)
    try:
        for piece in read_pieces(header, tensor):
            scan.add(piece)
            digest.update(piece.data)
            comparison.add(piece)
            advance(len(piece))
    except ModelFileInvalid as error:
        findings.problem(tensor.name, "weights that can be read", str(error), tensor.offset_bytes)
    _judge_numbers(tensor, scan, tensor.name in may_be_zero or len(tensor.shape) < 2, findings)
    sha256 = digest.hexdigest()
    findings.problems += comparison.problems(sha256)
    return TensorResult(
        tensor.name, tensor.type.name, tensor.shape, sha256, scan.blocks, scan.zero_blocks, scan.bad_blocks
    )


def _judge_numbers(tensor: TensorInfo, scan: NumberScan, may_be_zero: bool, findings: Findings) -> None:
    has_blocks = tensor.type.block_elements > 1
    what, each = ("scales", "blocks") if has_blocks else ("values", "values")
    if scan.first_bad_offset_bytes is not None:
        found = f"{scan.first_bad} ({scan.bad_blocks} of {scan.blocks} {each} are bad)"
        at = tensor.offset_bytes + scan.first_bad_offset_bytes
        findings.problem(tensor.name, f"finite {what}", found, at)
    at = tensor.offset_bytes + scan.first_zero_offset_bytes
    if scan.blocks and scan.zero_blocks == scan.blocks:
        add = findings.warning if may_be_zero else findings.problem
        add(tensor.name, f"{what} other than zero", f"zero in all {scan.blocks} {each}", at)
    elif scan.zero_blocks and has_blocks:
        found = f"zero in {scan.zero_blocks} of {scan.blocks} {each}"
        findings.warning(tensor.name, f"{what} other than zero", found, at)


class _Comparison:
    """One tensor beside the one of the same name in the reference."""

    def __init__(self, tensor: TensorInfo, known: KnownTensors | None) -> None:
        self._tensor = tensor
        self._known = known.tensors.get(tensor.name) if known else None
        self._others = _pieces_beside(tensor, known)
        self._next_bytes = tensor.offset_bytes
        self._difference: Problem | None = None

    def add(self, piece: NDArray[np.uint8]) -> None:
        if self._difference is not None:
            return
        other = next(self._others, None)
        if other is not None and not np.array_equal(piece, other):
            at = int(np.flatnonzero(piece != other)[0])
            expected, found = f"byte 0x{other[at]:02X}", f"0x{piece[at]:02X}"
            self._difference = Problem(self._tensor.name, expected, found, self._next_bytes + at)
        self._next_bytes += len(piece)

    def problems(self, sha256: str) -> list[Problem]:
        tensor, known = self._tensor, self._known
        if known is None:
            return []
        if (known.type, known.shape) != (tensor.type.name, tensor.shape):
            expected, found = _words(known.type, known.shape), _words(tensor.type.name, tensor.shape)
            return [Problem(tensor.name, expected, found, tensor.offset_bytes)]
        if known.sha256 and known.sha256 != sha256:
            return [Problem(tensor.name, f"sha256 {known.sha256}", sha256, tensor.offset_bytes)]
        return [self._difference] if self._difference else []


def _pieces_beside(tensor: TensorInfo, known: KnownTensors | None) -> _Pieces:
    """The other GGUF file's, where type and shape are the same."""
    other = known.tensors[tensor.name].info if known and tensor.name in known.tensors else None
    if known is None or known.header is None or other is None:
        return iter(())
    is_like = (other.type, other.shape) == (tensor.type, tensor.shape)
    return read_pieces(known.header, other) if is_like else iter(())


def _words(type_name: str, shape: tuple[int, ...]) -> str:
    return f"{type_name} of {' x '.join(map(str, shape))}"
