"""Quantizing a GGUF file: checked, planned, written by llama.cpp, verified, named."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_runtime.backends.llama.quantizer import QuantizeTask, run_quantizer
from edge_runtime.backends.llama.tensor_patterns import tensor_patterns
from edge_runtime.catalog.catalog import locate
from edge_runtime.device.device import default_threads
from edge_runtime.errors import ConversionError, ModelFileInvalid, OptionInvalid
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.writing import HeaderValue
from edge_runtime.gguf.writing.output_set import output_set
from edge_runtime.values.files import expanded
from edge_runtime.values.output_file import check_output, output_file
from edge_runtime.values.progress import QUIET, Progress

from ..inspect import Inspection, architecture_facts, class_sizes
from .decide import Decision, decide
from .future import stored_metadata, with_places
from .importance import Importance, read_importance
from .notes import notes_on, without_importance
from .options import QuantizeOptions
from .result import Quantized
from .split import SMALLER, Shard, divided, shard_path, shard_sizes, write_shards


@dataclass(frozen=True)
class _Job:
    source: GgufHeader
    importance: Importance
    changes: Mapping[str, int | str]  # of the metadata
    header: GgufHeader  # of the new file, whole
    threads: int
    force: bool
    children: bool | None
    progress: Progress


def quantize(
    model: str | Path, output: str | Path | None, options: QuantizeOptions, progress: Progress = QUIET
) -> Quantized:
    """Write `model`, a name or a GGUF file (of a split set the first), to `output` in other types.

    llama.cpp does it in a child process where one can be started, a slab of rows at a time.
    With options.dry_run nothing is written, so that no output is needed; the sizes are the
    real file's all the same.

    Raises ModelNotFound, ModelFileInvalid or ModelUnsupported for what cannot be read;
    OptionInvalid; MemoryBudgetExceeded when the result would not fit the budget or the
    recipe; StorageFull; ConversionError with llama.cpp's last words; EngineUnavailable.
    """
    source = read_header(locate(model).path)
    check_header(source)
    path = _output_path(output, source, options)
    importance = read_importance(options.imatrix, source)
    decision = decide(source, path, options, importance.metadata)
    stored = stored_metadata(source, decision.changes)
    header = with_places(decision.header, stored)
    most_bytes = options.split_bytes
    shards = divided(header.tensors, stored, most_bytes, options.byte_units) if most_bytes else []
    result = _result(source, header, decision, options, importance, shards, stored)
    for note in result.notes:
        progress.say(f"warning: {note}")
    if options.dry_run:
        return result
    threads = options.threads or default_threads()
    job = _Job(
        source, importance, decision.changes, header, threads, options.force, options.children, progress
    )
    if shards:
        _write_split(job, stored, shards, result)
    else:
        _write_whole(job, path, header.file_size_bytes)
    return result


def _output_path(output: str | Path | None, source: GgufHeader, options: QuantizeOptions) -> Path:
    if output is None and not options.dry_run:
        raise OptionInvalid("there is no name for the new file", hint="-o FILE", option="output")
    path = expanded(output or source.path.name)
    if not (options.dry_run or options.split_bytes):
        check_output(path, options.force)
    return path


def _result(
    source: GgufHeader,
    header: GgufHeader,
    decision: Decision,
    options: QuantizeOptions,
    importance: Importance,
    shards: Sequence[Shard],
    stored: Mapping[str, HeaderValue],
) -> Quantized:
    types = decision.types.types
    notes = [*notes_on(source, options, types, decision.types.fallbacks)]
    if importance.means:
        notes += without_importance(source, importance.means, types)
    paths = [shard_path(header.path, number, len(shards)) for number in range(len(shards))]
    return Quantized(
        source=source,
        inspection=Inspection(
            header, architecture_facts(header), class_sizes(header.tensors), decision.plan, decision.problem
        ),
        paths=tuple(paths or [header.path]),
        file_bytes=tuple(shard_sizes(shards, stored) if shards else [header.file_size_bytes]),
        budget=decision.budget,
        recipe=decision.recipe.name if decision.recipe else None,
        tried=decision.tried,
        kept=decision.types.kept,
        notes=tuple(notes),
        dry_run=options.dry_run,
    )


def _write_whole(job: _Job, path: Path, needed_bytes: int) -> None:
    """`needed_bytes`: of disk, to begin with."""
    total_bytes = job.header.file_size_bytes
    done_bytes = 0
    with (
        output_file(path, needed_bytes, force=job.force, smaller=SMALLER) as file,
        job.progress.bar(job.header.path.name, total_bytes, 0) as advance,
    ):

        def written(size_bytes: int) -> None:
            nonlocal done_bytes
            advance(size_bytes - done_bytes)
            done_bytes = size_bytes

        partial = Path(file.name)
        try:
            run_quantizer(_task(job, partial), written, children=job.children)
        except ConversionError as error:
            if shutil.disk_usage(path.absolute().parent).free < total_bytes - done_bytes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise
        _check(partial, job.header)
        written(total_bytes)


def _task(job: _Job, output: Path) -> QuantizeTask:
    types = tensor_patterns({tensor.name: tensor.type for tensor in job.header.tensors})
    return QuantizeTask(job.source.path, output, types, job.changes, job.threads, job.importance.means)


def _write_split(
    job: _Job, stored: Mapping[str, HeaderValue], shards: Sequence[Shard], result: Quantized
) -> None:
    for path in result.paths:
        check_output(path, job.force)
    path = job.header.path
    with output_set(path, force=job.force) as folder:
        whole = folder / "whole.gguf"
        _write_whole(job, whole, job.header.file_size_bytes + max(result.file_bytes))
        files = write_shards(read_header(whole), stored, shards, folder / path.name, job.progress)
        whole.unlink()
        _check(files[0], job.header)


def _check(path: Path, expected: GgufHeader) -> None:
    """A disk error that nobody saw, or a type that is not what was planned."""
    try:
        found = read_header(path)
    except ModelFileInvalid as error:
        raise _not_as_planned(expected, "its header", str(error)) from error
    wanted = {tensor.name: tensor.type for tensor in expected.tensors}
    for tensor in found.tensors:
        if wanted.pop(tensor.name, None) is not tensor.type:
            raise _not_as_planned(expected, tensor.name, tensor.type.name)
    if wanted:
        raise _not_as_planned(expected, min(wanted), "nothing")
    if len(found.paths) == 1 and found.file_size_bytes != expected.file_size_bytes:
        raise _not_as_planned(
            expected, f"{expected.file_size_bytes} bytes in all", f"{found.file_size_bytes}"
        )


def _not_as_planned(expected: GgufHeader, where: str, found: str) -> ConversionError:
    return ConversionError(
        f"{expected.path.name} is not as planned: {where}: found {found}; it was not kept",
        hint="try again; if it stays so, please report it with the names of the model and the types",
        tensor=where,
        found=found,
    )
