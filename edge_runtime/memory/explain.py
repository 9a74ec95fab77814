"""Explanations of a plan, as sentences for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..values.kv_type import KvType
from .assemble import Model
from .kv_cache import can_hold
from .part import PartKind
from .plan import MemoryChoices, MemoryPlan, PlePolicy

_ASSUMED_FLASH_BYTES_PER_S = 1_000_000_000


def explain(model: Model, plan: MemoryPlan, ladder: Sequence[MemoryChoices]) -> tuple[str, ...]:
    lines = [_chosen(plan), _given_up(plan, ladder[0]), _ple(plan), _platform(model, plan)]
    lines.append(_streaming(plan))
    lines += [_next_step(model, plan, ladder), _more_context(model, plan, ladder[0]), _certainty(model, plan)]
    return tuple(line for line in lines if line)


def what_was_given_up(best: MemoryChoices, choices: MemoryChoices) -> tuple[str, ...]:
    """'f16 KV (now q4_0)', '4096 tokens of context (now 256)'; nothing when nothing was."""
    pairs = (
        (best.context_tokens, choices.context_tokens, "{} tokens of context (now {})"),
        (best.kv_type.value, choices.kv_type.value, "{} KV (now {})"),
        (best.micro_batch_tokens, choices.micro_batch_tokens, "a micro-batch of {} tokens (now {})"),
        (_yes(best.repack), _yes(choices.repack), "repacked weights"),
        (best.flash_attention, choices.flash_attention, "the faster plain attention"),
        (_resident(best), _resident(choices), "all per-layer embeddings in RAM"),
        (0, choices.streamed_bytes, "all weights in RAM"),
    )
    return tuple(words.format(before, after) for before, after, words in pairs if before != after)


def _resident(choices: MemoryChoices) -> bool:
    return choices.ple_policy is PlePolicy.RESIDENT


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _chosen(plan: MemoryPlan) -> str:
    choices = plan.choices
    return (
        f"Chosen: {choices.context_tokens} tokens of context, {choices.kv_type.value} KV, "
        f"micro-batch {choices.micro_batch_tokens}, repack {'on' if choices.repack else 'off'}, "
        f"{'flash' if choices.flash_attention else 'plain'} attention."
    )


def _given_up(plan: MemoryPlan, best: MemoryChoices) -> str:
    if plan.budget_bytes is None:
        return ""
    lost = what_was_given_up(best, plan.choices)
    return f"Given up for the budget: {', '.join(lost)}." if lost else ""


def _ple(plan: MemoryPlan) -> str:
    policy, table = plan.choices.ple_policy, plan.size_text(plan.part_bytes(PartKind.PLE))
    if policy is PlePolicy.CACHE:
        return (
            f"The per-layer embeddings ({table}) stay on flash; "
            f"a cache of {plan.size_text(plan.choices.ple_cache_bytes)} keeps the rows in use."
        )
    if policy is PlePolicy.MAPPED:
        return f"The per-layer embeddings ({table}) are mapped; their pages come and go."
    return f"The per-layer embeddings ({table}) are in RAM." if policy is PlePolicy.RESIDENT else ""


def _platform(model: Model, plan: MemoryPlan) -> str:
    """Where a plan cannot be held, it says so."""
    found = model.options.platform
    if found.can_release or plan.choices.ple_policy is PlePolicy.NONE:
        return ""
    return f"{found.system} has no call that lets go of a mapped page: which of them stay is its own choice."


def _streaming(plan: MemoryPlan) -> str:
    streamed = plan.choices.streamed_bytes
    if not streamed:
        return ""
    seconds = streamed / _ASSUMED_FLASH_BYTES_PER_S
    at = f"{plan.size_text(_ASSUMED_FLASH_BYTES_PER_S)}/s (not measured here)"
    missing = plan.size_text(max(plan.comfortable_bytes - (plan.budget_bytes or 0), 0))
    return (
        f"{plan.size_text(streamed)} of weights are read from flash for every token: {seconds:.2f} s at "
        f"{at}, while the rest computes, so at most {1 / seconds:.1f} tokens/s; "
        f"{missing} more would hold everything."
    )


def _next_step(model: Model, plan: MemoryPlan, ladder: Sequence[MemoryChoices]) -> str:
    """What the rung above costs."""
    choices = plan.choices
    if plan.budget_bytes is None or choices.streamed_bytes or choices not in ladder[1:]:
        return ""
    better = ladder[ladder.index(choices) - 1]
    price_bytes = max(model.total_bytes(better) - plan.budget_bytes, 0)
    gained = [words.partition(" (now")[0] for words in what_was_given_up(better, choices)]
    return (
        f"{plan.size_text(price_bytes)} more would give {' and '.join(gained)}."
        if gained and price_bytes
        else ""
    )


def _more_context(model: Model, plan: MemoryPlan, best: MemoryChoices) -> str:
    """What context_tokens= or kv_type= could ask for within the same budget."""
    choices, options = plan.choices, model.options
    if plan.budget_bytes is None or not plan.fits or choices.streamed_bytes or options.context_tokens:
        return ""
    largest = _largest_context(model, choices, plan.budget_bytes)
    if choices.context_tokens == best.context_tokens and largest > choices.context_tokens:
        return f"There is room for context_tokens={largest}."
    smaller = replace(choices, kv_type=KvType.Q8_0)
    if options.kv_type is KvType.F16 and can_hold(model.shape, KvType.Q8_0):
        gained = _largest_context(model, smaller, plan.budget_bytes) - choices.context_tokens
        return f"q8_0 KV would give {gained:,} more tokens of context." if gained > 0 else ""
    return ""


def _largest_context(model: Model, choices: MemoryChoices, budget_bytes: int) -> int:
    """Up to what the model was trained for."""
    low, high = 0, (model.shape.trained_context_tokens or choices.context_tokens) // 256
    while low < high:
        middle = (low + high + 1) // 2
        fits = model.total_bytes(replace(choices, context_tokens=256 * middle)) <= budget_bytes
        low, high = (middle, high) if fits else (low, middle - 1)
    return 256 * low


def _certainty(model: Model, plan: MemoryPlan) -> str:
    return "" if plan.certain else f"Buffers of {model.shape.architecture or 'this model'} are an estimate."
