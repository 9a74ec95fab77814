"""Showing an answer as it comes, and its cost, for chat and generate."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ...values.records import FinishReason, Reply
from .interrupts import Interrupts
from .terminal import Screen, control_echo_off

if TYPE_CHECKING:
    from ...runtime.runtime import Runtime


def note_base_model(runtime: Runtime, screen: Screen) -> None:
    """Tells that there is no chat template, where there is none."""
    if not runtime.has_chat_template:
        screen.note(f"{runtime.model_name} is a base model: it continues text, it does not answer.")


def show_answer(
    pieces: Iterable[str], cancel: Callable[[], None], screen: Screen, interrupts: Interrupts
) -> None:
    """Show the pieces as they come. Ctrl-C cancels; what was written until then stays."""
    with interrupts.during(cancel), control_echo_off():
        try:
            for piece in pieces:
                screen.show(piece)
        except BaseException:
            screen.break_answer()
            raise
        screen.end_answer()


def describe_cost(reply: Reply) -> str:
    """One line: how it ended, what it took."""
    if reply.finish_reason is FinishReason.CANCELLED and not reply.text:
        return "[stopped before the first word; nothing is kept of it]"
    usage, timings = reply.usage, reply.timings
    how = {
        FinishReason.STOP: "",
        FinishReason.LENGTH: "cut off at the token limit; ",
        FinishReason.CANCELLED: "stopped; ",
    }[reply.finish_reason]
    speed = f" at {timings.decode_tokens_per_s:.1f}/s" if timings.decode_tokens_per_s else ""
    new_tokens = usage.prompt_tokens - usage.cached_tokens
    prompt = f"prompt {new_tokens} new, {usage.cached_tokens} cached"
    return f"[{how}{usage.completion_tokens} tokens{speed}; {prompt}]"
