"""The choice of types for a new file: as asked, or the first row of a recipe that fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_runtime.errors import EdgeRuntimeError, MemoryBudgetExceeded, OptionInvalid
from edge_runtime.gguf.header import GgufHeader
from edge_runtime.memory import Budget, LoadOptions, MemoryPlan, PlanOptions, plan_memory
from edge_runtime.runtime.planning import plan_options
from edge_runtime.values.units import ByteUnits, byte_units_of, size_to_type

from .future import changes_of, future_header
from .options import QuantizeOptions
from .recipes import Recipe, recipe_named
from .wanted import TensorTypes, tensor_types, wanted_by_row, wanted_by_type, without_growth

_CONTEXT_TOKENS = 4096  # what `plan` and `chat` begin with


@dataclass(frozen=True)
class Tried:
    """A row of a recipe, and what its plan says."""

    types: Mapping[str, str]  # by class; those that were asked for in their place
    reason: str
    full_speed_bytes: int
    fits: bool

    def as_json(self) -> dict[str, Any]:
        return {
            "types": dict(self.types),
            "reason": self.reason,
            "full_speed_bytes": self.full_speed_bytes,
            "fits": self.fits,
        }


@dataclass(frozen=True)
class Decision:
    header: GgufHeader  # of the file as it will be, not placed yet
    changes: Mapping[str, int | str]  # of its metadata
    types: TensorTypes
    budget: Budget
    plan: MemoryPlan | None
    problem: str = ""  # why there is no plan
    recipe: Recipe | None = None
    tried: tuple[Tried, ...] = ()  # the last one is it


def decide(
    source: GgufHeader, path: Path, options: QuantizeOptions, metadata: Mapping[str, int | str]
) -> Decision:
    """Raises OptionInvalid; MemoryBudgetExceeded when the result would not fit a budget; ConversionError."""
    if (options.type is None) == (options.recipe is None):
        raise OptionInvalid(
            "give either type= or recipe=", hint="type='Q4_K_M', or recipe='edge-2gb'", option="type"
        )
    if options.type is not None:
        return _by_type(source, path, options, metadata)
    recipe = recipe_named(options.recipe or "")
    if recipe.budget_bytes and options.budget_bytes:
        raise OptionInvalid(
            f"budget= does not go with recipe={recipe.name!r}, whose name says how much memory there is",
            hint="leave out budget=, or give another recipe",
            option="budget",
        )
    return _by_recipe(source, path, recipe, options, metadata)


def _by_type(
    source: GgufHeader, path: Path, options: QuantizeOptions, metadata: Mapping[str, int | str]
) -> Decision:
    wanted = wanted_by_type(options)
    has_matrix = options.imatrix is not None
    (types,) = tensor_types(source, [wanted], has_matrix=has_matrix, children=options.children)
    changes = changes_of(source, wanted.body.file_type, metadata)
    header = future_header(source, path, types.types, changes)
    plan_options = _plan_options(source, options, options.byte_units)
    try:
        plan, problem = plan_memory(header, plan_options, options.budget_bytes), ""
    except MemoryBudgetExceeded:
        raise
    except EdgeRuntimeError as error:  # a model that no plan is known for can be quantized all the same
        plan, problem = None, str(error)
    return Decision(header, changes, types, _budget(options.budget_bytes, "budget="), plan, problem)


def _by_recipe(
    source: GgufHeader,
    path: Path,
    recipe: Recipe,
    options: QuantizeOptions,
    metadata: Mapping[str, int | str],
) -> Decision:
    budget_bytes = recipe.budget_bytes or options.budget_bytes
    budget = _budget(budget_bytes, f"recipe={recipe.name!r}" if recipe.budget_bytes else "budget=")
    units = byte_units_of(recipe.name) if recipe.budget_bytes else options.byte_units
    asked = _plan_options(source, options, units)
    wanted = [wanted_by_row(row, options) for row in recipe.rows]
    has_matrix = options.imatrix is not None
    found = tensor_types(source, wanted, has_matrix=has_matrix, children=options.children)
    tried: list[Tried] = []
    for row, one, answer in zip(recipe.rows, wanted, found, strict=True):
        types = without_growth(source, answer)
        changes = changes_of(source, one.body.file_type, metadata)
        header = future_header(source, path, types.types, changes)
        plan = plan_memory(header, asked)
        fits = budget_bytes is None or plan.full_speed_bytes <= budget_bytes
        tried.append(Tried(one.names, row.reason, plan.full_speed_bytes, fits))
        if fits:
            plan = plan_memory(header, asked, budget_bytes)
            return Decision(header, changes, types, budget, plan, recipe=recipe, tried=tuple(tried))
    raise _nothing_fits(source, recipe, tried, plan, budget_bytes or 0)


def _budget(size_bytes: int | None, reason: str) -> Budget:
    return Budget(size_bytes, reason if size_bytes else "none was given")


def _plan_options(source: GgufHeader, options: QuantizeOptions, units: ByteUnits) -> PlanOptions:
    """With a fixed context: less of it must not make room for finer weights."""
    trained = source.context_length or _CONTEXT_TOKENS
    context_tokens = options.context_tokens or min(trained, _CONTEXT_TOKENS)
    return plan_options(LoadOptions(context_tokens=context_tokens, byte_units=units))


def _nothing_fits(
    source: GgufHeader, recipe: Recipe, tried: Sequence[Tried], plan: MemoryPlan, budget_bytes: int
) -> MemoryBudgetExceeded:
    least = min(tried, key=lambda one: one.full_speed_bytes)
    enough = size_to_type(least.full_speed_bytes, plan.byte_units)
    other = f"recipe='edge-{enough.lower()}'" if recipe.budget_bytes else f"budget={enough!r}"
    return MemoryBudgetExceeded(
        f"{source.path.name} does not fit {plan.size_text(budget_bytes)} at full speed: with "
        f"{plan.context_tokens} tokens of context the smallest of {recipe.name}, {least.types['body']} with "
        f"{least.types['embedding']} embedding, needs {plan.size_text(least.full_speed_bytes)}",
        hint=f"{other} fits; a smaller context_tokens= needs less, and so does a smaller model",
        plan=plan,
        budget_bytes=budget_bytes,
        minimum_bytes=least.full_speed_bytes,
    )
