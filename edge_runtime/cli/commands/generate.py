"""`edge-runtime generate`: one prompt, one answer, for scripts and for people."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...device.process_memory import PeakSampler
from ...errors import OptionInvalid
from ...runtime.report import RuntimeFigures, reply_report
from ...values.records import FinishReason, GenerationKeywords, Reply, generation_options
from ..options.model_options import (
    add_model_options,
    add_sampling_options,
    generation_keywords,
    model_name,
    open_shown,
)
from ..options.prompt_source import read_prompt, read_schema, read_text_file
from ..options.shared_options import add_json_option, sentence
from ..screen.answering import describe_cost, note_base_model, show_answer
from ..screen.exit_status import CANCELLED, GOOD
from ..screen.interrupts import Interrupts
from ..screen.terminal import Screen
from . import SUMMARIES

if TYPE_CHECKING:
    from ...runtime.runtime import Runtime


def add_parser(commands: Any) -> None:
    text = SUMMARIES["generate"]
    parser: argparse.ArgumentParser = commands.add_parser(
        "generate", help=text, description=sentence(text), usage="edge-runtime generate [OPTIONS] [PROMPT]"
    )
    parser.add_argument(
        "prompt",
        nargs="?",
        metavar="PROMPT",
        help="text to answer; - for all of stdin (default: all of stdin, as UTF-8)",
    )
    parser.add_argument("--system", metavar="TEXT", help="system prompt (default: none)")
    parser.add_argument(
        "--raw",
        action="store_true",
        help="continue the prompt as it is: no chat template (default: only where the model has none)",
    )
    add_json_option(parser, "print JSON: text, usage, timings, memory (default: the text as it comes)")
    add_model_options(parser)
    add_sampling_options(parser)
    form = parser.add_argument_group("form of the answer").add_mutually_exclusive_group()
    form.add_argument(
        "--schema", type=Path, metavar="FILE", help="answer in JSON that this JSON Schema describes"
    )
    form.add_argument(
        "--grammar", type=Path, metavar="FILE", help="answer in text that this GBNF grammar describes"
    )
    parser.add_argument(
        "--stop", action="append", metavar="TEXT", help="end the answer before this text; can be repeated"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    keywords = _keywords(args)
    prompt = read_prompt(args.prompt)
    screen = Screen()
    with PeakSampler() as peaks, open_shown(args, model_name(args), screen) as runtime:
        if not args.raw:
            note_base_model(runtime, screen)
        reply = _answer(runtime, prompt, args, keywords, screen)
        figures = RuntimeFigures.of(runtime)
    if args.json:
        print(json.dumps(reply_report(reply, figures, peaks)))
    elif screen.has_notes_terminal:
        screen.faint(describe_cost(reply))
    return CANCELLED if reply.finish_reason is FinishReason.CANCELLED else GOOD


def _keywords(args: argparse.Namespace) -> GenerationKeywords:
    """Everything that can be found wrong before a model is loaded is found here."""
    if args.raw and args.system:
        raise OptionInvalid(
            "--raw: there is no place for --system without the chat template",
            hint="write it into the prompt",
            option="raw",
        )
    keywords = generation_keywords(args)
    keywords["stop"] = args.stop
    if args.schema:
        keywords["json_schema"] = read_schema(args.schema)
    if args.grammar:
        keywords["grammar"] = read_text_file(args.grammar, "grammar")
    from ...runtime.requests import grammar_of

    grammar_of(generation_options({}, keywords))  # raises where a value or a schema is refused
    return keywords


def _answer(
    runtime: Runtime, prompt: str, args: argparse.Namespace, keywords: GenerationKeywords, screen: Screen
) -> Reply:
    system = args.system or None
    stream = runtime.generate(prompt, system=system, raw=args.raw, stream=True, **keywords)
    with Interrupts() as interrupts, stream:
        if args.json:
            with interrupts.during(stream.cancel):
                return stream.result()
        show_answer((piece.text for piece in stream), stream.cancel, screen, interrupts)
        return stream.result()
