"""An importance matrix: how strongly each column of each weight matrix is used.

A weight counts for as much as what it is multiplied with. So the mean of the squared
inputs, column by column, tells a quantizer which errors matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ColumnUse:
    """What entered one weight: a matrix, or one for each expert."""

    squares: NDArray[np.float64]  # (matrices, columns) sums of the squared inputs
    counts: NDArray[np.int64]  # (matrices,) or (1,): how many rows of input those are

    def means(self) -> NDArray[np.float32]:
        """(matrices * columns,) as llama_model_quantize expects it, the matrices one after another.

        1 throughout for a matrix that saw no input: nothing is known of its columns.
        Source: llama.cpp at 0c1e57098, tools/quantize/quantize.cpp, load_imatrix.
        """
        counts = self.counts[:, None]
        means = np.where(counts > 0, self.squares / np.maximum(counts, 1), 1.0)
        return means.astype(np.float32).reshape(-1)


@dataclass(frozen=True, eq=False)
class ImportanceMatrix:
    uses: Mapping[str, ColumnUse]  # by the weight's name
    datasets: tuple[str, ...]  # what the texts were called
    chunks: int  # of text
    chunk_tokens: int
    path: Path  # where it is written

    @property
    def unused_matrices(self) -> int:
        """Experts that the text never called."""
        return sum(int(np.count_nonzero(use.counts == 0)) for use in self.uses.values())

    def means(self) -> dict[str, NDArray[np.float32]]:
        return {name: use.means() for name, use in self.uses.items()}

    def as_json(self) -> dict[str, Any]:
        return {
            "path": str(self.path),
            "datasets": list(self.datasets),
            "chunks": self.chunks,
            "chunk_tokens": self.chunk_tokens,
            "tensors": len(self.uses),
            "unused_matrices": self.unused_matrices,
        }
