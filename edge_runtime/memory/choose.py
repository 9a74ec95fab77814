"""The choice of settings for a budget: a ladder of them, best first, and the first that fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import MemoryBudgetExceeded
from ..gguf.header import GgufHeader
from ..values.kv_type import KvType
from ..values.units import size_to_type
from .assemble import Model
from .attention import allows_plain, plain_is_faster
from .explain import explain, what_was_given_up
from .kv_cache import can_hold
from .plan import MemoryChoices, MemoryPlan, PlanOptions, PlePolicy

DEFAULT_CONTEXT_TOKENS = 4096
STREAMING_CONTEXT_TOKENS = 2048  # a context that small is worth streaming weights for
LEAST_CONTEXT_TOKENS = 256
_CONTEXT_STEP_TOKENS = 256
_MICRO_BATCHES = (512, 256, 128, 64)
# Buffers that a default may take. Gemma 3 270M reads a prompt 8 % faster with 512 tokens at a time
# than with 256; Gemma 3n E2B, whose buffers are 108 MB then, just as fast with 128 (2-core Xeon).
_DEFAULT_BUFFER_BYTES, _LEAST_DEFAULT_MICRO_BATCH = 32_000_000, 128
# What plain attention may take for a context of 4096 tokens before the micro-batch shrinks for it.
_DEFAULT_SCORE_BYTES = 48_000_000
# 4096 tokens of prose have some 1,200 different ones: 15 MB of rows, in pages, for Gemma 3n and 4.
# The least, 340 tokens' rows, is for budgets that stream weights: a token reads 12 KB of rows
# again then at most, but all of the weights that the cache leaves no place for.
PLE_CACHE_BYTES, LEAST_PLE_CACHE_BYTES = 32_000_000, 4_000_000
_MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Rung:
    choices: MemoryChoices
    may_stream: bool = False


def plan_memory(
    header: GgufHeader, options: PlanOptions | None = None, budget_bytes: int | None = None
) -> MemoryPlan:
    """The best settings that fit the budget, and what they hold. None: no budget.

    What the options fix stays as it is. A bigger budget never gives a smaller context,
    a coarser cache or more streaming. Raises MemoryBudgetExceeded, which carries the
    smallest plan there is.
    """
    model = Model(header, options or PlanOptions())
    rungs = list(ladder(model))
    totals = [model.total_bytes(rung.choices) for rung in rungs]
    for rung, total_bytes in zip(rungs, totals, strict=True):
        choices = _fit(model, rung, total_bytes, budget_bytes)
        if choices is not None:
            return _plan(model, choices, budget_bytes, rungs, totals)
    raise _exceeded(model, rungs, totals, budget_bytes or 0)


def ladder(model: Model) -> Iterator[Rung]:
    """What to try, best first. No rung takes back what an earlier one gave up."""
    best = _best_choices(model)
    current = best
    for current in _unstreamed(model, best):
        yield Rung(current)
    if not _can_stream(model):
        for context in _contexts(model, current.context_tokens, LEAST_CONTEXT_TOKENS):
            yield Rung(replace(current, context_tokens=context))
        return
    current = _with_small_ple_cache(model, current)
    yield Rung(current, may_stream=True)
    # From here on the most is streamed: a smaller context must not come with more speed.
    current = replace(current, streamed_bytes=_most_streamed_bytes(model))
    for context in _contexts(model, current.context_tokens, LEAST_CONTEXT_TOKENS):
        yield Rung(replace(current, context_tokens=context))


def _unstreamed(model: Model, best: MemoryChoices) -> Iterator[MemoryChoices]:
    options, current = model.options, best
    yield current
    if current.ple_policy is PlePolicy.RESIDENT and options.ple_policy is None:
        current = _with_ple_cache(model, current)
        yield current
    for micro_batch in _MICRO_BATCHES:
        if options.micro_batch_tokens is None and micro_batch < current.micro_batch_tokens:
            current = replace(current, micro_batch_tokens=micro_batch)
            yield current
    if not current.flash_attention and options.flash_attention is None:
        current = replace(current, flash_attention=True)
        yield current
    if current.repack and options.repack is None and not options.platform.can_release:
        current = replace(current, repack=False)  # both orders of the weights would stay
        yield current
    for kv_type in (KvType.Q8_0, KvType.Q4_0):
        if options.kv_type is None and can_hold(model.shape, kv_type) and current.flash_attention:
            current = replace(current, kv_type=kv_type)
            yield current
        if kv_type is KvType.Q8_0:
            for context in _contexts(model, current.context_tokens, STREAMING_CONTEXT_TOKENS):
                current = replace(current, context_tokens=context)
                yield current


def _best_choices(model: Model) -> MemoryChoices:
    options, shape = model.options, model.shape
    default = min(shape.trained_context_tokens or DEFAULT_CONTEXT_TOKENS, DEFAULT_CONTEXT_TOKENS)
    has_ple = model.weights(False).ple_bytes > 0
    # Per-layer embeddings stay on flash where that can be held: a token needs a row of them, 3 pages.
    # RESIDENT here only when asked for, or where pages cannot be given back (then MAPPED follows).
    wants_cache = options.platform.can_release or options.ple_cache_bytes is not None
    choices = MemoryChoices(
        context_tokens=options.context_tokens or default,
        kv_type=options.kv_type or KvType.F16,
        micro_batch_tokens=options.micro_batch_tokens or _default_micro_batch(model),
        repack=options.platform.can_repack if options.repack is None else options.repack,
        ple_policy=(options.ple_policy or PlePolicy.RESIDENT) if has_ple else PlePolicy.NONE,
        threads=options.threads or 1,
        file=model.header.path.name,
        flash_attention=_wants_flash(model),
    )
    choices = _with_room_for_scores(model, choices)
    if has_ple and (options.ple_policy or (wants_cache and PlePolicy.CACHE)) is PlePolicy.CACHE:
        return _with_ple_cache(model, choices)
    return choices


def _wants_flash(model: Model) -> bool:
    if not allows_plain(model.options.kv_type or KvType.F16):
        return True
    asked = model.options.flash_attention
    return not plain_is_faster(model.shape, model.options.platform) if asked is None else asked


def _with_room_for_scores(model: Model, choices: MemoryChoices) -> MemoryChoices:
    """A smaller micro-batch, where the scores of plain attention would take too much."""
    if choices.flash_attention or model.options.micro_batch_tokens is not None:
        return choices
    sizes = (n for n in _MICRO_BATCHES if _LEAST_DEFAULT_MICRO_BATCH <= n <= choices.micro_batch_tokens)
    rungs = [replace(choices, micro_batch_tokens=size) for size in sizes]
    # At one length for all: more context must not come with less memory.
    fitting = (
        rung
        for rung in rungs
        if model.plain_bytes(replace(rung, context_tokens=DEFAULT_CONTEXT_TOKENS)) <= _DEFAULT_SCORE_BYTES
    )
    return next(fitting, rungs[-1])


def _default_micro_batch(model: Model) -> int:
    fitting = (
        micro_batch
        for micro_batch in _MICRO_BATCHES
        if model.buffer_bytes(micro_batch) <= _DEFAULT_BUFFER_BYTES
    )
    return max(next(fitting, 0), _LEAST_DEFAULT_MICRO_BATCH)


def _with_ple_cache(model: Model, choices: MemoryChoices) -> MemoryChoices:
    if not model.options.platform.can_release:  # then no cap can be held; the system drops what it must
        return replace(choices, ple_policy=PlePolicy.MAPPED)
    cache = model.options.ple_cache_bytes or PLE_CACHE_BYTES
    cache = min(cache, model.weights(False).ple_bytes)
    return replace(choices, ple_policy=PlePolicy.CACHE, ple_cache_bytes=cache)


def _with_small_ple_cache(model: Model, choices: MemoryChoices) -> MemoryChoices:
    if choices.ple_policy is not PlePolicy.CACHE or model.options.ple_cache_bytes:
        return choices
    return replace(choices, ple_cache_bytes=min(LEAST_PLE_CACHE_BYTES, choices.ple_cache_bytes))


def _contexts(model: Model, start_tokens: int, least_tokens: int) -> Iterator[int]:
    """Smaller ones than start_tokens, in steps of what llama.cpp rounds to; none when fixed."""
    if model.options.context_tokens is None:
        first = (start_tokens - 1) // _CONTEXT_STEP_TOKENS * _CONTEXT_STEP_TOKENS
        yield from range(first, least_tokens - 1, -_CONTEXT_STEP_TOKENS)


def _can_stream(model: Model) -> bool:
    options = model.options
    is_possible = options.may_stream and options.platform.can_release
    return is_possible and _most_streamed_bytes(model) > model.streaming_window_bytes


def _most_streamed_bytes(model: Model) -> int:
    return model.most_streamed_bytes // _MEGABYTE * _MEGABYTE


def _fit(model: Model, rung: Rung, total_bytes: int, budget_bytes: int | None) -> MemoryChoices | None:
    """The rung's choices, streaming as much as is needed; None when that is too much."""
    if budget_bytes is None or total_bytes <= budget_bytes:
        return rung.choices
    if not rung.may_stream:
        return None
    overflow_bytes = total_bytes - budget_bytes + model.streaming_window_bytes
    streamed_bytes = -(-overflow_bytes // _MEGABYTE) * _MEGABYTE
    if streamed_bytes > _most_streamed_bytes(model):
        return None
    return replace(rung.choices, streamed_bytes=streamed_bytes)


def _plan(
    model: Model,
    choices: MemoryChoices,
    budget_bytes: int | None,
    rungs: Sequence[Rung],
    totals: Sequence[int],
) -> MemoryPlan:
    minimum, comfortable, full_speed = smallest_budgets(model, rungs, totals)
    plan = MemoryPlan(
        parts=model.parts(choices),
        choices=choices,
        budget_bytes=budget_bytes,
        minimum_bytes=minimum,
        comfortable_bytes=comfortable,
        full_speed_bytes=full_speed,
        certain=model.shape.certain,
        max_sequences=model.options.max_sequences,
        byte_units=model.options.byte_units,
    )
    return replace(plan, explanation=explain(model, plan, [rung.choices for rung in rungs]))


def smallest_budgets(model: Model, rungs: Sequence[Rung], totals: Sequence[int]) -> tuple[int, int, int]:
    """(with streaming as far as it may go, without any, and with nothing that makes decoding slower).

    A quantized cache does: Gemma 4 E4B decodes at 0.89 of its speed with q4_0 (2-core Xeon).
    """
    pairs = list(zip(rungs, totals, strict=True))
    comfortable = min(total for rung, total in pairs if not rung.choices.streamed_bytes)
    saved_bytes = _most_streamed_bytes(model) - model.streaming_window_bytes
    minimum = min(total - saved_bytes * rung.may_stream for rung, total in pairs)
    best = rungs[0].choices
    full_speed = min(
        total
        for rung, total in pairs
        if not rung.choices.streamed_bytes and _speed_choices(rung.choices) == _speed_choices(best)
    )
    return minimum, comfortable, full_speed


def _speed_choices(choices: MemoryChoices) -> tuple[object, ...]:
    return choices.kv_type, choices.repack, choices.flash_attention


def _exceeded(
    model: Model, rungs: Sequence[Rung], totals: Sequence[int], budget_bytes: int
) -> MemoryBudgetExceeded:
    choices = rungs[-1].choices
    if rungs[-1].may_stream:
        choices = replace(choices, streamed_bytes=_most_streamed_bytes(model))
    plan = _plan(model, choices, budget_bytes, rungs, totals)
    given_up = ", ".join(what_was_given_up(rungs[0].choices, choices))
    needed, budget = plan.size_text(plan.total_bytes), plan.size_text(budget_bytes)
    enough = size_to_type(plan.minimum_bytes, plan.byte_units)
    return MemoryBudgetExceeded(
        f"{model.header.path.name} with {plan.context_tokens} tokens of context needs "
        f"{needed}, the budget is {budget} ({plan.describe()})"
        + (f", after giving up {given_up}" if given_up else ""),
        hint=f"budget='{enough}' fits; a smaller context_tokens= or file needs less",
        plan=plan,
        budget_bytes=budget_bytes,
        minimum_bytes=plan.minimum_bytes,
    )
