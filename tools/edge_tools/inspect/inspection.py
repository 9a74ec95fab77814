"""The report of `edge-runtime inspect`, from the header alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.catalog.catalog import locate
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.gguf.check import check_header
from edge_runtime.gguf.header import GgufHeader, read_header
from edge_runtime.gguf.types import TensorInfo
from edge_runtime.memory import LoadOptions, MemoryPlan, plan_memory
from edge_runtime.runtime.planning import plan_options
from edge_runtime.values.units import ByteUnits

from ..metadata_text import value_json
from ..tensor_classes import tensor_class
from ..tensor_data import element_count
from .classes import ClassSize, class_sizes
from .facts import Fact, architecture_facts


@dataclass(frozen=True, eq=False)
class Inspection:
    header: GgufHeader
    facts: dict[str, Fact]
    classes: tuple[ClassSize, ...]
    plan: MemoryPlan | None  # without a budget: what the best settings hold
    problem: str = ""  # why there is no plan

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        return self.header.tensors

    @property
    def byte_units(self) -> ByteUnits:
        """Of sizes for people: the plan's."""
        return self.plan.byte_units if self.plan else ByteUnits.DECIMAL

    @property
    def elements(self) -> int:
        return sum(size.elements for size in self.classes)

    @property
    def tensor_bytes(self) -> int:
        return sum(size.size_bytes for size in self.classes)

    @property
    def bits_per_weight(self) -> float:
        """Of all tensors; metadata and padding are not counted. 0 when there are none."""
        return 8 * self.tensor_bytes / self.elements if self.elements else 0.0

    def as_json(self, *, with_tensors: bool = False) -> dict[str, Any]:
        header = self.header
        result: dict[str, Any] = {
            "path": str(header.path),
            "files": len(header.paths),
            "size_bytes": header.file_size_bytes,
            "gguf_version": header.version,
            "facts": {name: value_json(fact) for name, fact in self.facts.items()},
            "classes": [size.as_json() for size in self.classes],
            "total": {
                "tensors": len(self.tensors),
                "elements": self.elements,
                "size_bytes": self.tensor_bytes,
                "bits_per_weight": round(self.bits_per_weight, 4),
            },
            "plan": self.plan.as_json() if self.plan else None,
            "problem": self.problem,
            "metadata": {key: value_json(value) for key, value in header.metadata.items()},
        }
        if with_tensors:
            result["tensors"] = [_tensor_json(tensor) for tensor in self.tensors]
        return result


def inspect_model(model: str | Path) -> Inspection:
    """A model's name, or a GGUF file. No weight is read.

    A file that llama.cpp would refuse is shown all the same, without a plan; `problem`
    says why. Raises ModelNotFound, ModelFileInvalid or ModelUnsupported for one whose
    header cannot be read.
    """
    header = read_header(locate(model).path)
    plan, problem = _plan(header)
    return Inspection(header, architecture_facts(header), class_sizes(header.tensors), plan, problem)


def _plan(header: GgufHeader) -> tuple[MemoryPlan | None, str]:
    try:
        check_header(header)
        return plan_memory(header, plan_options(LoadOptions())), ""
    except EdgeRuntimeError as error:
        return None, str(error)


def _tensor_json(tensor: TensorInfo) -> dict[str, object]:
    return {
        "name": tensor.name,
        "class": tensor_class(tensor).value,
        "type": tensor.type.name,
        "shape": list(tensor.shape),
        "elements": element_count(tensor),
        "size_bytes": tensor.size_bytes,
        "file": tensor.file_index,
        "offset_bytes": tensor.offset_bytes,
    }
