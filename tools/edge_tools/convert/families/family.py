"""The interface of a model family: its tensors, hyperparameters and tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge_runtime.gguf.writing import HeaderValue

from ..source.checkpoint import Checkpoint
from ..source.config import Config
from ..source.target import Target


@dataclass(frozen=True)
class Family:
    """One small file here for each. The functions raise ConversionError."""

    architectures: tuple[str, ...]  # as config.json says them
    gguf_architecture: str
    targets: Callable[[Config], Iterator[Target]]
    metadata: Callable[[Config], dict[str, HeaderValue]]  # keys without the architecture
    tokenizer: Callable[[Checkpoint], dict[str, HeaderValue]]
    defaults: Mapping[str, Any] = field(default_factory=dict)  # of transformers' config class
    ignored: tuple[str, ...] = ()  # tensors that are not needed: parts of their names
