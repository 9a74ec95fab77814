"""The public face: open a model, chat, generate, embed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..catalog.catalog import ModelLocation, locate
from ..errors import OptionInvalid
from ..gguf.check import check_header
from ..gguf.header import GgufHeader, read_header
from ..values.records import (
    ContextPolicy,
    GenerationOptions,
    MemoryUsage,
    Message,
    Reply,
    generation_options,
)
from ..values.units import byte_units_of, parse_bytes
from .engine import GenerationRequest, Ticket
from .engine.request import Event
from .opening import Opened, Wish, budget_exceeded, open_engine, plan_options
from .prompt.template import ChatTemplate, fit_messages, plain_text
from .stream import TextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..backends.llama import LlamaBackend
    from ..memory import MemoryPart
    from ..values.records import GenerationKeywords

_LEAST_ANSWER_TOKENS = 16


class Runtime:
    """One open model. Safe to use from several threads; `close()` or `with` frees everything."""

    def __init__(self, opened: Opened, location: ModelLocation, header: GgufHeader) -> None:
        """Runtime.open() is the way in."""
        self._opened, self._engine, self._monitor = opened, opened.engine, opened.monitor
        self._backend: LlamaBackend = opened.engine.backend  # type: ignore[assignment]
        self._defaults = dict(location.manifest.sampling) if location.manifest else {}
        self._template = _read_template(header, self._backend)
        self._bos_text = self._backend.special_text("bos")
        self.model_name, self.model_path, self.plan = location.name, location.path, opened.plan
        self.load_s = 0.0

    @classmethod
    def open(
        cls,
        model: str | Path,
        *,
        budget: str | int | None = None,
        context_tokens: int | None = None,
        kv_type: str | None = None,
        micro_batch_tokens: int | None = None,
        repack: bool | None = None,
        flash_attention: bool | None = None,
        ple: str | None = None,
        ple_locked: str | int | None = None,
        parallel: int = 1,
        threads: int | None = None,
        gpu_layers: int | None = None,
        residency: bool = True,
        beside: Sequence[MemoryPart] = (),
        on_progress: Callable[[float], None] | None = None,
    ) -> Runtime:
        """Load a model by catalog name or GGUF path. Never touches a network.

        budget: the most memory it may take, "2GB" or bytes; default what is safe on this device now. What
        is left out is chosen so that it fits: see `edge-runtime plan`. context_tokens: for each of
        `parallel` conversations; default up to 4096. kv_type: "f16", "q8_0" or "q4_0". micro_batch_tokens:
        how many tokens of a prompt are evaluated at once. repack: weights in the order that this processor
        likes best. flash_attention: takes less memory, and is slower on x86 with heads of up to 128
        numbers. ple: where per-layer embeddings live, "cache", "mapped" or "resident"; ple_locked: how much
        of them stays in memory beside the cache, "16MB", from the lowest token id on. threads: default the
        physical cores that this process may use. gpu_layers: how many layers a GPU takes; default all, 0
        for none. residency: False leaves all pages to the system. beside: what else the budget has to hold
        here, such as speech_parts(). on_progress: 0.0 to 1.0.

        Raises ModelNotFound, ModelFileInvalid, ModelUnsupported, ModelLoadFailed,
        MemoryBudgetExceeded, EngineUnavailable or OptionInvalid.
        """
        started_s = time.perf_counter()
        options = plan_options(
            context_tokens=context_tokens,
            kv_type=kv_type,
            micro_batch_tokens=micro_batch_tokens,
            repack=repack,
            flash_attention=flash_attention,
            ple=ple,
            ple_locked=ple_locked,
            parallel=parallel,
            threads=threads,
            beside=beside,
            byte_units=byte_units_of(budget),
        )
        wish = Wish(options, None if budget is None else parse_bytes(budget), gpu_layers, residency)
        location = locate(model)
        header = read_header(location.path)
        check_header(header)
        opened = open_engine(location, header, wish, on_progress)
        try:
            runtime = cls(opened, location, header)
        except BaseException:
            opened.close()
            raise
        runtime.load_s = time.perf_counter() - started_s
        return runtime

    @property
    def context_tokens(self) -> int:
        """How many tokens one conversation can hold."""
        return self._backend.context_tokens

    @property
    def has_chat_template(self) -> bool:
        """False for a base model: chat() then continues the text of the messages."""
        return self._template is not None

    # --- chat --------------------------------------------------------------------------

    @overload
    def chat(
        self,
        messages: Sequence[Message],
        *,
        stream: Literal[False] = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply: ...

    @overload
    def chat(
        self, messages: Sequence[Message], *, stream: Literal[True], **options: Unpack[GenerationKeywords]
    ) -> TextStream: ...

    def chat(
        self, messages: Sequence[Message], *, stream: bool = False, **options: Unpack[GenerationKeywords]
    ) -> Reply | TextStream:
        """The model's next turn, whole or as a stream of pieces.

        A conversation that goes on costs only its new tokens: what an earlier call
        evaluated is reused. What no longer fits is handled by `context_policy`.

        Raises ContextFull, ChatTemplateFailed, OptionInvalid, BackendFailed, EngineClosed.
        """
        reply_stream = self._start(lambda emit: self.chat_request(messages, emit, options))
        return reply_stream if stream else reply_stream.result()

    def chat_request(
        self, messages: Sequence[Mapping[str, Any]], emit: Callable[[Event], None], options: Mapping[str, Any]
    ) -> GenerationRequest:
        """What chat() hands to the engine; for callers with event loops of their own."""
        generation = generation_options(self._defaults, options)
        kept, dropped_turns = list(messages), 0
        if generation.context_policy is ContextPolicy.DROP_OLDEST:
            kept, dropped_turns = fit_messages(
                messages, self.count_prompt_tokens, self._prompt_room(generation)
            )
        prompt = self.prompt_of(kept)
        return GenerationRequest(
            prompt,
            generation,
            emit,
            add_special=self._needs_bos(prompt),
            parse_special=self.has_chat_template,
            grammar=_grammar_of(generation),
            dropped_turns=dropped_turns,
        )

    def prompt_of(self, messages: Sequence[Mapping[str, Any]]) -> str:
        """The text the model will read. Raises ChatTemplateFailed."""
        _check_messages(messages)
        if self._template is None:
            return plain_text(messages)
        return self._template.render(messages)

    def count_prompt_tokens(self, messages: Sequence[Mapping[str, Any]]) -> int:
        """How many tokens of context these messages take."""
        return len(self._tokens_of(messages))

    def _tokens_of(self, messages: Sequence[Mapping[str, Any]]) -> list[int]:
        prompt = self.prompt_of(messages)
        return self._backend.tokenize(
            prompt, add_special=self._needs_bos(prompt), parse_special=self.has_chat_template
        )

    def _needs_bos(self, prompt: str) -> bool:
        """Most templates write the begin-of-text token themselves; a second one would do harm."""
        return not (self._bos_text and self.has_chat_template and prompt.startswith(self._bos_text))

    def _prompt_room(self, generation: GenerationOptions) -> int:
        """Tokens the prompt may have, so that the answer has some too."""
        context = self.context_tokens
        answer = generation.max_tokens or max(context // 4, _LEAST_ANSWER_TOKENS)
        return context - max(min(answer, context // 2), 1)

    # --- generate ----------------------------------------------------------------------

    @overload
    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        stream: Literal[False] = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply: ...

    @overload
    def generate(
        self, prompt: str | Sequence[int], *, stream: Literal[True], **options: Unpack[GenerationKeywords]
    ) -> TextStream: ...

    def generate(
        self, prompt: str | Sequence[int], *, stream: bool = False, **options: Unpack[GenerationKeywords]
    ) -> Reply | TextStream:
        """Continue `prompt` as it stands, without the chat template.

        Control tokens written in the prompt are text, not control. Instead of text it may
        be token ids, which are taken as they are, without a begin-of-text token.
        Raises ContextFull, OptionInvalid, BackendFailed, EngineClosed.
        """
        reply_stream = self._start(lambda emit: self.generate_request(prompt, emit, options))
        return reply_stream if stream else reply_stream.result()

    def generate_request(
        self, prompt: str | Sequence[int], emit: Callable[[Event], None], options: Mapping[str, Any]
    ) -> GenerationRequest:
        """What generate() hands to the engine."""
        generation = generation_options(self._defaults, options)
        given = prompt if isinstance(prompt, str) else self._checked_ids(prompt)
        return GenerationRequest(given, generation, emit, grammar=_grammar_of(generation))

    def _checked_ids(self, token_ids: Sequence[int]) -> tuple[int, ...]:
        """llama.cpp would fail on an id that its vocabulary does not have."""
        size = self._backend.vocabulary_size
        for token in token_ids:
            if not isinstance(token, (int, np.integer)) or not 0 <= token < size:
                raise OptionInvalid(
                    f"prompt: {token!r} is no token id of this model",
                    hint=f"whole numbers from 0 to {size - 1}",
                    option="prompt",
                )
        return tuple(int(token) for token in token_ids)

    def count_tokens(self, text: str) -> int:
        """How many tokens generate() would see in `text`."""
        return len(self._backend.tokenize(text, add_special=True, parse_special=False))

    # --- embed -------------------------------------------------------------------------

    @overload
    def embed(self, texts: str | Sequence[str], *, stream: Literal[False] = False) -> NDArray[np.float32]: ...

    @overload
    def embed(
        self, texts: str | Sequence[str], *, stream: Literal[True]
    ) -> Iterator[NDArray[np.float32]]: ...

    def embed(
        self, texts: str | Sequence[str], *, stream: bool = False
    ) -> NDArray[np.float32] | Iterator[NDArray[np.float32]]:
        """(texts, embedding length), each row of length 1; or, streaming, one row after the other.

        The model's own pooling, else the mean of the last layer over the tokens.
        Raises ContextFull for a text of more than 2048 tokens (512 when the model pools).
        """
        listed = [texts] if isinstance(texts, str) else list(texts)
        token_lists = [
            self._backend.tokenize(text, add_special=True, parse_special=False) or [0] for text in listed
        ]
        if stream:
            return (self._engine.embed([tokens])[0] for tokens in token_lists)
        return self._engine.embed(token_lists)

    # --- state and end -----------------------------------------------------------------

    def save_state(self, messages: Sequence[Message], path: str | Path) -> int:
        """Write what has been evaluated of this conversation; bytes written, 0 when nothing is known.

        restore_state() makes the conversation go on without evaluating it again.
        """
        return self._engine.save_state(self._tokens_of(messages), Path(path))

    def restore_state(self, path: str | Path) -> int:
        """Tokens brought back; 0 when the file is missing, damaged or another model's."""
        return self._engine.load_state(Path(path)) if Path(path).is_file() else 0

    def submit(self, request: GenerationRequest) -> Ticket:
        """Raises MemoryBudgetExceeded while the process holds more than its budget, whatever was let go."""
        if self._monitor.exceeded:
            raise budget_exceeded(self.plan, self._monitor.used_bytes)
        return self._engine.submit(request)

    def memory_usage(self) -> MemoryUsage:
        """What the process holds now, and what of it the plan speaks of. Takes milliseconds."""
        monitor, keeper = self._monitor, self._backend.keeper
        monitor.look()
        figures = keeper.figures() if keeper else None
        return MemoryUsage(
            budget_bytes=monitor.budget_bytes,
            anonymous_bytes=monitor.anonymous_bytes,
            file_bytes=monitor.file_bytes,
            peak_bytes=monitor.peak_bytes,
            locked_bytes=figures.locked_bytes if figures else 0,
            ple_resident_bytes=figures.ple_resident_bytes if figures else 0,
        )

    def _start(self, make_request: Callable[[Callable[[Event], None]], GenerationRequest]) -> TextStream:
        events: SimpleQueue[Event] = SimpleQueue()
        return TextStream(events, self.submit(make_request(events.put)))

    def close(self) -> None:
        """End what is running with EngineClosed, and free the model. Can be called twice."""
        self._opened.close()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_template(header: GgufHeader, backend: LlamaBackend) -> ChatTemplate | None:
    source = header.chat_template
    if not source or not source.strip():
        return None
    return ChatTemplate(source, bos_text=backend.special_text("bos"), eos_text=backend.special_text("eos"))


def _grammar_of(generation: GenerationOptions) -> str | None:
    if generation.json_schema is None:
        return generation.grammar
    from ..backends.llama.grammar import grammar_of_schema

    return grammar_of_schema(generation.json_schema)


def _check_messages(messages: Sequence[Mapping[str, Any]]) -> None:
    for index, message in enumerate(messages):
        if not isinstance(message.get("role"), str) or not isinstance(message.get("content"), str):
            raise OptionInvalid(
                f"messages[{index}]: needs a 'role' and a 'content', both text",
                hint='for example {"role": "user", "content": "Hello"}',
                option="messages",
            )
    if not messages:
        raise OptionInvalid(
            "messages: there are none", hint="give at least one user message", option="messages"
        )
