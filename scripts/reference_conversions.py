"""Our `convert` and llama.cpp's converters, on the same checkpoints and adapters.

Runs in the product's own environment, on what reference/make.py has made. Compared are names, order,
shapes, types and bytes of tensors, and metadata but for names. Every file is then run by llama.cpp: with
F32 weights its greedy tokens are compared with those that transformers chose with the checkpoint, and an
embedding model's vector with transformers'; with other weights the answer need only be one.
Ends with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from edge_tools.convert import TYPES  # noqa: E402
from reference.cases_compared import compare_case  # noqa: E402
from reference.compare import Comparison  # noqa: E402

_MANY = 3  # differences that are told of one file


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("fixtures", type=Path)
    parser.add_argument("cases", nargs="*")
    parser.add_argument("--types", nargs="*", default=tuple(TYPES), choices=tuple(TYPES))
    args = parser.parse_args(argv)
    cases = args.cases or sorted(path.name for path in args.fixtures.iterdir() if path.is_dir())
    rows: list[Comparison] = []
    print(f"{'CASE':20} {'TYPE':5} {'TENSORS':>7} {'VALUES':>6} {'ZEROS':>5}  {'RESULT':9}  LLAMA.CPP")
    for case in cases:
        for row in compare_case(args.fixtures / case, args.types):
            rows.append(row)
            _print(row)
    failed = sum(bool(row.differences) for row in rows)
    print(
        f"{len(rows)} files of {len(cases)} cases: {sum(row.tensors for row in rows):,} tensors and "
        f"{sum(row.values for row in rows):,} values compared, {failed} files differ"
    )
    return 1 if failed else 0


def _print(row: Comparison) -> None:
    result = "DIFFERENT" if row.differences else "same"
    counts = f"{row.tensors:7} {row.values:6} {row.zeros:5}"
    print(f"{row.case:20} {row.type:5} {counts}  {result:9}  {row.answer}", flush=True)
    for line in (*[row.note] * bool(row.note), *row.differences[:_MANY]):
        print(f"    {line}")


if __name__ == "__main__":
    sys.exit(main())
