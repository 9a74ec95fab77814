"""The child process of backends/guard/grammar.py: llama.cpp reads a grammar and follows it for some tokens.

Run as a program, see device/children/answer.py; the task is {"folder": ...}, with a model in
probe.gguf and the grammar in grammar.gbnf.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from ...device.children.answer import answer_task
from .library import last_log_lines, native
from .model import LlamaModel

_WALK_LIMIT_S = 2.0  # of processor time for all walks
_PROCESSOR_LIMIT_S = 6  # of everything, with the start: one step alone may take for ever
_MOST_MEMORY_BYTES = 4 << 30
_WALKS, _STEPS, _TURNS = 6, 48, 0.1


def follow(c: Any, sampler: Any, vocabulary_size: int, is_end: Any) -> str:
    """Walk along a grammar, mostly repeating the last token: that drives recursion deep.

    Returns why not, or nothing.
    """
    deadline_s = time.process_time() + _WALK_LIMIT_S
    rows = (c.llama_token_data * vocabulary_size)()
    for walk in range(_WALKS):
        random, token = Random(walk), -1
        c.llama_sampler_reset(sampler)
        for _ in range(_STEPS):
            for index, row in enumerate(rows):
                row.id, row.logit, row.p = index, 0.0, 0.0
            array = c.llama_token_data_array(rows, vocabulary_size, -1, False)
            c.llama_sampler_apply(sampler, array)
            allowed = [row.id for row in rows if row.logit == 0.0 and not is_end(row.id)]
            if not allowed:
                break
            if token < 0:  # each walk begins at another token
                token = allowed[walk % len(allowed)]
            elif token not in allowed or random.random() < _TURNS:
                token = random.choice(allowed)
            c.llama_sampler_accept(sampler, token)
            if time.process_time() > deadline_s:
                return "a text can be read in too many ways"
    return ""


def _try(folder: Path) -> str:
    c = native()
    model = LlamaModel(folder / "probe.gguf", vocab_only=True, gpu_layers=0)
    text = (folder / "grammar.gbnf").read_bytes()
    sampler = c.llama_sampler_init_grammar(model.vocabulary, text, b"root")
    if not sampler:
        return "it cannot read it: " + " | ".join(last_log_lines(1))
    return follow(
        c,
        sampler,
        c.llama_vocab_n_tokens(model.vocabulary),
        lambda token: c.llama_vocab_is_eog(model.vocabulary, token),
    )


def _limit_itself() -> None:
    """By processor time, which other programs do not use up: a good grammar passes on a busy machine."""
    with suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_PROCESSOR_LIMIT_S, _PROCESSOR_LIMIT_S))
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))


def main() -> int:
    _limit_itself()
    return answer_task(lambda task: {"problem": _try(Path(task["folder"]))})


if __name__ == "__main__":
    sys.exit(main())
