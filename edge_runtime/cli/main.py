"""The command line: parse, call, print, exit status. Answers go to stdout, all else to stderr."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from ..errors import EdgeRuntimeError
from ..values.files import is_disk_full
from ..values.version import __version__
from .commands import SUMMARIES
from .screen.errors import print_error
from .screen.exit_status import CANCELLED, ENGINE, GOOD, exit_status_of


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
    """Run one command. Returns its exit status; argparse itself exits with 2 on wrong usage."""
    if sys.stdout is None:  # closed by the caller: `>&-`
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the process lives
    try:
        return _run(argv)
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return CANCELLED
    except BrokenPipeError:  # the reader of our stdout went away, as `head` does
        _give_up_stdout()
        return GOOD
    except Exception:  # a door: nothing may leave it but an exit status  # noqa: BLE001
        traceback.print_exc()
        print("error: this is a fault in edge_runtime; please report the lines above", file=sys.stderr)
        return ENGINE


def _run(argv: Sequence[str] | None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    args = build_parser(given).parse_args(given)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except EdgeRuntimeError as error:
        if args.debug:
            traceback.print_exc()
        print_error(error)
        return exit_status_of(error)
    except OSError as error:
        if not is_disk_full(error):
            raise
        print(f"error: no room on the disk: {error}", file=sys.stderr)
        _give_up_stdout()
        return ENGINE
    return status


def _give_up_stdout() -> None:
    """What is left in its buffer cannot be written; at exit Python would try once more and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
