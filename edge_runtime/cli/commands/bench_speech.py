"""`edge-runtime bench speech`: how well speech is understood here, how soon, and at what cost."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...catalog.catalog import DEFAULT_SPEECH_MODEL
from ...speech.recognition.languages import parse_language
from ...values.checks import parse_count
from ...values.units import format_bytes
from ..options.model_options import add_offline_option, number_option
from ..options.shared_options import add_json_option, add_output_file, add_threads_option
from ..options.speech_options import SPEECH_MODEL_HELP
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from ..screen.table import Column, table_lines

if TYPE_CHECKING:
    from ...bench.speech import ClipResult, SpeechClip, Summary
    from ...speech.listening import Quantiles

_ABOUT = (
    "Hear clips whose words are known, live (against a simulated clock plus the time that the work takes) "
    "and as whole files: word error rate with Whisper's normalization, phrases said three times in a row, "
    "processor seconds per second of sound, and how long after its end a word is final (COMMIT) and first "
    "on the screen (SHOWN). Nothing else should be running."
)
_MANIFEST_HELP = (
    "JSON lines with path, language and text of each clip (default: what scripts/speech_clips.sh "
    "fetches, ~/.cache/edge-runtime/speech/clips.jsonl)"
)
_COLUMNS = tuple(
    Column(heading, least=least, right=bool(heading), gap=1)
    for heading, least in (
        ("", 4),
        ("CLIPS", 5),
        ("SECONDS", 7),
        ("WER LIVE/WHOLE", 15),
        ("LOOPS", 5),
        ("CPU", 11),
        ("COMMIT 50/90/95%", 16),
        ("SHOWN", 6),
    )
)


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "speech", help="a speech model: errors, delays, cost", description=_ABOUT
    )
    parser.add_argument("--manifest", type=Path, metavar="FILE", help=_MANIFEST_HELP)
    parser.add_argument(
        "--language",
        metavar="NAME,...",
        help="clips in these languages only, such as en,French (default: all)",
    )
    parser.add_argument("--limit", metavar="N", help="at most N clips of each language (default: all)")
    parser.add_argument(
        "--model",
        metavar="NAME|DIR",
        default=DEFAULT_SPEECH_MODEL,
        help=SPEECH_MODEL_HELP,
    )
    add_threads_option(parser)
    add_json_option(parser, "print the JSON line alone (default: a table before it)")
    add_output_file(parser, "write JSON with the texts of each clip (default: none)", required=False)
    add_offline_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from ...bench.speech import require_scoring, run_speech_bench, summarize
    from ...speech.runtime import SpeechRuntime
    from ...values.output_file import check_output

    if args.path is not None:
        check_output(args.path, args.force)
    require_scoring()
    clips = _clips(args)
    with SpeechRuntime.open(args.model, threads=number_option(args, "threads", int)) as runtime:
        results = run_speech_bench(runtime, clips, ConsoleProgress())
    summaries = summarize(results)
    report = {"model": str(args.model), "summaries": [summary.as_json() for summary in summaries]}
    if args.path is not None:
        _write(args.path, report, results, force=args.force)
    if not args.json:
        print("\n".join(speech_lines(summaries)))
    print(json.dumps(report))
    return GOOD


def _clips(args: argparse.Namespace) -> list[SpeechClip]:
    from ...bench.speech import choose_clips, default_manifest, read_manifest

    limit = parse_count(args.limit, "limit")
    languages = [parse_language(name) for name in (args.language or "").split(",") if name.strip()]
    return choose_clips(read_manifest(args.manifest or default_manifest()), languages, limit)


def _write(path: Path, report: dict[str, Any], results: Sequence[ClipResult], *, force: bool) -> None:
    from ...values.output_file import output_file

    full = report | {"clips": [result.as_json() for result in results]}
    content = (json.dumps(full, indent=1, ensure_ascii=False) + "\n").encode()
    with output_file(path, len(content), force=force, smaller="fewer clips, with --limit") as file:
        file.write(content)


def speech_lines(summaries: Sequence[Summary]) -> Iterator[str]:
    yield from table_lines(_COLUMNS, map(_row, summaries))
    peak, dropped_s = summaries[-1].peak_bytes, summaries[-1].dropped_s
    yield (
        f"peak memory {'unknown' if peak is None else format_bytes(peak)} (live); {dropped_s:.1f} s"
        " of sound lost."
    )


def _row(summary: Summary) -> tuple[str, ...]:
    found = summary.as_json()
    live, whole = found["live"], found["whole"]
    return (
        summary.language,
        str(found["clips"]),
        f"{summary.seconds:.1f}",
        f"{_percent(live)} / {_percent(whole)} %",
        str(len(live["loops"]) + len(whole["loops"])),
        f"{live['cpu_s_per_audio_s']:.2f} / {whole['cpu_s_per_audio_s']:.2f}",
        _delays(summary.commit_latency_s),
        _seconds(summary.first_display_s.p50),
    )


def _percent(figures: dict[str, Any]) -> str:
    rate = figures["word_error_rate"]
    return "-" if rate is None else f"{100 * rate:.1f}"


def _delays(delays: Quantiles) -> str:
    return (
        " ".join(_seconds(value).removesuffix(" s") for value in (delays.p50, delays.p90, delays.p95)) + " s"
    )


def _seconds(value: float | None) -> str:
    return "- s" if value is None else f"{value:.2f} s"
