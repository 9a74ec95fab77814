"""Time and memory of `convert`, next to `cp` and a cast of the same numbers.

    scripts/bench_convert.sh [--scale S] [--repeat N] [--types TYPE,...] [--keep] [--folder DIR]
                             [--report FILE]

A checkpoint of Gemma 3n E2B's shape (9 GB, BF16, three shards) is made first and deleted at the end, unless
--keep. Needs 20 GB of disk, and at --scale 0.1 a tenth of it. Exit status: 0 every goal met, 1 not, 2 usage.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np

from edge_runtime.device.folders import cache_folder
from edge_runtime.device.process_memory import PeakSampler
from edge_runtime.values.units import format_bytes

from .e2b_checkpoint import make_checkpoint, needed_bytes
from .limits.drop_cache import drop_cache
from .machine import describe_machine
from .table import Row, format_table

MOST_MB = 600
MOST_RATIO = 1.5
_TYPES = ("bf16", "q8_0", "q4_0")
_ROOT = Path(__file__).parents[2]
_REPORT = Path(__file__).parent / "reports" / "convert.md"
_CHUNK = 1 << 17
_HOW = """\
Each run begins with a cold page cache where the system lets us empty it; the copy and the conversions
alternate, and medians count. `cp` copies the weights and `sync` brings the copy to the disk, as `convert`
does with its file. The cast, for the quantized types alone, is BF16 to F32 to 8-bit integers with numpy
in chunks that stay in the processor's cache: about the least that making such a file takes. Anonymous
memory is the peak of RssAnon, 20 looks a second. MB and GB are 10^6 and 10^9 bytes."""


@dataclass
class Times:
    copy_s: list[float] = field(default_factory=list)
    copy_without_sync_s: list[float] = field(default_factory=list)
    cast_s: list[float] = field(default_factory=list)
    convert_s: dict[str, list[float]] = field(default_factory=dict)
    peak_bytes: dict[str, list[int]] = field(default_factory=dict)
    output_bytes: dict[str, int] = field(default_factory=dict)


def measure(checkpoint: Path, scratch: Path, types: Sequence[str], repeat: int) -> Times:
    times = Times()
    shards = sorted(checkpoint.glob("*.safetensors"))
    elements = sum(path.stat().st_size for path in shards) // 2
    for number in range(repeat):
        _say(f"repetition {number + 1} of {repeat}: cp")
        _time_copy(shards, scratch / "copy", times)
        times.cast_s.append(_timed(lambda: _cast(elements)))
        for kind in types:
            _say(f"repetition {number + 1} of {repeat}: {kind}")
            _time_conversion(checkpoint, shards, scratch / "converted.gguf", kind, times)
    return times


def _time_copy(shards: Sequence[Path], folder: Path, times: Times) -> None:
    folder.mkdir()
    _make_cold(shards)
    copied = _timed(lambda: subprocess.run(["cp", *shards, folder], check=True))
    synced = _timed(lambda: subprocess.run(["sync", *folder.iterdir()], check=True))
    times.copy_without_sync_s.append(copied)
    times.copy_s.append(copied + synced)
    shutil.rmtree(folder)


def _cast(elements: int) -> None:
    numbers = np.arange(_CHUNK, dtype=np.uint16)
    wide, narrow = np.empty(_CHUNK, np.float32), np.empty(_CHUNK, np.int8)
    with np.errstate(all="ignore"):
        for _ in range(-(-elements // _CHUNK)):
            np.left_shift(numbers, np.uint32(16), out=wide.view(np.uint32), dtype=np.uint32)
            np.copyto(narrow, wide, casting="unsafe")


def _time_conversion(checkpoint: Path, shards: Sequence[Path], path: Path, kind: str, times: Times) -> None:
    command = [sys.executable, "-m", "edge_runtime", "convert", str(checkpoint), "-o", str(path)]
    _make_cold(shards)
    started_s = time.perf_counter()
    running = subprocess.Popen([*command, "--type", kind], cwd=_ROOT, stdout=subprocess.DEVNULL)
    with PeakSampler(running.pid) as memory:
        status = running.wait()
    duration_s = time.perf_counter() - started_s
    if status:
        raise SystemExit(f"convert ended with {status}")
    times.convert_s.setdefault(kind, []).append(duration_s)
    times.peak_bytes.setdefault(kind, []).append(memory.peak_anonymous_bytes or 0)
    times.output_bytes[kind] = path.stat().st_size
    path.unlink()


def _make_cold(files: Sequence[Path]) -> None:
    os.sync()
    for file in files:
        if warning := drop_cache(file).warning:
            _say(f"{file.name}: {warning}")


def _timed(work: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    work()
    return time.perf_counter() - started_s


def rows_of(times: Times) -> list[Row]:
    rows = []
    for kind, durations_s in times.convert_s.items():
        baseline_s = list(times.copy_s)
        if kind in ("q8_0", "q4_0"):
            baseline_s = [sum(both) for both in zip(times.copy_s, times.cast_s, strict=True)]
        ratio = statistics.median(a / b for a, b in zip(durations_s, baseline_s, strict=True))
        note = f"{statistics.median(durations_s):.1f} s against {statistics.median(baseline_s):.1f} s, "
        note += f"{times.output_bytes[kind] / 1e9:.2f} GB written"
        what = "cp" if baseline_s == times.copy_s else "cp and cast"
        rows.append(Row(f"{kind}: convert / {what}", ratio, "", most=MOST_RATIO, note=note))
        peak_mb = max(times.peak_bytes[kind]) / 1e6
        rows.append(Row(f"{kind}: anonymous memory", peak_mb, "MB", most=MOST_MB))
    return rows


def report(rows: list[Row], times: Times, source_bytes: int, command: Sequence[str]) -> str:
    date = datetime.now().strftime("%Y-%m-%d %H:%M")
    copy_s, bare_s, cast_s = map(statistics.median, (times.copy_s, times.copy_without_sync_s, times.cast_s))
    missed = sum(not row.good for row in rows)
    verdict = f"**{missed} goals missed.**" if missed else "Every goal is met."
    return (
        f"# Converting a large checkpoint\n\n{describe_machine()}  \n{date}: `{shlex.join(command)}`\n\n"
        f"{_HOW}\n\n{source_bytes / 1e9:.2f} GB of weights; cp took {bare_s:.1f} s and {copy_s:.1f} s "
        f"with sync, the cast {cast_s:.1f} s. {verdict}\n\n"
        f"```\n{format_table(rows)}\n```\n"
    )


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="scripts/bench_convert.sh",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of the layers and the vocabulary")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--types", default=",".join(_TYPES))
    parser.add_argument("--keep", action="store_true", help="the checkpoint, for another time")
    parser.add_argument("--folder", type=Path, default=cache_folder() / "bench")
    parser.add_argument("--report", type=Path, default=_REPORT)
    chosen = parser.parse_args(arguments)
    folder = chosen.folder / f"e2b-checkpoint-{chosen.scale:g}"
    scratch = chosen.folder / f"convert-{os.getpid()}"
    try:
        _require_room(chosen.folder, needed_bytes(chosen.scale) * (1 if folder.exists() else 2))
        if not folder.exists():
            _say("making the checkpoint")
            make_checkpoint(folder, chosen.scale)
        scratch.mkdir()
        times = measure(folder, scratch, chosen.types.split(","), chosen.repeat)
        source_bytes = sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        if not chosen.keep:
            shutil.rmtree(folder, ignore_errors=True)
    rows = rows_of(times)
    text = report(rows, times, source_bytes, ["scripts/bench_convert.sh", *arguments])
    chosen.report.write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps({"machine": describe_machine(), "rows": [row.as_json() for row in rows]}))
    return 0 if all(row.good for row in rows) else 1


def _require_room(folder: Path, size_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < size_bytes:
        raise SystemExit(
            f"{folder} has {format_bytes(free_bytes)} free, {format_bytes(size_bytes)} are needed: "
            "--folder takes another disk, --scale 0.1 a tenth"
        )


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
