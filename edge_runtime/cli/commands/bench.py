"""`edge-runtime bench`: how fast a model reads and writes here; `bench speech` has a file of its own."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from ...values.checks import parse_count
from ...values.units import ByteUnits, byte_units_of, format_bytes
from ..options.model_options import add_model_options, model_name, open_runtime
from ..options.shared_options import add_json_option
from ..screen.exit_status import GOOD
from . import SUMMARIES, bench_speech

if TYPE_CHECKING:
    from ...bench.speed import BenchResult
    from ...values.records import Reply

_Commands = Any  # argparse does not name the type of its subparsers


def add_parser(commands: _Commands) -> None:
    parser = commands.add_parser(
        "bench",
        help=SUMMARIES["bench"],
        description="Measure a chat model's speed and memory on this device. Nothing else should be running.",
    )
    add_model_options(parser)
    parser.add_argument(
        "--prompt-tokens", metavar="N", help="tokens of a prompt to read in each run (default: 256)"
    )
    parser.add_argument("--answer-tokens", metavar="N", help="tokens to write in each run (default: 64)")
    parser.add_argument(
        "--repeat", metavar="N", help="runs after one warm-up; medians are shown (default: 5)"
    )
    add_json_option(parser, "print the JSON line alone (default: a table before it)")
    parser.set_defaults(run=run)
    others = parser.add_subparsers(title="other kinds of models", metavar="KIND")
    bench_speech.add_parser(others)


def run(args: argparse.Namespace) -> int:
    from ...bench.speed import run_bench
    from ...gguf.header import read_header

    result = run_bench(
        lambda: open_runtime(args, model_name(args)),
        lambda runtime: read_header(runtime.model_path),
        prompt_tokens=parse_count(args.prompt_tokens, "prompt_tokens") or 256,
        answer_tokens=parse_count(args.answer_tokens, "answer_tokens") or 64,
        repeat=parse_count(args.repeat, "repeat") or 5,
        on_run=_show_run,
    )
    if not args.json:
        print("\n".join(format_result(result, byte_units_of(args.budget))))
    print(json.dumps(result.report))
    return GOOD


def _show_run(run: int, reply: Reply) -> None:
    timings = reply.timings
    print(
        f"run {run}: prefill {timings.prefill_tokens_per_s:.1f} tokens/s, "
        f"decode {timings.decode_tokens_per_s:.1f} tokens/s",
        file=sys.stderr,
    )


def format_result(result: BenchResult, units: ByteUnits) -> list[str]:
    timings, memory, usage = (result.report[key] for key in ("timings", "memory", "usage"))
    decode, ceiling = timings["decode_tokens_per_s"], result.decode_ceiling_tokens_per_s
    return [
        f"prefill           {timings['prefill_tokens_per_s']:.1f} tokens/s ({usage['prompt_tokens']} tokens)",
        f"first token after {timings['time_to_first_token_s']:.3f} s",
        f"decode ceiling    {ceiling:.1f} tokens/s (memory bandwidth / weights read per token)",
        f"decode            {decode:.1f} tokens/s ({usage['completion_tokens']} tokens)",
        f"ratio             {decode / ceiling:.2f}",
        f"between decodes   {timings['between_decodes_us']:.0f} us",
        f"load              {timings['load_s']:.2f} s",
        f"peak memory       {_bytes(memory['peak_anonymous_bytes'], units)} anonymous, "
        f"{_bytes(memory['peak_file_bytes'], units)} file-backed",
    ]


def _bytes(size_bytes: int | None, units: ByteUnits) -> str:
    return "unknown" if size_bytes is None else format_bytes(size_bytes, units)
