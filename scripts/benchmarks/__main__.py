"""Runs the sections named on the command line, or all; prints a table and one JSON line."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module

from .machine import describe_machine
from .table import Row, format_table

# In this order: the first ones want a machine that nothing has warmed up or filled yet.
_SECTIONS = (
    *("speed", "attention", "parallel", "contention", "conversation", "memory"),
    *("headers", "damaged", "round_trip"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench.sh", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each side; medians count")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(_SECTIONS))
    args = parser.parse_args()
    unknown = set(args.sections) - set(_SECTIONS)
    if unknown:
        parser.error(f"no section {sorted(unknown)[0]!r}; there are: {', '.join(_SECTIONS)}")
    rows: list[Row] = []
    for name in args.sections or _SECTIONS:
        print(f"… {name}", file=sys.stderr, flush=True)
        rows += import_module(f".{name}", __package__).measure(args.repeat)
    machine = describe_machine()
    print(machine)
    print(format_table(rows))
    print(json.dumps({"machine": machine, "rows": [row.as_json() for row in rows]}))
    return 0 if all(row.good for row in rows) else 1


sys.exit(main())
