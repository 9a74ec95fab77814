"""How often to look at an utterance that goes on: as often as wanted, or as the machine can."""

from __future__ import annotations

_SHARE = 0.8  # of the time that looks may take
_FORGET_AFTER_S = 30.0  # a machine that was too slow may have been busy with something else


class Pace:
    def __init__(self, step_s: float, longest_step_s: float) -> None:
        self._step_s, self._longest_step_s = step_s, longest_step_s
        self._cost_s = 0.0  # of the last look
        self._looked_s = 0.0  # when it ended

    def looked(self, cost_s: float, now_s: float) -> None:
        self._cost_s, self._looked_s = cost_s, now_s

    def step_s(self, now_s: float) -> float | None:
        """New sound that a look should wait for; None: no look is worth its time."""
        step_s = max(self._step_s, self._cost_s / _SHARE)
        if step_s <= self._longest_step_s:
            return step_s
        return self._longest_step_s if now_s - self._looked_s > _FORGET_AFTER_S else None
