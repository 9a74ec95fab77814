"""A conversation: what was said, what the model is shown of it, and where it is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from ..catalog.catalog import locate
from ..errors import EdgeRuntimeError, HistoryUnavailable, OptionInvalid
from ..values.records import FinishReason, GenerationKeywords, Message, Reply
from .history import Exchange, History, SavedConversation
from .state_files import restore_state, save_state

if TYPE_CHECKING:
    from ..runtime.runtime import Runtime
    from ..runtime.stream import TextStream

# What a killed process costs a long conversation at most: so many tokens are evaluated
# again when it is resumed. A state is written whole each time, 23 KB a token with
# SmolLM2: after each turn it would wear out an SD card.
_SAVE_STATE_EVERY_TOKENS = 512


@dataclass
class Totals:
    """Over all answers of this process."""

    answers: int = 0
    evaluated_tokens: int = 0  # prompt tokens that were not cached
    cached_tokens: int = 0
    completion_tokens: int = 0

    def add(self, reply: Reply) -> None:
        self.answers += 1
        self.evaluated_tokens += reply.usage.prompt_tokens - reply.usage.cached_tokens
        self.cached_tokens += reply.usage.cached_tokens
        self.completion_tokens += reply.usage.completion_tokens


@dataclass
class _Kept:
    """An exchange of this conversation. `saved`: the history has it as it is here."""

    exchange: Exchange
    number: int | None = None  # in the history
    saved: bool = False


class Answer(Iterator[str]):
    """The pieces of an answer; once they are all read it belongs to the conversation."""

    def __init__(self, stream: TextStream, finish: Callable[[Reply], None]) -> None:
        self._stream, self._finish = stream, finish
        self._finished = False

    def __next__(self) -> str:
        """Raises what went wrong; the conversation is then as before."""
        try:
            return next(self._stream).text
        except StopIteration:
            if not self._finished:
                self._finished = True
                self._finish(self._stream.result())
            raise

    def cancel(self) -> None:
        """Stop within one step. Read on to the end: what was written until then is kept."""
        self._stream.cancel()

    def result(self) -> Reply:
        """The whole answer. Waits for the end, and reads what has not been read yet."""
        for _ in self:
            pass
        return self._stream.result()


class Conversation:
    """A conversation with a model: it remembers what was said, and may keep it on disk.

        with Runtime.open("smollm2-135m-instruct") as runtime, History() as history:
            with Conversation(runtime, system_prompt="Be brief.", history=history) as talk:
                for piece in talk.send("Why is the sky blue?"):  # streams
                    print(piece, end="")
                reply = talk.send("And at night?").result()  # whole

            talk = Conversation.resume(runtime, history, talk.id)  # another day

    With a history, every finished exchange is on the disk before send()'s answer ends. A
    history that fails later does not end the conversation: see take_notices(). When the
    context is full, the model no longer sees the oldest exchanges; all of them stay in
    `exchanges` and in the history.

    One thread at a time. Answers are read to their end before the next question is sent.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        model: str = "",
        system_prompt: str = "",
        history: History | None = None,
        options: GenerationKeywords | None = None,
        keep_state: bool = True,
    ) -> None:
        """system_prompt: "" for none. history: where it is kept; default nowhere.

        model: the name or path under which the history remembers the model, so that it can be
        opened again; default the runtime's. options: the keywords of Runtime.chat, for every
        answer. keep_state: whether what the engine has evaluated is saved beside the history, so
        that resuming does not evaluate it again.
        """
        self.totals = Totals()
        self.last_reply: Reply | None = None
        self.id: int | None = None  # in the history; None until the first exchange is saved
        self._runtime, self._history = runtime, history
        self._model = model or (_name_of(runtime) if history else "")
        self._options: GenerationKeywords = options or {}
        self._system_prompt = system_prompt
        self._keep_state = keep_state
        self._notices: list[str] = []
        self._save_failing = False
        self._forget_all()

    @classmethod
    def resume(
        cls,
        runtime: Runtime,
        history: History,
        saved: SavedConversation | int,
        *,
        options: GenerationKeywords | None = None,
        keep_state: bool = True,
    ) -> Conversation:
        """Go on with a saved conversation, from the engine's saved state where there is one.

        saved: what History.load gave, or its id. Raises OptionInvalid for an id that is not
        there, and HistoryUnavailable.
        """
        if isinstance(saved, int):
            saved = history.load(saved)
        conversation = cls(
            runtime,
            model=saved.model,
            system_prompt=saved.system_prompt,
            history=history,
            options=options,
            keep_state=keep_state,
        )
        conversation.id = saved.id
        conversation._kept = [_Kept(exchange, number, True) for number, exchange in saved.exchanges]
        record = restore_state(history, saved.id, runtime)
        if record is not None:
            conversation._first_shown = min(record.first_exchange, len(saved.exchanges))
        return conversation

    def _forget_all(self) -> None:
        self.id = None
        self._kept: list[_Kept] = []
        self._first_shown = 0  # index into _kept; what is older no longer fits the context
        self._told_of_dropping = False
        self._retries = 0
        self._unsaved_state_tokens = 0

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        return tuple(kept.exchange for kept in self._kept)

    @property
    def system_prompt(self) -> str:
        return self._system_prompt

    def take_notices(self) -> list[str]:
        """What the user should be told, each thing once."""
        notices, self._notices = self._notices, []
        return notices

    # --- what a user can do ----------------------------------------------------------------

    def send(self, text: str) -> Answer:
        """Ask; the answer's pieces come from iterating, the whole from its result().

        Raises OptionInvalid for empty text, and what Runtime.chat raises.
        """
        text = _clean_unicode(text)
        if not text.strip():
            raise OptionInvalid("the message is empty", hint="write something", option="message")
        self._retries = 0
        return self._ask(text, replaces=None)

    def retry(self) -> Answer:
        """Answer the last message again; the old answer stays until the new one is finished.

        Raises OptionInvalid when there is nothing to answer again.
        """
        if not self._kept:
            raise OptionInvalid("there is no answer to replace yet", hint="say something", option="retry")
        self._retries += 1
        return self._ask(self._kept[-1].exchange.question, replaces=self._kept[-1])

    def undo(self) -> Exchange | None:
        """Take back the last exchange, here and in the history; None when there is none."""
        if not self._kept:
            return None
        kept = self._kept.pop()
        self._first_shown = min(self._first_shown, len(self._kept))
        self._retries = 0
        history, number = self._history, kept.number
        if history is not None and self.id is not None and number is not None:
            self._try_saving(lambda conversation_id: history.remove_exchange(conversation_id, number))
        return kept.exchange

    def set_system_prompt(self, text: str) -> None:
        """From the next answer on. The whole conversation is then evaluated anew."""
        self._system_prompt = _clean_unicode(text)
        history = self._history
        if history is not None and self.id is not None:
            self._try_saving(lambda conversation_id: history.set_system_prompt(conversation_id, text))

    def start_new(self) -> None:
        """Leave this conversation, saved, and begin another with the same system prompt."""
        self.save_state()
        self._forget_all()

    def messages(self) -> list[Message]:
        """What the model is shown: the system prompt and the exchanges that fit."""
        return self._messages_of([kept.exchange for kept in self._kept[self._first_shown :]])

    def all_messages(self) -> list[Message]:
        """All that was said, whether it fits the context or not."""
        return self._messages_of([kept.exchange for kept in self._kept])

    # --- answering -------------------------------------------------------------------------

    def _ask(self, question: str, replaces: _Kept | None) -> Answer:
        earlier = [kept.exchange for kept in self._kept if kept is not replaces]
        first_shown = min(self._first_shown, len(earlier))  # what was left out before stays so
        messages = self._messages_of(earlier[first_shown:])
        messages.append(Message(role="user", content=question))
        stream = self._runtime.chat(messages, stream=True, **self._next_options())

        def finish(reply: Reply) -> None:
            self._first_shown = first_shown + reply.dropped_turns
            self._finish(question, reply, replaces)

        return Answer(stream, finish)

    def _next_options(self) -> GenerationKeywords:
        """The same seed would give a retry the same answer."""
        options = self._options.copy()
        seed = options.get("seed")
        if seed is not None:
            options["seed"] = (seed + self._retries) % (2**32 - 1)
        return options

    def _messages_of(self, exchanges: list[Exchange]) -> list[Message]:
        messages = [Message(role="system", content=self._system_prompt)] if self._system_prompt else []
        for exchange in exchanges:
            messages.append(Message(role="user", content=exchange.question))
            messages.append(Message(role="assistant", content=exchange.answer))
        return messages

    def _finish(self, question: str, reply: Reply, replaces: _Kept | None) -> None:
        self.last_reply = reply
        self.totals.add(reply)
        if reply.finish_reason is FinishReason.CANCELLED and not reply.text:
            return  # nothing was shown: as if it had not been asked
        exchange = Exchange(question, reply.text, reply.finish_reason, reply.usage)
        if replaces is not None:
            replaces.exchange, replaces.saved = exchange, False
        else:
            self._kept.append(_Kept(exchange))
        usage = reply.usage
        self._unsaved_state_tokens += usage.prompt_tokens - usage.cached_tokens + usage.completion_tokens
        self._note_dropping()
        self._save_exchanges()

    def _note_dropping(self) -> None:
        if self._first_shown and not self._told_of_dropping:
            self._told_of_dropping = True
            self._notices.append(
                f"the context of {self._runtime.context_tokens} tokens is full: "
                "the model no longer sees the oldest turns"
            )

    # --- keeping ---------------------------------------------------------------------------

    def _save_exchanges(self) -> None:
        """All that the history does not have yet: also what an earlier failure has left over."""
        history = self._history
        if history is None:
            return
        for kept in self._kept:
            if not kept.saved and not self._save_exchange(history, kept):
                return

    def _save_exchange(self, history: History, kept: _Kept) -> bool:
        def save(conversation_id: int) -> None:
            kept.number = history.put(conversation_id, kept.exchange, kept.number)
            kept.saved = True

        if self.id is not None:
            return self._try_saving(save)
        try:
            self.id, kept.number = history.start(self._model, self._system_prompt, kept.exchange)
            kept.saved = True
        except HistoryUnavailable as error:
            self._note_failure(error)
        return kept.saved

    def _try_saving(self, save: Callable[[int], None]) -> bool:
        assert self.id is not None
        try:
            save(self.id)
        except HistoryUnavailable as error:
            self._note_failure(error)
            return False
        self._save_failing = False
        return True

    def _note_failure(self, error: HistoryUnavailable) -> None:
        if not self._save_failing:
            self._notices.append(f"this conversation is not being saved: {error}")
        self._save_failing = True

    def save_state_if_due(self) -> None:
        """Call it while the user reads: it takes about 3 ms a megabyte."""
        if self._unsaved_state_tokens >= _SAVE_STATE_EVERY_TOKENS:
            self.save_state()

    def save_state(self) -> None:
        """Keep what the engine has evaluated, for resuming. A failure only costs that."""
        if not (self._keep_state and self._history and self.id is not None and self._unsaved_state_tokens):
            return
        try:
            messages = self.messages() or [Message(role="user", content="")]
            self._keep_state = save_state(self._history, self.id, self._runtime, messages, self._first_shown)
        except EdgeRuntimeError:
            self._keep_state = False
        self._unsaved_state_tokens = 0

    def close(self) -> None:
        """Save the state. The runtime and the history stay open: they are the caller's."""
        self.save_state()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _name_of(runtime: Runtime) -> str:
    """What opens the same model: its catalog name, else its path."""
    try:
        is_known = locate(runtime.model_name).path == runtime.model_path
    except EdgeRuntimeError:
        is_known = False
    return runtime.model_name if is_known else str(runtime.model_path.absolute())


def _clean_unicode(text: str) -> str:
    """Half surrogates, as a terminal's undecodable bytes arrive, cannot be stored or tokenized."""
    return text.encode("utf-8", errors="replace").decode()
