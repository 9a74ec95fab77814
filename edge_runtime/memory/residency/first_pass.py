"""Recording of the first pass through a model: at which node each weight was last used.

How far a pass has come is known in nodes of its graph, and no tensor's name goes with a count.
But weights that are not in memory come in when they are touched. That moment is exact, whatever
the architecture: layers differ in their nodes, and some share what others compute.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .pages import Pages, any_mapped, read_in

_POLL_S = 0.001
_LOOKED_AT = 3  # of those to come: two matrices of a layer may be used in another order than expected
# The node that touches a tensor, and the next: a thread may still be busy when the first counts.
_NODES_IN_USE = 2
NEVER = 2**31  # more nodes than a pass has


class Position(NamedTuple):
    """Of a model in its work, passes after passes."""

    passes: int  # done since the beginning
    nodes: int  # done of the running one


class FirstPass:
    """Watches what the model touches, and lets go of it again; nothing of it is read ahead."""

    def __init__(
        self,
        tensors: Sequence[Sequence[Pages]],
        position: Callable[[], Position],
        forget: Callable[[Pages], None],
    ) -> None:
        """tensors: their pages, about in the order of use, none of them in memory."""
        self._tensors, self._position, self._forget = tensors, position, forget
        self._passes = position().passes
        self._start_again()

    def _start_again(self) -> None:
        self._nodes = 0
        self._unseen = list(range(len(self._tensors)))
        self._used_at: dict[int, int] = {}  # by tensor: done when the pass has come so far
        self._held: list[int] = []

    def watch(self, stop: threading.Event) -> list[int]:
        """How many nodes a pass has done when it is done with each tensor.

        Comes back when the first pass is over, or stop is set. NEVER: not seen, and none behind it.
        """
        while not stop.is_set():
            passes, nodes = self._position()
            if passes != self._passes:
                break
            if nodes < self._nodes:  # that one was aborted
                self._drop(self._held)
                self._start_again()
            elif nodes:
                self._look(nodes)
            stop.wait(_POLL_S)
        self._drop(self._held)
        return self._all_used_at()

    def _look(self, nodes: int) -> None:
        self._nodes = nodes
        self._drop([number for number in self._held if self._used_at[number] <= nodes])
        for number in self._unseen[:_LOOKED_AT]:
            if any(any_mapped(pages) for pages in self._tensors[number]):
                self._saw(number)

    def _saw(self, number: int) -> None:
        passes, nodes = self._position()  # after the look: not one too few
        if passes != self._passes:
            return
        self._unseen.remove(number)
        self._held.append(number)
        self._used_at[number] = nodes + _NODES_IN_USE
        for pages in self._tensors[number]:  # faster than one touch after another
            read_in(pages)

    def _drop(self, numbers: Sequence[int]) -> None:
        for number in list(numbers):
            self._held.remove(number)
            for pages in self._tensors[number]:
                self._forget(pages)

    def _all_used_at(self) -> list[int]:
        """One that was missed counts as used with the next: held too long rather than too short."""
        found, later = [], NEVER
        for number in reversed(range(len(self._tensors))):
            later = self._used_at.get(number, later)
            found.append(later)
        return found[::-1]
