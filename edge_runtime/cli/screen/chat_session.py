"""The interactive conversation: messages, and commands that begin with a slash."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...assistant.conversation import Answer, Conversation
from ...assistant.history import Exchange
from ...device.process_memory import process_memory
from ...errors import EdgeRuntimeError, EngineClosed
from ...values.display_text import clean, one_line
from ...values.files import expanded
from ...values.output_file import output_file
from ...values.records import FinishReason
from ...values.units import ByteUnits, format_bytes
from .answering import describe_cost, show_answer
from .errors import error_text
from .interrupts import Interrupts
from .line_input import LineDropped
from .memory_gauge import memory_line, memory_report
from .terminal import Screen

if TYPE_CHECKING:
    from ...runtime.runtime import Runtime

_HELP = """\
/new           start a new conversation
/retry         answer the last message anew
/undo          take back the last message and its answer
/system TEXT   change the system prompt; without TEXT, show it
/history       show what was said
/save FILE     write it to a file, as Markdown, or as JSON if FILE ends in .json
/stats         tokens, speed, memory
/memory        what was planned, and what is held now
/quit          leave; so do Ctrl-D, and Ctrl-C twice
A line that ends in \\ goes on in the next, and so do the lines between two \"\"\".
Later: edge-runtime chat --resume goes on, edge-runtime chat --list shows all."""
_SHOWN_ON_RESUME = 1  # exchanges


class ChatSession:
    def __init__(
        self,
        conversation: Conversation,
        runtime: Runtime,
        screen: Screen,
        interrupts: Interrupts,
        read_message: Callable[[], str],
        *,
        shows_memory: bool = False,
    ) -> None:
        """read_message: raises EOFError at the end and LineDropped for Ctrl-C at the prompt.

        shows_memory: after each answer, a line of what is held.
        """
        self._conversation, self._runtime, self._screen = conversation, runtime, screen
        self._interrupts, self._read_message = interrupts, read_message
        self._shows_memory, self._leaving = shows_memory, False
        self._commands: dict[str, Callable[[str], None]] = {
            "/help": self._help,
            "/new": self._new,
            "/retry": self._retry,
            "/undo": self._undo,
            "/system": self._system,
            "/history": self._history,
            "/stats": self._stats,
            "/memory": self._memory,
            "/save": self._save,
            "/quit": self._quit,
            "/exit": self._quit,
            "/bye": self._quit,
        }

    def run(self) -> None:
        """Until the user leaves."""
        self._greet()
        dropped_before = False  # two Ctrl-C in a row, with nothing typed, leave
        while not self._leaving:
            try:
                text = self._read_message()
                dropped_before = False
                self._interrupts.clear()
                self._take(text)
            except EOFError:
                self._screen.line()
                return
            except LineDropped as dropped:
                self._screen.line()
                if dropped_before and not dropped.had_text:
                    return
                dropped_before = not dropped.had_text
                if dropped_before:
                    self._screen.note("Ctrl-C again leaves; so do Ctrl-D and /quit.")

    def _greet(self) -> None:
        screen, conversation = self._screen, self._conversation
        screen.note(f"{self._runtime.model_name}, {self._runtime.context_tokens} tokens of context.")
        screen.note("/help lists the commands; Ctrl-C stops an answer, Ctrl-D leaves.\n")
        if conversation.exchanges:
            screen.faint(f"conversation {conversation.id}, {_turns(conversation.exchanges)} so far")
            screen.note("")
            self._show_exchanges(conversation.exchanges[-_SHOWN_ON_RESUME:])

    def _take(self, text: str) -> None:
        """One message or command; what goes wrong with it is said, and the session goes on."""
        name, _, rest = text.strip().partition(" ")
        try:
            if name.startswith("/") and "\n" not in name:
                self._command(name)(rest.strip())
            elif name:
                self._answer(lambda: self._conversation.send(text))
        except EngineClosed:
            raise
        except EdgeRuntimeError as error:
            self._screen.note(error_text(error))

    def _command(self, name: str) -> Callable[[str], None]:
        known = self._commands.get(name)
        if known is None:
            shown = one_line(name, 40)
            return lambda _: self._screen.note(f"{shown}: no such command; /help lists them")
        return known

    def _answer(self, ask: Callable[[], Answer]) -> None:
        answer = ask()
        show_answer(answer, answer.cancel, self._screen, self._interrupts)
        self._screen.faint(describe_cost(answer.result()))
        if self._shows_memory:
            self._screen.faint(memory_line(self._runtime, answer.result()))
        for notice in self._conversation.take_notices():
            self._screen.note(notice)
        self._screen.note("")
        self._conversation.save_state_if_due()

    # --- commands ------------------------------------------------------------------------

    def _help(self, _: str) -> None:
        self._screen.note(_HELP)

    def _quit(self, _: str) -> None:
        self._leaving = True

    def _new(self, _: str) -> None:
        self._conversation.start_new()
        self._screen.note("A new conversation.")

    def _retry(self, _: str) -> None:
        self._answer(self._conversation.retry)

    def _undo(self, _: str) -> None:
        undone = self._conversation.undo()
        question = (
            f"Taken back: {one_line(undone.question, 60)}" if undone else "There is nothing to take back."
        )
        self._screen.note(question)

    def _system(self, text: str) -> None:
        if text:
            self._conversation.set_system_prompt(text)
        self._screen.note(f"System prompt: {self._conversation.system_prompt or '(none)'}")

    def _history(self, _: str) -> None:
        if not self._conversation.exchanges:
            self._screen.note("Nothing was said yet.")
        self._show_exchanges(self._conversation.exchanges)

    def _show_exchanges(self, exchanges: Sequence[Exchange]) -> None:
        for exchange in exchanges:
            question = clean(exchange.question).replace("\n", "\n. ")
            stopped = " [stopped]" if exchange.finish_reason is FinishReason.CANCELLED else ""
            self._screen.note(f"> {question}\n{exchange.answer.rstrip()}{stopped}\n")

    def _stats(self, _: str) -> None:
        totals, reply = self._conversation.totals, self._conversation.last_reply
        used_tokens = reply.usage.prompt_tokens + reply.usage.completion_tokens if reply else 0
        self._screen.note(
            f"answers  {totals.answers}, {totals.completion_tokens} tokens\n"
            f"prompts  {totals.evaluated_tokens} tokens evaluated, {totals.cached_tokens} reused\n"
            f"context  {used_tokens} of {self._runtime.context_tokens} tokens used\n"
            f"memory   {_describe_memory(self._runtime.plan.byte_units)}"
        )
        if reply:
            timings = reply.timings
            self._screen.note(
                f"last     {timings.decode_tokens_per_s:.1f} tokens/s, "
                f"prompt {timings.prefill_tokens_per_s:.1f} tokens/s, "
                f"first token after {timings.time_to_first_token_s:.2f} s"
            )

    def _memory(self, _: str) -> None:
        self._screen.note(memory_report(self._runtime, self._conversation.last_reply))

    def _save(self, name: str) -> None:
        if not name:
            self._screen.note("/save FILE: name a file that does not exist yet")
            return
        path = expanded(name)
        content = format_transcript(self._conversation, as_json=path.suffix == ".json").encode()
        try:
            with output_file(path, len(content), force=False) as file:
                file.write(content)
        except EdgeRuntimeError as error:
            self._screen.note(f"not written: {error}")
        else:
            self._screen.note(f"Written: {path}")


def format_transcript(conversation: Conversation, *, as_json: bool) -> str:
    """Markdown, the user's words as quotations; or the messages as JSON."""
    if as_json:
        messages = conversation.all_messages()
        return json.dumps({"messages": messages}, ensure_ascii=False, indent=1) + "\n"
    parts = [f"System prompt: {conversation.system_prompt}"] if conversation.system_prompt else []
    for exchange in conversation.exchanges:
        stopped = "\n\n[stopped]" if exchange.finish_reason is FinishReason.CANCELLED else ""
        parts.append("> " + exchange.question.replace("\n", "\n> "))
        parts.append(exchange.answer.strip() + stopped)
    return "\n\n".join(parts) + "\n"


def _turns(exchanges: Sequence[Exchange]) -> str:
    return f"{len(exchanges)} turn" + ("" if len(exchanges) == 1 else "s")


def _describe_memory(units: ByteUnits) -> str:
    memory = process_memory()
    if memory.anonymous_bytes is None or memory.file_bytes is None:
        return f"at most {format_bytes(memory.resident_bytes, units)} so far"
    anonymous, files = (format_bytes(size, units) for size in (memory.anonymous_bytes, memory.file_bytes))
    return f"{anonymous} anonymous, {files} file-backed"
