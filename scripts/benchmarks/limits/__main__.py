"""Runs models inside a memory control group with a hard limit and no swap.

    scripts/bench_memory.sh                              all cases, five repetitions: hours
    scripts/bench_memory.sh --only e2b-2.0GB,soak-chat --stock
    scripts/bench_memory.sh --quick                      a rehearsal, minutes
    scripts/bench_memory.sh once --engine ours --model FILE --limit 2.0GB [--json]

`once` runs one model once and prints one line (or, with --json, everything that was
found). --engine is ours, stock (llama.cpp with its own defaults) or stock-norepack;
without --limit the group has none; --budget none opens the runtime without a budget;
--option residency=false passes another keyword argument to Runtime.open.

Exit status: 0 every goal met, or no group may be made here (it says why); 1 a goal
missed, or `once` came to no figures; 2 usage. Nothing else should be running.
"""

from __future__ import annotations

import argparse
import sys

from . import once, run


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench_memory.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if arguments[:1] == ["once"]:
        parser.prog += " once"
        once.add_arguments(parser)
        return once.run(parser.parse_args(arguments[1:]))
    run.add_arguments(parser)
    return run.run(parser.parse_args(arguments), parser)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
