"""The text runtime: open a model, chat, generate, tokenize, embed."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ..catalog.catalog import ModelLocation, locate
from ..gguf.check import check_header
from ..gguf.header import GgufHeader, read_header
from ..gguf.sampling import read_sampling
from ..memory import LoadOptions, load_options
from ..values.records import MemoryUsage, Reply
from .engine import GenerationRequest, Ticket
from .engine.request import Event
from .opening import OpenModel, budget_exceeded, open_engine
from .prompt.fitting import Messages, PromptFitter
from .prompt.length_bound import LengthBound
from .prompt.template import ChatTemplate
from .prompt.tokens import check_token_ids, text_of_tokens
from .requests import RequestMaker
from .stream import TextStream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..backends.llama import LlamaBackend
    from ..memory import LoadKeywords, MemoryPlan
    from ..values.records import GenerationKeywords


class Runtime:
    """One open model. Safe to use from several threads; `close()` or `with` frees everything.

    It belongs to the process that opened it: a forked child has to open its own.
    """

    def __init__(self, opened: OpenModel, location: ModelLocation, header: GgufHeader) -> None:
        """Runtime.open() is the way in."""
        self._opened, self._engine, self._monitor = opened, opened.engine, opened.monitor
        self._closed = True  # until all of it is there: see __del__
        self._process_id = os.getpid()
        self._location, self._load_s = location, 0.0
        manifest = location.manifest
        defaults = {**read_sampling(header), **(manifest.sampling if manifest else {})}
        backend = self._backend
        self._prompts = PromptFitter(
            _read_template(header, backend),
            # Looked up for each text: it says when the model is closed, or another process's.
            lambda text, **special: self._backend.tokenize_prompt(text, **special),
            bos_text=backend.beginning_text(),
            context_tokens=backend.context_tokens,
            bound=LengthBound.of_model(header),
        )
        self._requests = RequestMaker(self._prompts, defaults, backend.vocabulary_size)
        self._closed = False

    @classmethod
    def open(
        cls,
        model: str | Path,
        options: LoadOptions | None = None,
        *,
        on_progress: Callable[[float], None] | None = None,
        **keywords: Unpack[LoadKeywords],
    ) -> Runtime:
        """Load a model by catalog name or GGUF path. Never touches a network.

        Runtime.open("gemma-3n-e2b-it", budget="2GB", context_tokens=4096): the keywords are the fields
        of LoadOptions, whether an object of it is given as well or not. What is left out is chosen so
        that it fits the budget: plan() says what that would be. on_progress: 0.0 to 1.0.

        Raises ModelNotFound, ModelFileInvalid, ModelUnsupported, ModelLoadFailed,
        MemoryBudgetExceeded, EngineUnavailable or OptionInvalid.
        """
        started_s = time.perf_counter()
        asked = load_options(options, keywords)
        location = locate(model)
        header = read_header(location.path)
        check_header(header)
        opened = open_engine(location, header, asked, on_progress)
        try:
            runtime = cls(opened, location, header)
        except BaseException:
            opened.close()
            raise
        runtime._load_s = time.perf_counter() - started_s
        return runtime

    @property
    def _backend(self) -> LlamaBackend:
        """Raises EngineClosed in a child process."""
        self._engine.require_own_process()
        return self._engine.backend  # type: ignore[return-value]

    @property
    def model_name(self) -> str:
        """The catalog name, or the file's name without its ending."""
        return self._location.name

    @property
    def model_path(self) -> Path:
        """The GGUF file; of a split model, the first."""
        return self._location.path

    @property
    def plan(self) -> MemoryPlan:
        """The memory plan that this model was opened with."""
        return self._opened.plan

    @property
    def load_s(self) -> float:
        """How long opening took, in seconds."""
        return self._load_s

    @property
    def context_tokens(self) -> int:
        """How many tokens one conversation can hold."""
        return self._prompts.context_tokens

    @property
    def vocabulary_size(self) -> int:
        """How many tokens the model knows; ids are 0 to one less."""
        return self._engine.backend.vocabulary_size

    @property
    def has_chat_template(self) -> bool:
        """False for a base model: chat() and generate() then continue the text they are given."""
        return self._prompts.template is not None

    # --- chat --------------------------------------------------------------------------

    @overload
    def chat(
        self, messages: Messages, *, stream: Literal[False] = False, **options: Unpack[GenerationKeywords]
    ) -> Reply: ...

    @overload
    def chat(
        self, messages: Messages, *, stream: Literal[True], **options: Unpack[GenerationKeywords]
    ) -> TextStream: ...

    def chat(
        self, messages: Messages, *, stream: bool = False, **options: Unpack[GenerationKeywords]
    ) -> Reply | TextStream:
        """The model's next turn, whole or as a stream of pieces.

        messages: a list of {"role": ..., "content": ...}, both text. A conversation that goes
        on costs only its new tokens: what an earlier call evaluated is reused. What no longer
        fits is handled by `context_policy`.

        Raises ContextFull, ChatTemplateFailed, OptionInvalid, BackendFailed, EngineClosed.
        """
        text_stream = self._start(lambda emit: self.chat_request(messages, emit, options))
        return text_stream if stream else text_stream.result()

    def chat_request(
        self, messages: Messages, emit: Callable[[Event], None], options: Mapping[str, Any]
    ) -> GenerationRequest:
        """What chat() hands to the engine; for callers with event loops of their own."""
        return self._requests.chat(messages, emit, options)

    def prompt_of(self, messages: Messages) -> str:
        """The text that chat() would have the model read, if all of it fits. Raises ChatTemplateFailed."""
        return self._prompts.render(messages)

    def count_prompt_tokens(self, messages: Messages) -> int:
        """How many tokens of context these messages take."""
        return len(self._prompts.whole(messages).tokens)

    # --- generate ----------------------------------------------------------------------

    @overload
    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        system: str | None = None,
        raw: bool = False,
        stream: Literal[False] = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply: ...

    @overload
    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        system: str | None = None,
        raw: bool = False,
        stream: Literal[True],
        **options: Unpack[GenerationKeywords],
    ) -> TextStream: ...

    def generate(
        self,
        prompt: str | Sequence[int],
        *,
        system: str | None = None,
        raw: bool = False,
        stream: bool = False,
        **options: Unpack[GenerationKeywords],
    ) -> Reply | TextStream:
        """Answer one prompt: a conversation of one user message, through the model's chat template.

        system: the system prompt. raw: continue `prompt` as it stands instead, without the
        template; control tokens written in it are text, not control. A model without a
        template (has_chat_template is False) always continues the prompt, as with raw=True.
        A prompt of token ids is taken as it is, without template and begin-of-text token.

        Raises ContextFull, ChatTemplateFailed, OptionInvalid, BackendFailed, EngineClosed.
        """
        text_stream = self._start(
            lambda emit: self.generate_request(prompt, emit, options, system=system, raw=raw)
        )
        return text_stream if stream else text_stream.result()

    def generate_request(
        self,
        prompt: str | Sequence[int],
        emit: Callable[[Event], None],
        options: Mapping[str, Any],
        *,
        system: str | None = None,
        raw: bool = False,
    ) -> GenerationRequest:
        """What generate() hands to the engine; for callers with event loops of their own."""
        return self._requests.generate(prompt, emit, options, system=system, raw=raw)

    # --- tokens ------------------------------------------------------------------------

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = False) -> list[int]:
        """The token ids of `text`.

        add_special: with the begin-of-text token, and whatever else the vocabulary puts around
        a text. parse_special: read control tokens such as "<|im_end|>" as such; otherwise they
        are text, which is what text from a stranger should be.

        detokenize() gives the text back, but for what a vocabulary does not have: SentencePiece's
        take U+2581 for a space, and SmolLM2's has no token for some control characters.
        Lone surrogates become "?".
        """
        return self._backend.tokenize(text, add_special=add_special, parse_special=parse_special)

    def detokenize(self, tokens: Sequence[int], *, keep_special: bool = False) -> str:
        """The text of token ids. Raises OptionInvalid for an id that the model does not have.

        keep_special: spell control tokens out; otherwise they add nothing. Tokens that end
        inside a character end in U+FFFD: to show an answer while it comes, stream it.
        """
        checked = check_token_ids(tokens, self.vocabulary_size, "tokens")
        return text_of_tokens(self._backend, checked, keep_special=keep_special)

    def count_tokens(self, text: str) -> int:
        """How many tokens generate(text, raw=True) would evaluate."""
        return len(self._prompts.raw(text).tokens)

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

    def save_state(self, messages: Messages, path: str | Path) -> int:
        """Write what has been evaluated of this conversation; bytes written, 0 when nothing is known.

        restore_state() makes the conversation go on without evaluating it again.
        """
        return self._engine.save_state(list(self._prompts.whole(messages).tokens), Path(path))

    def restore_state(self, path: str | Path) -> int:
        """Tokens brought back; 0 when the file is missing, damaged or another model's."""
        return self._engine.load_state(Path(path)) if Path(path).is_file() else 0

    def submit(self, request: GenerationRequest) -> Ticket:
        """Queue what chat_request() or generate_request() has made; its events go to `emit`.

        Raises MemoryBudgetExceeded while the process holds more than its budget, whatever was
        let go, and EngineClosed.
        """
        self._engine.require_own_process()
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
        return TextStream(events, self.submit(make_request(events.put)), owner=self)

    def close(self) -> None:
        """End what is running with EngineClosed, and free the model. Can be called twice.

        In a forked child it does nothing: the model is the parent's.
        """
        self._closed = True
        if os.getpid() == self._process_id:
            self._opened.close()

    def __del__(self) -> None:
        """Frees a runtime that nobody closed, with a ResourceWarning."""
        if getattr(self, "_closed", True) or os.getpid() != self._process_id:
            return
        warnings.warn(f"{self.model_name} was never closed", ResourceWarning, stacklevel=1, source=self)
        self.close()

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
    return ChatTemplate(source, bos_text=backend.beginning_text(), eos_text=backend.end_text())
