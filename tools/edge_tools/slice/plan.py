"""The plan of a slice: the layers and columns that stay, refused where llama.cpp could not load it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from edge_runtime.errors import OptionInvalid
from edge_runtime.gguf.layer_patterns import GEMMA3N_OWNING_LAYERS as OWNING_LAYERS
from edge_runtime.gguf.layer_patterns import SLIDING_PERIODS, periodic

from .matformer import MatFormer
from .options import SliceOptions, layers_text


@dataclass(frozen=True)
class Target:
    """A smaller model that was trained inside a larger one."""

    name: str
    source: str
    source_layers: int
    skipped: tuple[int, ...]
    feed_forward_per_width: int  # columns for each number of the hidden state, here and in scaled-down models


# Source: config.json of google/gemma-3n-E2B and -E4B, and Google's MatFormer Lab.
TARGETS = {"e2b": Target("E2B", "E4B", 35, (20, 21, 22, 23, 24), 4)}
_LEAST_TRAINED_PER_WIDTH = 4  # E2B's is the narrowest feed-forward that Gemma 3n was trained with


@dataclass(frozen=True)
class SlicePlan:
    kept: tuple[int, ...]  # as the source counts them; their places are the new numbers
    skipped: tuple[int, ...]
    feed_forward: int  # columns, of every layer
    slides: tuple[bool, ...]  # of the kept layers
    target: Target | None = None
    notes: tuple[str, ...] = ()  # what loads, but may not be what was wanted


def plan_slice(source: MatFormer, options: SliceOptions) -> SlicePlan:
    """Raises OptionInvalid: what was asked for, which rule forbids it, and what would do."""
    target = _target(source, options)
    skipped = target.skipped if target else tuple(sorted(set(options.skip_layers)))
    _check_skipped(source, skipped)
    kept = tuple(layer for layer in range(source.layers) if layer not in skipped)
    wanted = target.feed_forward_per_width * source.width if target else options.feed_forward
    feed_forward = _feed_forward(source, kept, wanted)
    if not skipped and set(source.feed_forward) == {feed_forward}:
        problem = f"nothing to cut: {source.name} has {source.layers} layers of {feed_forward} columns"
        raise _invalid("feed_forward", feed_forward, problem, _what_to_give(source))
    slides = tuple(source.slides[layer] for layer in kept)
    notes = tuple(_notes(source, slides, feed_forward))
    return SlicePlan(kept, skipped, feed_forward, slides, target, notes)


def _target(source: MatFormer, options: SliceOptions) -> Target | None:
    if options.to is None:
        return None
    if options.skip_layers or options.feed_forward is not None:
        problem = "to= says what is cut; skip_layers= and feed_forward= do not go with it"
        raise _invalid("to", options.to, problem, "leave out to=, or the two others")
    target = TARGETS.get(options.to.lower())
    if target is None:
        wanted = options.to[:40]
        raise _invalid("to", wanted, f"no slice is called {wanted!r}", f"there is: {', '.join(TARGETS)}")
    columns = target.feed_forward_per_width * source.width
    if source.layers != target.source_layers or min(source.feed_forward) < columns:
        raise _invalid(
            "to",
            options.to,
            f"{target.name} is cut out of {target.source}, {target.source_layers} layers of {columns} or "
            f"more columns; {source.name} has {source.layers} layers of {min(source.feed_forward)}",
            _what_to_give(source),
        )
    return target


def _check_skipped(source: MatFormer, skipped: tuple[int, ...]) -> None:
    allowed = _what_can_be_skipped(source)
    outside = [layer for layer in skipped if not 0 <= layer < source.layers]
    if outside:
        problem = f"layer {outside[0]} cannot be skipped: {source.name} has layers 0 to {source.layers - 1}"
        raise _invalid("skip_layers", layers_text(skipped), problem, allowed)
    owning = [layer for layer in skipped if layer < OWNING_LAYERS]
    if owning:
        problem = (
            f"layer {owning[0]} cannot be skipped: llama.cpp looks for keys and values in the first "
            f"{OWNING_LAYERS} layers of a Gemma 3n, and a later layer that moved up has none of its own"
        )
        raise _invalid("skip_layers", layers_text(skipped), problem, allowed)


def _feed_forward(source: MatFormer, kept: tuple[int, ...], wanted: int | None) -> int:
    widths = {source.feed_forward[layer]: layer for layer in kept}
    least = min(widths)
    if wanted is None and len(widths) > 1:
        shown = ", ".join(f"{columns} in layer {layer}" for columns, layer in list(widths.items())[:3])
        problem = f"the layers differ ({shown}), and llama.cpp loads one width of Gemma 3n for all"
        raise _invalid("feed_forward", None, problem, f"feed_forward={least}, or less")
    columns = least if wanted is None else wanted
    if not 0 < columns <= least:
        problem = f"feed_forward: {columns} is not from 1 to {least}, the columns of layer {widths[least]}"
        raise _invalid("feed_forward", columns, problem, f"feed_forward={least}, or less")
    return columns


def _notes(source: MatFormer, slides: tuple[bool, ...], feed_forward: int) -> Iterator[str]:
    trained = _LEAST_TRAINED_PER_WIDTH * source.width
    if feed_forward < trained:
        yield f"Gemma 3n was trained with {trained} feed-forward columns and more: expect poor answers"
    if slides == source.slides[: len(slides)]:
        return
    if list(slides) != periodic(len(slides), SLIDING_PERIODS["gemma3n"]):
        yield (
            "the layers that see everything are no longer every fifth: the file says which they are, but "
            "older versions of llama.cpp do not look"
        )


def _what_can_be_skipped(source: MatFormer) -> str:
    if source.layers <= OWNING_LAYERS:
        return f"none of {source.layers} layers can be skipped; feed_forward= makes the model narrower"
    return f"layers {OWNING_LAYERS} to {source.layers - 1} can be skipped"


def _what_to_give(source: MatFormer) -> str:
    narrower = f"feed_forward= below {max(source.feed_forward)}"
    if source.layers <= OWNING_LAYERS:
        return narrower
    return f"skip_layers= with some of {OWNING_LAYERS}-{source.layers - 1}, or {narrower}"


def _invalid(option: str, value: object, problem: str, hint: str) -> OptionInvalid:
    return OptionInvalid(problem, hint=hint, option=option, value=value)
