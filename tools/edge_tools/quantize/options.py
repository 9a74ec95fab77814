"""The options of `quantize`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_runtime.values.units import ByteUnits


@dataclass(frozen=True)
class QuantizeOptions:
    """Either `type` or `recipe`; the types of classes come before both. Names are those of TYPES."""

    type: str | None = None
    recipe: str | None = None  # "edge-2gb", "edge-1.5GiB", "speech"
    body: str | None = None
    embedding: str | None = None
    ple: str | None = None
    output: str | None = None
    other: str | None = None
    imatrix: Path | None = None
    split_bytes: int | None = None  # the largest file of a set
    budget_bytes: int | None = None  # that the plan of the result must fit
    context_tokens: int | None = None  # of that plan; 4096, or what the model was trained for
    threads: int | None = None  # that quantize; all cores this process may use
    byte_units: ByteUnits = ByteUnits.DECIMAL  # of sizes in messages
    children: bool | None = None  # False: in this process; None: in a child where one can be started
    dry_run: bool = False
    force: bool = False
