"""Slots: conversations in the context's sequences, and the prefixes that can be reused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ...backends.backend import Backend, Chunk

if TYPE_CHECKING:
    from .job import Job

# A slot that shares less than this part of its tokens with a new prompt holds another
# conversation: where no slot is empty, the one unused for longest makes way, not this one.
_SAME_CONVERSATION = 0.5


@dataclass(eq=False)
class Slot:
    """One sequence of the context. `tokens` are those evaluated and still remembered."""

    sequence: int
    tokens: list[int] = field(default_factory=list)
    pending: tuple[int, ...] = ()  # drawn and shown at the end of the last answer, not evaluated
    text: str | None = None  # the exact text of `tokens` and `pending`; None: unknown
    job: Job | None = None
    last_used_step: int = 0
    chunk: Chunk = field(init=False)  # its part of the next step

    def __post_init__(self) -> None:
        self.chunk = Chunk(self.sequence, 0, (), True)

    def forget(self, backend: Backend) -> None:
        backend.remove(self.sequence, 0)
        self.tokens, self.pending, self.text = [], (), None


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common beginning."""
    limit = min(len(a), len(b))
    if a[:limit] == b[:limit]:
        return limit
    return next(i for i in range(limit) if a[i] != b[i])


def tokens_like(
    slots: Sequence[Slot], backend: Backend, tokens: Sequence[int], text: str | None
) -> list[int]:
    """The tokens of a prompt, with those of a slot whose text it continues.

    A model may write a word in other tokens than its tokenizer would, and then
    every later token of the conversation would be evaluated again. Where `text`
    begins with a slot's very text and goes on with a control token, the border is
    certain and the slot's own tokens stand.
    """
    known = [slot for slot in slots if slot.text and text is not None and text.startswith(slot.text)]
    for slot in sorted(known, key=lambda slot: -len(slot.tokens)):
        rest = _ending(backend, tokens, (text or "")[len(slot.text or "") :])
        if rest and backend.is_control(rest[0]):
            return [*slot.tokens, *slot.pending, *rest]
    return list(tokens)


def _ending(backend: Backend, tokens: Sequence[int], text: str) -> Sequence[int]:
    """The last of `tokens`, those that spell `text`.

    Tokenized anew where they spell it differently: some vocabularies put a space behind a
    control token.
    """
    wanted = text.encode("utf-8", errors="replace")
    spelled: list[bytes] = []
    missing_bytes, start = len(wanted), len(tokens)
    while missing_bytes > 0 and start:
        start -= 1
        spelled.append(backend.token_text(tokens[start]).spelled)
        missing_bytes -= len(spelled[-1])
    if b"".join(reversed(spelled)) == wanted:
        return tokens[start:]
    return backend.tokenize(text, add_special=False, parse_special=True)


def take_slot(slots: Sequence[Slot], backend: Backend, tokens: Sequence[int]) -> tuple[Slot, int] | None:
    """The best idle slot and how many of its tokens can stay; None when all are busy.

    The slot is left holding exactly those tokens. A prefix that only another
    slot has (a shared system prompt, say) is copied over: no evaluation, and no
    memory either, since the cells are shared.
    """
    idle = [slot for slot in slots if slot.job is None]
    if not idle:
        return None
    shared = {slot.sequence: common_prefix(slot.tokens, tokens) for slot in slots}
    target = _choose_target(idle, shared)
    donor = max(slots, key=lambda slot: shared[slot.sequence])
    if shared[donor.sequence] > shared[target.sequence]:
        backend.copy(donor.sequence, target.sequence, shared[donor.sequence])
        target.tokens = list(tokens[: shared[donor.sequence]])
    keep = min(common_prefix(target.tokens, tokens), len(tokens) - 1)  # one token must yield logits
    return target, _cut_back(target, backend, keep)


def _choose_target(idle: Sequence[Slot], shared: dict[int, int]) -> Slot:
    """The slot that this prompt continues; else an empty one; else the least loss."""
    best = max(idle, key=lambda slot: (shared[slot.sequence], -slot.last_used_step))
    if shared[best.sequence] == len(best.tokens):
        return best
    oldest = min(idle, key=lambda slot: (len(slot.tokens) > 0, slot.last_used_step))
    if not oldest.tokens or shared[best.sequence] < _SAME_CONVERSATION * len(best.tokens):
        return oldest
    return best


def _cut_back(slot: Slot, backend: Backend, keep: int) -> int:
    """Forget what is behind `keep`; all of it when a sliding window has left no way back."""
    if backend.window_tokens and len(slot.tokens) > keep:
        oldest_needed = max(0, keep - backend.window_tokens)
        if backend.first_position(slot.sequence) > oldest_needed:
            keep = 0
    if keep == 0 or not backend.remove(slot.sequence, keep):
        backend.remove(slot.sequence, 0)
        keep = 0
    slot.tokens = slot.tokens[:keep]
    slot.pending, slot.text = (), None
    return keep
