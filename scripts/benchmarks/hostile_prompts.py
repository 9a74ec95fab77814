"""Damaged chat templates and odd prompts: no process dies, and no call takes long.

    python -m scripts.benchmarks.hostile_prompts [--kind templates|prompts] [--many 2000] [--first 0]

Templates are those of well-known models with pieces changed, and programs put together at random;
each is compiled and renders a conversation. Prompts are runs and mixtures of letters, spaces, marks
and control tokens, up to 100,000 characters, tokenized with every kind of vocabulary. All of it in
child processes, so that a death is counted and the rest goes on.
"""

# ruff: noqa: E501 - lists of pieces of templates

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from edge_runtime.backends.guard.probe_model import write_probe_model
from edge_runtime.backends.llama.model import LlamaModel
from edge_runtime.device.children import run_python
from edge_runtime.errors import ChatTemplateFailed
from edge_runtime.runtime.prompt.template import ChatTemplate

LIMIT_S = 10.0  # of one call
_MODULE = "scripts.benchmarks.hostile_prompts"
_BATCH = 100
_BATCH_LIMIT_S = 1200.0
_CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m.content | trim + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
_PARTS = (
    "{% for m in messages %}{% for p in m['content'] %}{% if p.type == 'text' %}{{ p['text'] }}{% endif %}"
    "{% endfor %}{% if loop.index > 99 %}{% break %}{% endif %}{% endfor %}"
)
_REFUSES = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}{% macro f(x, n=2) %}"
    "{{ x * n }}{% endmacro %}{% set ns = namespace(a='b', c=[1]) %}{% for m in messages %}{{ m.content }}{% endfor %}"
)
_VALUES = (
    "messages", "m", "ns", "ns.a", "'ab'", "[1, 'x']", "{'k': messages}", "9", "2.5", "none", "range(99999)",
    "messages[0].content", "bos_token", "f", "(1, 2)", "loop", "self", "cycler(1, 2)", "-7", "10 ** 9",
)  # fmt: skip
_LISTS = (
    "messages",
    "range(999)",
    "[1, 'x', m]",
    "ns.a",
    "messages[-1].content",
    "range(99999) | map('string')",
)
_GROWTH = (
    "[ns.a, ns.a]",
    "(ns.a ~ ns.a)",
    "ns.a + ns.a",
    "{1: ns.a, 2: [ns.a]}",
    "ns.a | string | replace('1', ns.a)",
)
_FILTERS = (
    "trim", "list", "string", "join", "replace('a', 'bb')", "round(99)", "batch(999999, 'x')", "slice(99999)",
    "tojson", "map('upper')", "map('list')", "sort", "unique", "length", "first", "reverse", "e", "int", "float",
    "groupby(0)", "selectattr('x')", "dictsort", "items", "truncate(9999999)", "wordcount", "striptags", "urlencode",
    "random", "default(messages)", "filesizeformat", "abs", "min", "title", "count",
)  # fmt: skip
_JOINS = ("+", "~", "*", "%", "//", "-", "/", "==", "in", "and", "<", "if 1 else", "or")
_UNITS = (
    "a", "A", "1", " ", "\n", "\r\n", "\t", "!", "/\n", "é", "e\u0301", "\u0301", "中", "ก", "😀", "👩\u200d🚀", "\u00a0",
    "\x85", "\x1c", "\x00", "\ufeff", "\u202e", "\ud800", "'s", "<|im_end|>", "<s>", "Aa1", "the ", ".", "▁", "<0x0A>",
)  # fmt: skip


def template_of(number: int) -> str:
    rng = random.Random(number)
    if number % 2:
        program = "".join(_statement(rng, rng.randrange(3)) for _ in range(rng.randrange(1, 4)))
        return "{% set ns = namespace(a=[1, 'x']) %}{% set m = 'm' %}{{ messages[-1].content }}" + program
    text = rng.choice((_CHATML, _PARTS, _REFUSES))
    if number % 4:  # another expression for one of its own
        name = rng.choice(("messages", "m.content", "m['role']", "2", "p['text']", "m['content']"))
        return text.replace(name, f"({_expression(rng, 2)})", 1)
    for _ in range(rng.randrange(1, 3)):
        start = rng.randrange(len(text))
        end = min(start + rng.randrange(12), len(text))
        piece = rng.choice(
            ("", text[start:end] * 2, rng.choice(_JOINS), _expression(rng, 2), "{%", "}}", "%}")
        )
        text = text[:start] + piece + text[end:]
    return text


