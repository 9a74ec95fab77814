"""Opening a model for real: what is refused beforehand, and what is left when it goes wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.runtime import Runtime


def running() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("edge-runtime")}


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="there is no monitor then")
def test_a_model_is_closed_again_when_its_monitor_cannot_start(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a process may have no more threads."""
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name == "edge-runtime-memory":
            raise RuntimeError("can't start new thread")
        start(self)

    others = running()  # another test's, about to end

    with Runtime.open(tiny, context_tokens=32, threads=1):
        assert running() - others == {"edge-runtime", "edge-runtime-memory"}
    assert running() <= others
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="can't start"):
        Runtime.open(tiny, context_tokens=32, threads=1)
    assert running() <= others
    assert str(tiny) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"context_tokens": 0}, "context_tokens: 0 is not a whole number from 1 to"),
        ({"micro_batch_tokens": -1}, "micro_batch_tokens: -1 is not a whole number"),
        ({"parallel": 1.5}, "parallel: 1.5 is not a whole number"),
        ({"threads": 2**24 + 1}, "threads: 16777217 is not a whole number"),
        ({"kv_type": "f32"}, "kv_type: 'f32' is not known"),
        ({"ple": "nowhere"}, "ple: 'nowhere' is not known"),
        ({"ple_locked": "much"}, "ple_locked: 'much' is not a size"),
        ({"budget": "0GB"}, "budget: '0GB' is not a size"),
    ],
)
def test_wrong_options_are_refused_before_the_model_is_looked_for(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(OptionInvalid, match=message):
        Runtime.open("no-such-model", **options)
