"""The time of each llama_decode's return, and the bytes read from disk by then."""

from __future__ import annotations

import resource
import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from edge_runtime.device.process_memory import process_memory, resident_kinds

from .task import WARM_UP_TOKENS


@dataclass(frozen=True)
class Mark:
    at_s: float
    major_faults: int
    read_bytes: int  # from storage, by any thread of this process

    @classmethod
    def now(cls) -> Mark:
        faults = resource.getrusage(resource.RUSAGE_SELF).ru_majflt
        return cls(time.perf_counter(), faults, _read_bytes())


class StepClock:
    """Counts tokens as steps return: the prompt's first, then one token a step.

    A token's time goes from one step's return to the next: what happens between two
    llama_decode calls is in it.
    """

    def __init__(self, prompt_tokens: int, answer_tokens: int, *, watch_residency: bool = False) -> None:
        self._prompt_tokens, self._seen_tokens = prompt_tokens, 0
        self._watch_every = max(1, answer_tokens // 10) if watch_residency else 0
        self._started: Mark | None = None
        self._marks: list[Mark] = []  # after the prompt, and after each token
        self.residency: list[dict[str, int]] = []

    def start(self) -> None:
        self._started = Mark.now()

    def step(self, tokens: int) -> None:
        """A step that evaluated so many tokens has returned."""
        self._seen_tokens += tokens
        if self._seen_tokens < self._prompt_tokens:
            return
        self._marks.append(Mark.now())
        answered = len(self._marks) - 1
        if self._watch_every and answered and answered % self._watch_every == 0:
            self.residency.append({"after": answered, **resident()})

    def figures(self) -> dict[str, Any]:
        """Seconds, tokens a second, and what a token cost in reads; without tokens only what there is."""
        if self._started is None or not self._marks:
            return {}
        prefill_s = self._marks[0].at_s - self._started.at_s
        found: dict[str, Any] = {
            "prefill_s": prefill_s,
            "prefill_tokens_per_s": self._prompt_tokens / prefill_s,
            "prefill_read_bytes": self._marks[0].read_bytes - self._started.read_bytes,
        }
        if len(self._marks) > WARM_UP_TOKENS + 1:
            found |= self._decode_figures()
        return found

    def _decode_figures(self) -> dict[str, Any]:
        marks = self._marks
        returned_s = [mark.at_s for mark in marks]
        times_s = [later - earlier for earlier, later in pairwise(returned_s)]
        warm_s = times_s[WARM_UP_TOKENS:]
        first, last = marks[WARM_UP_TOKENS], marks[-1]
        return {
            "decoded_tokens": len(times_s),
            "decode_tokens_per_s": 1 / statistics.fmean(warm_s),
            "decode_median_tokens_per_s": 1 / statistics.median(warm_s),
            "decode_with_warm_up_tokens_per_s": 1 / statistics.fmean(times_s),
            "decode_median_with_warm_up_tokens_per_s": 1 / statistics.median(times_s),
            "slowest_token_s": max(warm_s),
            "read_bytes_per_token": (last.read_bytes - first.read_bytes) / len(warm_s),
            "major_faults_per_token": (last.major_faults - first.major_faults) / len(warm_s),
            "token_s": [round(duration_s, 6) for duration_s in times_s],
        }


def residency() -> dict[str, int]:
    """What is in RAM for this process now; shared pages count by their share."""
    held = process_memory()
    return {
        "anonymous_bytes": (held.anonymous_bytes or 0) + (held.shared_bytes or 0),
        "file_bytes": held.file_bytes or 0,
        "locked_bytes": held.locked_bytes or 0,
    }


def resident() -> dict[str, int]:
    """The same with shared pages in full, as the runtime's own monitor counts.

    Over time, shares tell of others: this process's went from 110 to 53 MB when another one
    opened the same model.
    """
    anonymous_bytes, file_bytes = resident_kinds() or (0, 0)
    return {"anonymous_bytes": anonymous_bytes, "file_bytes": file_bytes}


def _read_bytes() -> int:
    for line in Path("/proc/self/io").read_text().splitlines():
        name, _, value = line.partition(": ")
        if name == "read_bytes":
            return int(value)
    return 0
