"""The options of commands that let a model read a long text."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TypedDict

from ...values.checks import parse_count
from .prompt_source import MOST_CORPUS_BYTES, read_text_file
from .shared_options import add_threads_option


class ReadingNumbers(TypedDict):
    context_tokens: int | None
    chunks: int | None
    threads: int | None


def add_reading_options(parser: argparse.ArgumentParser, *, chunks: str) -> None:
    """`chunks`: what is read without --chunks."""
    parser.add_argument(
        "--text",
        type=Path,
        required=True,
        metavar="FILE",
        help="text to read: plain UTF-8, like what the model will be used for",
    )
    parser.add_argument(
        "--context", metavar="N", help="tokens in a chunk (default: 512, or what the model was trained for)"
    )
    parser.add_argument("--chunks", metavar="N", help=f"read at most N chunks (default: {chunks})")
    add_threads_option(parser)


def reading_numbers(args: argparse.Namespace) -> ReadingNumbers:
    """Raises OptionInvalid for a value that is not a number."""
    return {
        "context_tokens": parse_count(args.context, "context"),
        "chunks": parse_count(args.chunks, "chunks"),
        "threads": parse_count(args.threads, "threads"),
    }


def read_text(args: argparse.Namespace) -> str:
    """Raises OptionInvalid."""
    return read_text_file(args.text, "text", MOST_CORPUS_BYTES)
