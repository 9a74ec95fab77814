"""A model whose answers a test dictates; the real engine and runtime run on top of it.

One token is one byte; the control tokens of the template below are one token each. A
request draws its answer from the queue when it starts. Evaluated tokens are recorded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from edge_runtime.backends.backend import Chunk, DecodeStatus, Float32Array
from edge_runtime.backends.sealed_state import model_key
from edge_runtime.catalog.catalog import ModelLocation
from edge_runtime.errors import EdgeRuntimeError
from edge_runtime.memory import LoadOptions, MemoryChoices, MemoryPlan
from edge_runtime.memory.residency import MemoryMonitor
from edge_runtime.runtime.engine import Engine
from edge_runtime.runtime.opening import OpenModel
from edge_runtime.runtime.runtime import Runtime
from edge_runtime.values.records import SamplingOptions, TokenText

_CONTROL = ("<start>", "<end>")
_START, _END = 256, 257

TEMPLATE = (
    "{% for m in messages %}<start>{{ m.role }}\n{{ m.content }}<end>{% endfor %}"
    "{% if add_generation_prompt %}<start>assistant\n{% endif %}"
)

Script = str | Iterable[str] | EdgeRuntimeError


class ScriptedSampler:
    def __init__(self, script: Script) -> None:
        self._error = script if isinstance(script, EdgeRuntimeError) else None
        self._tokens = self._tokens_of([] if isinstance(script, EdgeRuntimeError) else script)

    @staticmethod
    def _tokens_of(pieces: Iterable[str]) -> Iterator[int]:
        for piece in pieces:
            yield from piece.encode()
        while True:
            yield _END

    def sample(self, _logits: Float32Array) -> int:
        if self._error is not None:
            raise self._error
        return next(self._tokens)

    def close(self) -> None:
        pass


class ScriptedBackend:
    """Fulfils backend.Backend, and the little more that Runtime asks of LlamaBackend."""

    vocabulary_size = 258
    max_sequences = 1
    batch_tokens = 512
    window_tokens = 0
    keeper = None

    def __init__(
        self, scripts: Iterable[Script], context_tokens: int = 4096, state_key: bytes = b"k" * 32
    ) -> None:
        self.context_tokens = context_tokens
        self.state_key = state_key
        self.scripts = list(scripts)
        self.sampling: list[SamplingOptions] = []  # of each request
        self.seeds: list[int] = []
        self.evaluated: list[int] = []
        self._remembered: list[int] = []

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        parts = re.split("(<start>|<end>)", text) if parse_special else [text]
        tokens: list[int] = []
        for part in parts:
            tokens += [256 + _CONTROL.index(part)] if part in _CONTROL else list(part.encode())
        return tokens

    def tokenize_prompt(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return self.tokenize(text, add_special=add_special, parse_special=parse_special)

    def token_text(self, token: int) -> TokenText:
        if token >= _START:
            return TokenText(b"", _CONTROL[token - _START].encode(), is_end=token == _END)
        return TokenText(bytes([token]), bytes([token]), is_end=False)

    def beginning_text(self) -> str:
        return ""

    def end_text(self) -> str:
        return ""

    def is_control(self, token: int) -> bool:
        return token >= _START

    def decode(self, chunks: Sequence[Chunk]) -> DecodeStatus:
        for chunk in chunks:
            assert chunk.first_position == len(self._remembered)
            self._remembered += chunk.tokens
            self.evaluated += chunk.tokens
        return DecodeStatus.DONE

    @property
    def evaluated_tokens(self) -> int:
        return len(self.evaluated)

    @property
    def evaluated_text(self) -> str:
        return b"".join(self.token_text(token).spelled for token in self.evaluated).decode()

    def logits(self, _chunk_index: int) -> Float32Array:
        return np.zeros(self.vocabulary_size, np.float32)

    def make_sampler(self, sampling: SamplingOptions, _grammar: str | None, seed: int) -> ScriptedSampler:
        self.sampling.append(sampling)
        self.seeds.append(seed)
        return ScriptedSampler(self.scripts.pop(0))

    def abort(self) -> None:
        pass

    def arm_abort(self) -> None:
        pass

    def remove(self, _sequence: int, first_position: int) -> bool:
        del self._remembered[first_position:]
        return True

    def copy(self, source: int, target: int, end_position: int) -> None:
        raise AssertionError("there is one sequence only")

    def first_position(self, _sequence: int) -> int:
        return 0

    def save_sequence(self, _sequence: int, tokens: Sequence[int], path: Path) -> int:
        return path.write_text(json.dumps(list(tokens)))

    def load_sequence(self, _sequence: int, path: Path) -> list[int]:
        # As llama.cpp does, it stops where its own data ends.
        self._remembered, _ = json.JSONDecoder().raw_decode(path.read_bytes().decode("latin-1"))
        return list(self._remembered)

    def embed(self, token_lists: Sequence[Sequence[int]]) -> Float32Array:
        return np.ones((len(token_lists), 1), np.float32)

    def close(self) -> None:
        pass


def scripted_runtime(
    scripts: Iterable[Script],
    model_path: Path,
    *,
    context_tokens: int = 4096,
    template: str = TEMPLATE,
) -> tuple[Runtime, ScriptedBackend]:
    """`model_path`: any file; its size and time stand for the model's identity."""
    if not model_path.exists():
        model_path.write_bytes(b"scripted")
    key = model_key(model_path, "scripted")
    backend = ScriptedBackend(scripts, context_tokens, key)
    header: Any = SimpleNamespace(chat_template=template, metadata={})
    choices = MemoryChoices(context_tokens, threads=1, file=model_path.name)
    opened = OpenModel(Engine(lambda: backend), MemoryPlan((), choices), MemoryMonitor(None))
    location = ModelLocation(model_path, "scripted", None, None)
    return Runtime(opened, location, header), backend


MakeRuntime = Callable[..., tuple[Runtime, ScriptedBackend]]


class Device:
    """What the commands open in place of a model."""

    def __init__(self, folder: Path) -> None:
        self.scripts: list[Script] = []
        self.template = TEMPLATE
        self.context_tokens = 4096
        self.opened: list[tuple[str, LoadOptions]] = []
        self.backend: ScriptedBackend | None = None
        self._folder = folder

    def open(self, model: str, options: LoadOptions, **_: Any) -> Runtime:
        self.opened.append((model, options))
        runtime, self.backend = scripted_runtime(
            self.scripts,
            self._folder / "scripted.gguf",
            context_tokens=self.context_tokens,
            template=self.template,
        )
        return runtime
