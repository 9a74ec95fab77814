"""The end of a child process, in one type and one wording."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass, field
from typing import Any

from ... import errors
from ...errors import EdgeRuntimeError
from ...values.display_text import clean

REFUSED = 1  # exit status of a child that met an error of its own and told it
_SIGKILL = 9  # Windows has no name for it
_WORDS = 300  # characters of a child's own that an error repeats
_NTSTATUS_ERRORS = 0xC0000000  # from here on Windows tells which exception ended a process


@dataclass(frozen=True)
class ChildEnd:
    """An answer, or an error that the child told, or how it died."""

    status: int | None  # exit status; below 0: the signal; None: it was ended at its time limit
    last_words: str = ""  # the last line of its stderr, without control characters
    limit_s: float = 0.0
    answer: dict[str, Any] | None = None
    error: EdgeRuntimeError | None = None
    output: str = field(default="", repr=False)  # all of stdout

    @property
    def died(self) -> bool:
        """Of a signal, of an exception or of hanging; not that it refused."""
        return self.status not in (0, REFUSED)

    @property
    def was_killed(self) -> bool:
        """By the system or a person. That says nothing about what it did: memory may have been short."""
        return self.status == -_SIGKILL

    def describe(self) -> str:
        """'ended by SIGSEGV: last words', 'no answer within 60 s', or its last words alone."""
        if self.status is None:
            return f"no answer within {self.limit_s:g} s"
        if self.error is not None:
            return str(self.error)
        words = f": {self.last_words}" if self.last_words else ""
        if self.status < 0:
            return f"ended by {_signal_name(-self.status)}{words}"
        if self.status >= _NTSTATUS_ERRORS:
            return f"ended by exception {self.status:#x}{words}"
        return self.last_words or f"exit status {self.status}"


def ending(status: int | None, stdout: str, stderr: str, limit_s: float = 0.0) -> ChildEnd:
    """From what a finished process left behind; what native libraries print beside is ignored."""
    found = _last_object(stdout) if status in (0, REFUSED) else {}
    told = found.get("error")
    return ChildEnd(
        status,
        last_words(stderr),
        limit_s,
        answer=found.get("answer") if status == 0 else None,
        error=_rebuilt(told) if isinstance(told, dict) else None,
        output=stdout,
    )


def last_words(stderr: str) -> str:
    lines = [line.strip() for line in clean(stderr).splitlines() if line.strip()]
    return lines[-1][:_WORDS] if lines else ""


def _last_object(stdout: str) -> dict[str, Any]:
    lines = [line for line in stdout.splitlines() if line.startswith("{")]
    try:
        found = json.loads(lines[-1]) if lines else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _rebuilt(told: dict[str, Any]) -> EdgeRuntimeError:
    kind: type[EdgeRuntimeError] = getattr(errors, str(told.get("kind")), EdgeRuntimeError)
    facts = told.get("facts")
    return kind(
        clean(str(told.get("message"))),
        hint=clean(str(told.get("hint", ""))),
        **(facts if isinstance(facts, dict) else {}),
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
