"""The importance matrix given to the quantizer, checked against the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_runtime.gguf.header import GgufHeader

from ..imatrix import read_importance_matrix
from .notes import check_matrix

_LONGEST_TEXT_BYTES = 127  # that llama.cpp takes as a metadata value


@dataclass(frozen=True, eq=False)
class Importance:
    means: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)  # by tensor, see read_imatrix
    metadata: Mapping[str, int | str] = field(default_factory=dict)


def read_importance(path: Path | None, source: GgufHeader) -> Importance:
    """Raises ModelNotFound, ModelFileInvalid, ModelUnsupported; OptionInvalid when it is of another model."""
    if path is None:
        return Importance()
    found = read_importance_matrix(path)
    means = found.means()
    check_matrix(source, path.name, means)
    metadata: dict[str, int | str] = {"quantize.imatrix.file": _short(path.name)}
    if found.datasets:  # some tools put the whole path there: nobody's business
        metadata["quantize.imatrix.dataset"] = _short(re.split(r"[/\\]", found.datasets[0])[-1])
    metadata["quantize.imatrix.entries_count"] = len(means)
    metadata["quantize.imatrix.chunks_count"] = found.chunks
    return Importance(means, metadata)


def _short(text: str) -> str:
    return text.encode("utf-8", "replace")[:_LONGEST_TEXT_BYTES].decode("utf-8", "ignore")
