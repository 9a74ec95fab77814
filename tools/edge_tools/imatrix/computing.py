"""Computing an importance matrix from a text."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryFile

from edge_runtime.backends.guard.probe import guard_model
from edge_runtime.backends.llama.activations import MatrixInputs
from edge_runtime.backends.llama.evaluation import open_evaluator
from edge_runtime.backends.llama.vocabulary import open_vocabulary
from edge_runtime.catalog.catalog import locate
from edge_runtime.device.device import default_threads
from edge_runtime.errors import ModelUnsupported, OptionInvalid
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import read_header
from edge_runtime.values.checks import whole_number_or_none
from edge_runtime.values.files import writing_to
from edge_runtime.values.output_file import cannot_write, check_output
from edge_runtime.values.progress import QUIET, Progress

from ..text_chunks import chunk_tokens, cut_chunks
from .collecting import Collector, counted_weights
from .matrix import ImportanceMatrix
from .writing import write_imatrix


def compute_imatrix(
    model: str | Path,
    text: str,
    output: Path,
    *,
    dataset: str = "text",
    context_tokens: int | None = None,
    chunks: int | None = None,
    threads: int | None = None,
    force: bool = False,
    progress: Progress = QUIET,
) -> ImportanceMatrix:
    """Read `text` with a model (name or GGUF file), write what enters its layers' weights to `output`.

    `dataset`: what the text is called in the file. The model reads chunks of `context_tokens`
    (512 or what it was trained for), all the text has or `chunks`; on the processor alone, with weights
    as they are in the file. Beside the model it holds 128 MiB of logits and 16 bytes a column.
    Raises OptionInvalid (an output that exists, a text that is too short), ModelNotFound,
    ModelFileInvalid, ModelUnsupported, ModelLoadFailed, BackendFailed, EngineUnavailable, StorageFull.
    """
    chunks = whole_number_or_none("chunks", chunks)
    threads = whole_number_or_none("threads", threads)
    check_output(output, force)
    header = read_header(locate(model).path)
    _check_place(output, header.paths)
    check_header(header)
    context_tokens = chunk_tokens(context_tokens, [header])
    collector = Collector(weights := counted_weights(header.tensors))
    guard_model(header.path)
    with open_vocabulary(header.path) as vocabulary:
        parts = cut_chunks(vocabulary, text, context_tokens, chunks)
    with (
        open_evaluator(
            header.path,
            context_tokens=context_tokens,
            threads=threads or default_threads(),
            use_extra_bufts=False,
            gpu_layers=0,
            inputs=MatrixInputs(frozenset(weights), collector.take),
        ) as evaluator,
        progress.steps("imatrix", len(parts) * context_tokens, "tokens") as advance,
    ):
        for part in parts:
            evaluator.read(part, advance)
    uses = collector.uses()
    if not uses:
        raise ModelUnsupported(
            f"{header.path.name}: no product with a weight of its layers was seen",
            hint="its architecture multiplies in a way that is not known here",
            path=str(header.path),
        )
    matrix = ImportanceMatrix(uses, (dataset,), len(parts), context_tokens, output)
    write_imatrix(matrix, force=force)
    return matrix


def _check_place(output: Path, inputs: Iterable[Path]) -> None:
    """Now, and not after an hour of reading."""
    if output.exists() and any(output.samefile(path) for path in inputs):
        raise OptionInvalid(f"{output} is the model itself", hint="give another name", option="output")
    folder = output.absolute().parent
    with (
        writing_to(folder, lambda error: cannot_write(output, error), hint="write to a larger disk"),
        TemporaryFile(dir=folder),
    ):
        pass
