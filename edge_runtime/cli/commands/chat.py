"""`edge-runtime chat`: a conversation that is kept, or one answer for a prompt or a pipe."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...device.process_memory import PeakSampler
from ...errors import OptionInvalid
from ...runtime.report import RuntimeFigures, reply_report
from ...values.files import expanded
from ...values.records import FinishReason, GenerationKeywords, Reply
from ..options.model_options import (
    add_model_options,
    add_sampling_options,
    generation_keywords,
    model_name,
    open_shown,
)
from ..options.prompt_source import read_prompt
from ..options.shared_options import sentence
from ..screen.answering import describe_cost, note_base_model, show_answer
from ..screen.exit_status import CANCELLED, GOOD
from ..screen.interrupts import Interrupts
from ..screen.memory_gauge import memory_line
from ..screen.table import Column, table_lines
from ..screen.terminal import Screen
from . import SUMMARIES

if TYPE_CHECKING:
    from ...assistant.conversation import Conversation
    from ...assistant.history import ConversationSummary, History, SavedConversation
    from ...runtime.runtime import Runtime

_LATEST = "latest"
_COLUMNS = (
    Column("ID", least=4, right=True),
    Column("LAST USED", least=16),
    Column("TURNS", right=True),
    Column("TITLE"),
    Column("MODEL"),
)


def add_parser(commands: Any) -> None:
    text = SUMMARIES["chat"]
    parser: argparse.ArgumentParser = commands.add_parser(
        "chat", help=text, description=sentence(text), usage="edge-runtime chat [OPTIONS] [PROMPT]"
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="answer this once (default: talk)")
    parser.add_argument("--system", metavar="TEXT", help="system prompt (default: none)")
    parser.add_argument(
        "--memory", action="store_true", help="after each answer, show the memory in use (default: do not)"
    )
    kept = parser.add_argument_group("conversations")
    kept.add_argument(
        "--resume",
        nargs="?",
        const=_LATEST,
        metavar="ID",
        help="go on with conversation ID (without ID: the latest)",
    )
    kept.add_argument(
        "--no-history", action="store_true", help="do not save this conversation (default: save it)"
    )
    kept.add_argument("--list", action="store_true", help="list the saved conversations")
    kept.add_argument("--delete", metavar="ID", help="delete conversation ID")
    kept.add_argument(
        "--json", action="store_true", help="print JSON: the list, or one answer with its plan and figures"
    )
    add_model_options(parser)
    add_sampling_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    _require_sense(args)
    if args.list:
        return _list(as_json=args.json)
    if args.delete is not None:
        return _delete(args.delete)
    return _converse(args)


def _require_sense(args: argparse.Namespace) -> None:
    if args.no_history and (args.list or args.delete is not None or args.resume):
        raise OptionInvalid(
            "--no-history excludes --resume, --list and --delete", hint="leave it out", option="no-history"
        )
    if args.json and not (args.list or _is_once(args)):
        raise OptionInvalid(
            "--json goes with --list, or with one prompt",
            hint='edge-runtime chat --json "Why is the sky blue?"',
            option="json",
        )


def _is_once(args: argparse.Namespace) -> bool:
    """Whether one prompt is answered: it was given, or comes through a pipe."""
    return args.prompt is not None or sys.stdin is None or not sys.stdin.isatty()


# --- a conversation --------------------------------------------------------------------


def _converse(args: argparse.Namespace) -> int:
    keywords = generation_keywords(args)
    is_once = _is_once(args)
    prompt = read_prompt(args.prompt) if is_once else ""
    screen = Screen()
    with ExitStack() as stack:
        peaks = stack.enter_context(PeakSampler())
        history = None if args.no_history else stack.enter_context(_open_history())
        saved = _find_saved(history, args.resume) if history and args.resume else None
        model = saved.model if saved and args.model is None else model_name(args)
        runtime = stack.enter_context(open_shown(args, model, screen))
        conversation = _make_conversation(args, keywords, runtime, model, history, saved)
        note_base_model(runtime, screen)
        if args.json:
            return _report_once(conversation, prompt, runtime, peaks)
        if is_once:
            return _answer_once(conversation, prompt, screen, runtime if args.memory else None)
        return _talk(conversation, runtime, screen, shows_memory=args.memory)


def _make_conversation(
    args: argparse.Namespace,
    options: GenerationKeywords,
    runtime: Runtime,
    model: str,
    history: History | None,
    saved: SavedConversation | None,
) -> Conversation:
    from ...assistant.conversation import Conversation

    if history and saved:
        conversation = Conversation.resume(runtime, history, saved, options=options)
        if args.system is not None:
            conversation.set_system_prompt(args.system)
        return conversation
    return Conversation(
        runtime,
        model=_name_to_keep(model, runtime),
        system_prompt=args.system or "",
        history=history,
        options=options,
        # Scripts ask once and never come back: their states would push out the others.
        keep_state=not _is_once(args),
    )


def _name_to_keep(model: str, runtime: Runtime) -> str:
    """What opens the same model from any folder."""
    path = expanded(model)
    is_path = path.is_file() and path.absolute() == runtime.model_path.absolute()
    return str(path.resolve()) if is_path else model


def _answer_once(
    conversation: Conversation,
    prompt: str,
    screen: Screen,
    memory_of: Runtime | None,
) -> int:
    with Interrupts() as interrupts, conversation:
        answer = conversation.send(prompt)
        show_answer(answer, answer.cancel, screen, interrupts)
    for notice in conversation.take_notices():
        screen.note(notice)
    if screen.has_notes_terminal:
        screen.faint(describe_cost(answer.result()))
    if memory_of is not None:
        screen.faint(memory_line(memory_of, answer.result()))
    return _status_of(answer.result())


def _report_once(conversation: Conversation, prompt: str, runtime: Runtime, peaks: PeakSampler) -> int:
    """The answer as one JSON object, with the plan and the figures that `generate --json` gives."""
    with Interrupts() as interrupts, conversation:
        answer = conversation.send(prompt)
        with interrupts.during(answer.cancel):
            for _ in answer:
                pass
        print(json.dumps(reply_report(answer.result(), RuntimeFigures.of(runtime), peaks)))
    return _status_of(answer.result())


def _status_of(reply: Reply) -> int:
    return CANCELLED if reply.finish_reason is FinishReason.CANCELLED else GOOD


def _talk(conversation: Conversation, runtime: Runtime, screen: Screen, *, shows_memory: bool) -> int:
    from ..screen.chat_session import ChatSession
    from ..screen.line_input import LineInput

    with Interrupts() as interrupts, conversation:
        lines = LineInput(screen, interrupts)
        read_message = lines.read_message
        ChatSession(conversation, runtime, screen, interrupts, read_message, shows_memory=shows_memory).run()
    return GOOD


# --- what is kept ------------------------------------------------------------------------


def _open_history() -> History:
    from ...assistant.history import History  # here: other commands need no SQLite

    return History()


def _find_saved(history: History, wanted: str) -> SavedConversation:
    if wanted != _LATEST:
        return history.load(_conversation_id(wanted, "resume"))
    latest = history.latest()
    if latest is None:
        raise OptionInvalid(
            "--resume: there is no conversation yet", hint="start one: edge-runtime chat", option="resume"
        )
    return history.load(latest)


def _conversation_id(text: str, option: str) -> int:
    if text.isascii() and text.isdigit() and len(text) < 18:
        return int(text)
    raise OptionInvalid(
        f"--{option}: {text[:40]!r} is not a conversation's number",
        hint="edge-runtime chat --list shows them",
        option=option,
        value=text[:40],
    )


def _list(*, as_json: bool) -> int:
    with _open_history() as history:
        conversations = history.conversations()
    if as_json:
        print(json.dumps([asdict(conversation) for conversation in conversations]))
    elif not conversations:
        print("no conversation is kept yet", file=sys.stderr)
    else:
        print("\n".join(table_lines(_COLUMNS, map(_row, conversations))))
    return GOOD


def _row(of: ConversationSummary) -> tuple[str, ...]:
    when = datetime.fromisoformat(of.updated_at).astimezone().strftime("%Y-%m-%d %H:%M")
    return str(of.id), when, str(of.exchanges), of.title, Path(of.model).name


def _delete(wanted: str) -> int:
    conversation_id = _conversation_id(wanted, "delete")
    with _open_history() as history:
        history.delete(conversation_id)
    print(f"conversation {conversation_id} is deleted", file=sys.stderr)
    return GOOD