def _statement(rng: random.Random, depth: int) -> str:
    inside = "".join(_statement(rng, depth - 1) for _ in range(rng.randrange(1, 3))) if depth else "{{ m }}"
    value = _expression(rng, 2)
    return rng.choice(
        (
            f"{{{{ {value} }}}}",
            f"{{% for m in {value} %}}{inside}{{% if m %}}{{% break %}}{{% endif %}}{{% endfor %}}",
            f"{{% for m in {rng.choice(_LISTS)} %}}{inside}{{% endfor %}}",
            f"{{{{ {rng.choice(_LISTS)} | {rng.choice(_FILTERS)} }}}}",
            f"{{% for m in range(60) %}}{{% set ns.a = {rng.choice(_GROWTH)} %}}{{% endfor %}}{{{{ ns.a }}}}",
            f"{{% for m in range(99) %}}{{% set ns.a = {value} %}}{{% endfor %}}{inside}",
            f"{{% if {value} %}}{inside}{{% else %}}x{{% endif %}}",
            f"{{% set ns = namespace(a={value}) %}}{inside}",
            f"{{% set m = {value} %}}{inside}",
            f"{{% macro f(m=1) %}}{inside}{{% endmacro %}}{{{{ f({value}) }}}}",
        )
    )


def _expression(rng: random.Random, depth: int) -> str:
    if not depth:
        return rng.choice(_VALUES)
    left, right = _expression(rng, depth - 1), _expression(rng, depth - 1)
    return rng.choice(
        (
            f"({left}) {rng.choice(_JOINS)} ({right})",
            f"({left}) | {rng.choice(_FILTERS)}",
            f"[{left}, {left}]",
            f"({left})[{right}]",
            f"dict(a={left}, b={right})",
            "ns.a " + rng.choice(_JOINS) + " ns.a",
        )
    )


def prompt_of(number: int) -> str:
    rng = random.Random(number)
    parts = [
        rng.choice(_UNITS) * rng.choice((1, 7, 998, 1000, 5000, 40_000)) for _ in range(rng.randrange(1, 6))
    ]
    mixed = "".join(rng.choices(_UNITS, k=rng.choice((0, 10, 3000))))
    return "".join([*parts, mixed])[:100_000]


def try_template(number: int) -> str:
    talk = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": prompt_of(number)[:2000]},
    ]
    try:
        ChatTemplate(template_of(number), bos_text="<s>", eos_text="</s>").render(talk)
    except ChatTemplateFailed:
        return "refused"
    return "rendered"


def try_batch(kind: str, first: int, last: int, model_paths: list[Path]) -> None:
    """Prints a line before and after each input: the parent sees where a process died."""
    models = [LlamaModel(path, vocab_only=True, gpu_layers=0) for path in model_paths]
    for number in range(first, last):
        print(json.dumps({"at": number}), flush=True)
        started_s = time.perf_counter()
        if kind == "templates":
            outcome = try_template(number)
        else:
            model = models[number % len(models)]
            model.tokenize_prompt(prompt_of(number), add_special=number % 3 > 0, parse_special=number % 2 > 0)
            outcome = "tokenized"
        took_s = time.perf_counter() - started_s
        print(json.dumps({"done": number, "outcome": outcome, "took_s": took_s}), flush=True)


def measure(kind: str, first: int, many: int, model_paths: list[Path]) -> dict[str, Any]:
    """model_paths: vocabularies for prompts."""
    counts: Counter[str] = Counter()
    dead: list[tuple[int, str]] = []
    slowest: tuple[float, int] = (0.0, first)
    start, end = first, first + many
    while start < end:
        last = min(start + _BATCH, end)
        arguments = ["-m", _MODULE, "--kind", kind, "--batch", str(start), str(last), *map(str, model_paths)]
        ended = run_python(arguments, limit_s=_BATCH_LIMIT_S)
        lines = [json.loads(line) for line in ended.output.splitlines() if line.startswith("{")]
        for line in (line for line in lines if "done" in line):
            counts[line["outcome"]] += 1
            slowest = max(slowest, (line["took_s"], line["done"]))
        if ended.status != 0:
            at = lines[-1].get("at", start) if lines else start
            dead.append((at, ended.describe()))
            last = at + 1
        start = last
        print(f"… {start - first} of {many} {kind}, {len(dead)} dead", file=sys.stderr, flush=True)
    return {
        "kind": kind,
        "inputs": many,
        "dead": dead,
        "slowest_s": round(slowest[0], 2),
        "slowest_input": slowest[1],
        "outcomes": dict(sorted(counts.items())),
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kind", choices=("templates", "prompts"), help="only these (default: both)")
    parser.add_argument("--many", type=int, default=1000, help="how many inputs of each (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: 0)")
    parser.add_argument(
        "--vocabulary", type=Path, action="append", help="GGUF file to tokenize with, repeatable"
    )
    parser.add_argument("--batch", nargs="+", metavar="FIRST LAST MODEL", help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.batch:
        first, last, *paths = args.batch
        try_batch(args.kind, int(first), int(last), [Path(path) for path in paths])
        return 0
    good = True
    with tempfile.TemporaryDirectory(prefix="edge-runtime-") as folder:
        probe = Path(folder) / "probe.gguf"
        write_probe_model(probe)
        for kind in [args.kind] if args.kind else ["templates", "prompts"]:
            found = measure(kind, args.first, args.many, args.vocabulary or [probe])
            print(json.dumps(found))
            good = good and not found["dead"] and found["slowest_s"] <= LIMIT_S
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
