"""The command `edge-runtime`, also as `python -m edge_runtime`."""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

_CANCELLED = 130  # as in cli/screen/exit_status.py, which is not imported yet when this is needed


def run() -> int:
    """The exit status of the command line. Ctrl-C at any moment, also during imports, is status 130."""
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else it is ignored on purpose
    if is_ours:
        signal.signal(signal.SIGINT, _leave)
    from .cli.command_line import main

    try:
        if is_ours:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return main()
    except KeyboardInterrupt:  # once more, while the first was being told
        return _CANCELLED
    finally:
        if is_ours:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing is left to be cleaned up


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """A KeyboardInterrupt in the middle of an import would come out as a traceback."""
    os._exit(_CANCELLED)


if __name__ == "__main__":
    sys.exit(run())
