"""One run, one line: the measuring instrument by itself."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from edge_runtime.values.units import parse_bytes

from .group import GroupRefused
from .launch import PreparationFailed, prepare, run_once
from .task import ENGINES, Task


def add_arguments(parser: argparse.ArgumentParser) -> None:
    task = Task("ours", "")
    parser.add_argument("--engine", choices=ENGINES, default="ours")
    parser.add_argument("--model", required=True, help="a GGUF file, or a catalog name")
    parser.add_argument("--limit", help="of the group, such as 2.0GB; default none")
    parser.add_argument("--budget", help="for Runtime.open; default the limit; 'none' for none")
    parser.add_argument("--context", type=int, default=task.context_tokens, metavar="TOKENS")
    parser.add_argument("--threads", type=int, default=task.threads)
    parser.add_argument("--prompt", type=int, default=task.prompt_tokens, metavar="TOKENS")
    parser.add_argument("--answer", type=int, default=task.answer_tokens, metavar="TOKENS")
    parser.add_argument("--seed", type=int, default=task.seed)
    parser.add_argument(
        "--option", action="append", default=[], metavar="NAME=JSON", help="more for Runtime.open"
    )
    parser.add_argument("--watch", action="store_true", help="note residency ten times on the way")
    parser.add_argument("--json", action="store_true", help="everything that was found")


def run(args: argparse.Namespace) -> int:
    try:
        path = prepare(args.model)
        found = run_once(_task_of(args, str(path)), path, parse_bytes(args.limit) if args.limit else None)
    except GroupRefused as refused:
        print(f"skipped: {refused}", file=sys.stderr)
        return 0
    except PreparationFailed as failed:
        print(f"error: {failed}", file=sys.stderr)
        return 1
    print(json.dumps(found) if args.json else describe(found))
    return 1 if "error" in found else 0


def _task_of(args: argparse.Namespace, path: str) -> Task:
    budget = args.budget or args.limit
    return Task(
        engine=args.engine,
        model=path,
        budget=None if budget == "none" else budget,
        context_tokens=args.context,
        threads=args.threads,
        prompt_tokens=args.prompt,
        answer_tokens=args.answer,
        watch_residency=args.watch,
        seed=args.seed,
        options=_options(args.option),
    )


def _options(pairs: list[str]) -> dict[str, Any]:
    """NAME=JSON; what is not JSON is text."""
    found: dict[str, Any] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def describe(found: dict[str, Any]) -> str:
    """Everything worth seeing at a glance, on one line; sizes in MB of 1,000,000 bytes."""
    task, group = found["task"], found["group"]
    head = f"{task['engine']}, limit {_mb(found['limit_bytes'])}"
    failed = "error" in found
    parts = [found["error"], f"after {found['wall_s']:.1f} s"] if failed else _figures(found)
    refaults = group["refaulted_file_pages"]
    parts.append(
        f"charged at most {_mb(group['peak_bytes'])}, {group['oom_kills']} oom kills, {refaults} refaults"
    )
    if found.get("warning"):
        parts.append(f"WARNING {found['warning']}")
    return f"{head}: " + "; ".join(parts)


def _figures(found: dict[str, Any]) -> list[str]:
    parts = [f"load {found['load_s']:.2f} s"]
    if "prefill_tokens_per_s" in found:
        parts.append(f"prefill {found['prefill_tokens_per_s']:.1f}/s")
    if "decode_tokens_per_s" in found:
        parts += [
            f"decode {found['decode_tokens_per_s']:.2f}/s (median {found['decode_median_tokens_per_s']:.2f},"
            f" with warm-up {found['decode_with_warm_up_tokens_per_s']:.2f})",
            f"a token: {found['read_bytes_per_token'] / 1e3:.1f} KB read,"
            f" {found['major_faults_per_token']:.1f} major faults",
        ]
    for what, name in (("load peak", "load_peak"), ("peak", "run_peak")):
        parts.append(f"{what} {_mb(found[f'{name}_anonymous_bytes'])}a+{_mb(found[f'{name}_file_bytes'])}f")
    end = found["end"]
    parts.append(f"end {_mb(end['anonymous_bytes'])}a+{_mb(end['file_bytes'])}f")
    if end["locked_bytes"]:
        parts.append(f"{_mb(end['locked_bytes'])} locked")
    return parts


def _mb(size_bytes: int | None) -> str:
    return "none" if size_bytes is None else f"{size_bytes / 1e6:.0f}MB"
