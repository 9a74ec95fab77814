"""Recipes: a type for each class of weights, chosen so that the model fits where it will run.

`edge-2gb` is any size: of the rows below, best first, the first with which the model runs at full speed
in so much memory. What decides:

- Every token reads the body and the output matrix, which mostly is the embedding: their types are what
  memory goes to, so those are what the rows give up, step by step.
- The body has the most weights and takes a coarse type best, with llama.cpp's mixture (M: half of the
  value and down matrices in Q6_K) as long as that fits. The embedding, being the output too, shows
  rounding in every logit: it stays better than the body until nothing else is left.
- Per-layer embeddings (PLE) stay on flash: a token needs one row, so that their type costs disk and a few
  kilobytes a token, no memory. They are half of Gemma 3n E2B's weights, though, and a phone's disk is
  small too: one step better than the body.
- What puts them into each layer (other) is small and adds to every layer's result: Q8_0, or close.
- Nothing is below four bits: there answers of models this small fall apart (our choice).
- No weight gets a larger type than it has: that takes memory and gives nothing back.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edge_runtime.errors import OptionInvalid
from edge_runtime.values.units import parse_bytes

from ..tensor_classes import TensorClass


@dataclass(frozen=True)
class Row:
    body: str
    embedding: str
    ple: str
    output: str
    other: str
    reason: str

    def of(self, kind: TensorClass) -> str:
        name: str = getattr(self, kind.value)
        return name


@dataclass(frozen=True)
class Recipe:
    name: str
    rows: tuple[Row, ...]  # best first
    budget_bytes: int | None = None  # None: the first row is taken, unless a budget is given


_EDGE = (
    Row("Q8_0", "Q8_0", "Q8_0", "Q8_0", "Q8_0", "nothing to be noticed of the rounding"),
    Row("Q6_K", "Q8_0", "Q8_0", "Q8_0", "Q8_0", "the body in six bits"),
    Row("Q6_K", "Q6_K", "Q6_K", "Q6_K", "Q8_0", "six bits throughout"),
    Row("Q5_K_M", "Q6_K", "Q6_K", "Q6_K", "Q8_0", "the body in five bits, its touchiest parts in six"),
    Row("Q4_K_M", "Q6_K", "Q5_K", "Q6_K", "Q8_0", "the body in four bits, its touchiest parts in six"),
    Row("Q4_K_S", "Q6_K", "Q5_K", "Q6_K", "Q8_0", "the body in four bits"),
    Row("Q4_K_S", "Q5_K", "Q5_K", "Q5_K", "Q8_0", "the embedding in five bits as well"),
    Row("Q4_K_S", "Q4_K", "Q4_K", "Q4_K", "Q6_K", "four bits throughout: the smallest there is"),
)
# A sound is hundreds of tokens that differ little. Below five bits they run together, and the model
# repeats itself: nothing may become smaller.
_SPEECH = (
    Row(
        "Q5_K_M",
        "Q6_K",
        "Q6_K",
        "Q6_K",
        "Q8_0",
        "nothing below five bits: coarser, and speech repeats itself",
    ),
)
EXAMPLES = ("edge-2gb", "edge-3gb", "speech")
_EDGE_NAME = re.compile(r"edge-(?P<size>.+)", re.IGNORECASE)


def recipe_named(name: str) -> Recipe:
    """Raises OptionInvalid."""
    if name.lower() == "speech":
        return Recipe("speech", _SPEECH)
    found = _EDGE_NAME.fullmatch(name)
    if found is None:
        raise OptionInvalid(
            f"recipe: there is no recipe {name[:40]!r}",
            hint=f"speech, or edge- and a size: {', '.join(EXAMPLES)}",
            option="recipe",
            value=name[:40],
            allowed=list(EXAMPLES),
        )
    return Recipe(name.lower(), _EDGE, parse_bytes(found["size"], option="recipe"))


def describe() -> list[str]:
    """The table, for --help."""
    classes = ("body", "embedding", "ple", "output", "other")
    lines = ["  " + "".join(f"{kind:<11}" for kind in classes).rstrip()]
    for name, rows in (("edge-SIZE", _EDGE), ("speech", _SPEECH)):
        lines.append(f"{name}:")
        lines += ["  " + "".join(f"{getattr(row, kind):<11}" for kind in classes).rstrip() for row in rows]
    return lines
