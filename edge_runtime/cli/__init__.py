"""The command line: `command_line.py` parses, one module a command in `commands/`.

`options/` turns flags into values, `screen/` is what a person sees.
Imports every other folder; none imports it.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status. See command_line.main."""
    from .command_line import main as run

    return run(argv)
