"""The command line: parse, call, print, exit status. Answers go to stdout, all else to stderr."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from ..errors import EdgeRuntimeError
from ..values.version import __version__
from .commands import SUMMARIES
from .screen.errors import print_error, print_unexpected
from .screen.exit_status import CANCELLED, GOOD, exit_status_of
from .screen.streams import prepare_streams


class _Parser(argparse.ArgumentParser):
    """Says what to do about files whose name begins with a dash."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See ArgumentParser."""
        self._given = [str(arg) for arg in (sys.argv[1:] if args is None else args)]
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """See ArgumentParser."""
        dashed = [arg for arg in getattr(self, "_given", ()) if arg[:1] == "-" and Path(arg).is_file()]
        hint = f"; {dashed[0]} is a file: give it as ./{dashed[0]}" if dashed else ""
        super().error(message + hint)


def build_parser(argv: Sequence[str] | None = None) -> argparse.ArgumentParser:
    """One command a module; each module has add_parser(commands) and sets `run`.

    argv: what will be parsed. Only the module of its command is imported then, since the
    help of all and every other command would pay for the rest; default: all of them.
    """
    parser = _Parser(
        prog="edge-runtime",
        description="Run language models offline, on the memory this device really has.",
        epilog="Only `edge-runtime models pull` ever opens a network connection. The commands that load a "
        "model accept --offline, which changes nothing.",
    )
    parser.add_argument("--version", action="version", version=f"edge-runtime {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, summary in SUMMARIES.items():
        if argv is None or name in argv:
            import_module(f".commands.{name}", __package__).add_parser(commands)
        else:
            commands.add_parser(name, help=summary, add_help=False)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit status; argparse itself exits with 2 on wrong usage.

    A traceback is printed with --debug only.
    """
    prepare_streams()
    given = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(given)
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return CANCELLED
    except BrokenPipeError:  # the reader of our stdout went away, as `head` does
        _give_up_stdout()
        return GOOD
    except Exception as error:  # a door: nothing may leave it but an exit status  # noqa: BLE001
        if "--debug" in given:
            traceback.print_exc()
        _end_stdout()
        return print_unexpected(error)


def _run(argv: Sequence[str]) -> int:
    args = build_parser(argv).parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except EdgeRuntimeError as error:
        if args.debug:
            traceback.print_exc()
        _end_stdout()
        print_error(error)
        return exit_status_of(error)
    return status


def _end_stdout() -> None:
    """Write what is left in its buffer: else Python would try once more at exit, and complain."""
    try:
        sys.stdout.flush()
    except (OSError, ValueError):
        _give_up_stdout()


def _give_up_stdout() -> None:
    """What is left in its buffer cannot be written; at exit Python would try once more and complain."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, sys.stdout.fileno())
        finally:
            os.close(nowhere)
