"""Measures what listening promises, and writes scripts/benchmarks/reports/speech.md and .json.

    scripts/bench_speech.sh                       every part: some 12 minutes on two cores
    scripts/bench_speech.sh --only talk,hour --add
    scripts/bench_speech.sh --quick               a rehearsal with few clips

Exit status: 0 every goal met, 1 one missed, 2 usage. Nothing else should be running.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from edge_runtime.bench.speech import default_manifest, read_manifest
from edge_runtime.catalog.catalog import DEFAULT_SPEECH_MODEL
from edge_runtime.device.folders import cache_folder

from ..machine import describe_machine
from . import agreement, clip_set, cut, faults, files, hour, quiet, talk
from .child import ChildFailed
from .part import Part, PartSkipped, Settings
from .report import Report

_DEFAULT_OUT = Path(__file__).parents[1] / "reports" / "speech.md"
_PARTS: dict[str, Callable[[Settings], Part]] = {
    "set": clip_set.measure,
    "talk": talk.measure,
    "agreement": agreement.measure,
    "hour": hour.measure,
    "quiet": quiet.measure,
    "cut": cut.measure,
    "files": files.measure,
    "faults": faults.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench_speech.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="PART,...", help=f"of {', '.join(_PARTS)}")
    parser.add_argument(
        "--add", action="store_true", help="to the report that is there: keep its other parts"
    )
    parser.add_argument("--quick", action="store_true", help="a rehearsal with few clips")
    parser.add_argument("--model", default=DEFAULT_SPEECH_MODEL, metavar="NAME|DIR")
    parser.add_argument("--manifest", type=Path, default=default_manifest(), metavar="FILE")
    parser.add_argument("--work", type=Path, default=cache_folder() / "bench" / "speech", metavar="DIR")
    parser.add_argument("--out", type=Path, default=_DEFAULT_OUT, metavar="FILE")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(_PARTS)
    if unknown := [name for name in names if name not in _PARTS]:
        parser.error(f"no part {unknown[0]!r}; there are: {', '.join(_PARTS)}")
    settings = Settings(read_manifest(args.manifest), args.model, args.work, args.quick)
    report = Report(describe_machine(), ["scripts/bench_speech.sh", *sys.argv[1:]], args.quick, list(_PARTS))
    if args.add:
        report.add_earlier(args.out)
    return _run(names, settings, report, args.out)


def _run(names: list[str], settings: Settings, report: Report, out: Path) -> int:
    failed = False
    for name in names:
        print(f"… {name}", file=sys.stderr, flush=True)
        try:
            report.parts[name] = _PARTS[name](settings)
        except (PartSkipped, ChildFailed) as reason:
            failed = failed or isinstance(reason, ChildFailed)
            report.skipped[name] = str(reason)
            print(f"  skipped: {reason}", file=sys.stderr)
        report.write(out)
    print(report.tables())
    print(f"written: {out} and {out.with_suffix('.json')}", file=sys.stderr)
    return 0 if report.good and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
