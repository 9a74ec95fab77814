"""Checks one file: structure, then hashes and numbers in one reading, then the tokenizer."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.catalog.catalog import locate
from edge_runtime.errors import ModelError, ModelUnsupported
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.tensor_names import layer_tensor
from edge_runtime.memory.shape import read_shape
from edge_runtime.values.files import hash_file
from edge_runtime.values.progress import QUIET, Progress

from .reference import FileHash, KnownTensors, find_reference
from .report import Findings, TensorResult, VerifyReport, problem_of
from .tokenizer import TEXTS, check_tokenizer
from .weights import check_weights


def verify_model(
    model: str | Path, against: str | Path | None = None, progress: Progress = QUIET
) -> VerifyReport:
    """All that can be said about a GGUF file without running it.

    `against`: see find_reference. Reads the file once, a few megabytes at a time; twice
    with a manifest. What is wrong with the file is in the report. Raises ModelNotFound
    (there is no such file) and what find_reference raises.
    """
    path = locate(model).path
    reference = find_reference(against, path) if against is not None else None
    findings, checked = Findings(), []
    if isinstance(reference, FileHash):
        checked.append(f"sha256 of the file ({reference.source})")
        _check_file_hash(path, reference, findings, progress)
    checked.append("structure")
    header = _read_header(path, findings)
    tensors: tuple[TensorResult, ...] = ()
    if header is not None:
        is_sound = _check_header(header, findings)
        checked.append(f"numbers ({len(header.tensors)} tensors)")
        known = reference if isinstance(reference, KnownTensors) else None
        if known is not None:
            checked.append(f"every tensor against {known.source}")
        unused = _unused_tensors(header) if is_sound else frozenset()
        tensors = check_weights(header, known, unused, findings, progress)
        if is_sound and check_tokenizer(header, findings):
            checked.append(f"tokenizer ({len(TEXTS)} texts there and back)")
    return VerifyReport(path, tuple(checked), tuple(findings.problems), tuple(findings.warnings), tensors)


def _check_file_hash(path: Path, known: FileHash, findings: Findings, progress: Progress) -> None:
    size_bytes = path.stat().st_size
    if known.size_bytes not in (0, size_bytes):
        findings.problem("file size", f"{known.size_bytes} bytes", f"{size_bytes} bytes")
        return
    with progress.bar("sha256", size_bytes, 0) as advance:
        found = hash_file(path, advance)
    if found != known.sha256:
        findings.problem("file sha256", known.sha256, found)


def _read_header(path: Path, findings: Findings) -> GgufHeader | None:
    try:
        return read_header(path)
    except ModelError as error:  # ModelNotFound too: of a split set's other files
        findings.problems.append(problem_of(error))
        return None


def _check_header(header: GgufHeader, findings: Findings) -> bool:
    """Whether llama.cpp can be given the file: it may end the process over one that is not sound."""
    try:
        check_header(header)
    except ModelUnsupported as error:  # a projector or an adapter is a good file too
        findings.warning("header", "a language model", str(error))
    except ModelError as error:
        findings.problems.append(problem_of(error))
    else:
        return True
    return False


def _unused_tensors(header: GgufHeader) -> frozenset[str]:
    """Keys and values of layers that read another layer's: converters fill in zeros there."""
    without_cache = [n for n, layer in enumerate(read_shape(header).layers) if layer.key_width == 0]
    return frozenset(
        layer_tensor(n, f"{name}.weight") for n in without_cache for name in ("attn_k", "attn_v")
    )
