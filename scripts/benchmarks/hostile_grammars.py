"""Random and damaged schemas and grammars: nothing dies, and nothing takes long.

    python -m scripts.benchmarks.hostile_grammars [--many 10000] [--first 0]

Half of the inputs are schemas, half are grammars. What is not refused goes through llama.cpp:
its parser, and then its matcher for some hundred tokens. That happens in a child process, so that
a death is counted and the rest goes on. Of a grammar that is the trial which backends/guard/grammar.py
makes: one that llama.cpp cannot follow within the time is refused; a schema has to be good.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from edge_runtime.backends.guard.probe_model import write_probe_model
from edge_runtime.backends.llama.grammar import follow
from edge_runtime.backends.llama.library import native
from edge_runtime.backends.llama.model import LlamaModel
from edge_runtime.device.children import run_python
from edge_runtime.errors import OptionInvalid
from edge_runtime.runtime.grammar.convert import grammar_of_schema
from edge_runtime.runtime.grammar.gbnf_check import check_grammar

from .hostile_inputs import a_grammar, a_large_schema, a_schema, damaged

LIMIT_S = 10.0  # of one call
_MODULE = "scripts.benchmarks.hostile_grammars"
_BATCH = 250
_BATCH_LIMIT_S = 600.0


def text_of(number: int) -> tuple[str, str]:
    """(kind, GBNF) of an input. Raises OptionInvalid, and nothing else."""
    if number % 2:
        text = a_grammar(number)
        check_grammar(text)
        return "grammar", text
    if number % 20 == 0:
        return "schema", grammar_of_schema(a_large_schema(number))
    schema = a_schema(number, sane=number % 4 == 0)
    return "schema", grammar_of_schema(damaged(schema, number) if number % 6 == 0 else schema)


def try_batch(first: int, last: int, model_path: Path) -> None:
    """Prints a line before and after each input: the parent sees where a process died."""
    c = native()
    model = LlamaModel(model_path, vocab_only=True, gpu_layers=0)
    for number in range(first, last):
        print(json.dumps({"at": number}), flush=True)
        _end_after(LIMIT_S)
        started_s = time.perf_counter()
        try:
            kind, text = text_of(number)
            text = text.replace("<|im_end|>", "<[0]>").replace("<a>", "<[0]>")
            outcome, made_s = "accepted", time.perf_counter() - started_s
        except OptionInvalid:
            kind, text, outcome = ("grammar" if number % 2 else "schema"), "", "refused"
            made_s = time.perf_counter() - started_s
        if text:
            outcome = _through_llama_cpp(c, model, text)
        whole_s = time.perf_counter() - started_s
        line = {"done": number, "kind": kind, "outcome": outcome, "made_s": made_s, "whole_s": whole_s}
        print(json.dumps(line), flush=True)


def _end_after(limit_s: float) -> None:
    """Where an input takes longer the process ends, by SIGALRM."""
    if hasattr(signal, "alarm"):  # Windows has none
        signal.alarm(int(limit_s))


def _through_llama_cpp(c: Any, model: LlamaModel, text: str) -> str:
    sampler = c.llama_sampler_init_grammar(model.vocabulary, text.encode(), b"root")
    if not sampler:
        return "not read by llama.cpp"
    is_end = lambda token: c.llama_vocab_is_eog(model.vocabulary, token)  # noqa: E731
    problem = follow(c, sampler, c.llama_vocab_n_tokens(model.vocabulary), is_end)
    c.llama_sampler_free(sampler)
    return problem or "accepted"


def measure(first: int, many: int) -> dict[str, Any]:
    counts: Counter[str] = Counter()
    dead: list[tuple[int, str]] = []
    slowest_s = {"schema": 0.0, "grammar": 0.0, "schema in llama.cpp": 0.0}
    with tempfile.TemporaryDirectory(prefix="edge-runtime-") as folder:
        model_path = Path(folder) / "probe.gguf"
        write_probe_model(model_path)
        start, end = first, first + many
        while start < end:
            last = min(start + _BATCH, end)
            arguments = ["-m", _MODULE, "--batch", str(start), str(last), str(model_path)]
            ended = run_python(arguments, limit_s=_BATCH_LIMIT_S)
            lines = [json.loads(line) for line in ended.output.splitlines() if line.startswith("{")]
            for line in (line for line in lines if "done" in line):
                counts[f"{line['kind']}: {line['outcome']}"] += 1
                slowest_s[line["kind"]] = max(slowest_s[line["kind"]], line["made_s"])
                if line["kind"] == "schema":
                    slowest_s["schema in llama.cpp"] = max(slowest_s["schema in llama.cpp"], line["whole_s"])
            if ended.status != 0:
                at = lines[-1]["at"] if lines and "at" in lines[-1] else start
                if at % 2 and ended.status == -getattr(signal, "SIGALRM", 0):
                    counts["grammar: ended by the time limit of the trial"] += 1
                else:
                    dead.append((at, ended.describe()))
                last = at + 1
            start = last
            print(f"… {start - first} of {many}, {len(dead)} dead", file=sys.stderr, flush=True)
    return {"inputs": many, "dead": dead, "slowest_s": slowest_s, "outcomes": dict(sorted(counts.items()))}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--many", type=int, default=1000, help="how many inputs (default: 1000)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (default: 0)")
    parser.add_argument("--batch", nargs=3, metavar=("FIRST", "LAST", "MODEL"), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    if args.batch:
        try_batch(int(args.batch[0]), int(args.batch[1]), Path(args.batch[2]))
        return 0
    found = measure(args.first, args.many)
    for name, value in found.items():
        print(f"{name}: {value}")
    print(json.dumps(found))
    return 1 if found["dead"] or max(found["slowest_s"].values()) > LIMIT_S else 0


if __name__ == "__main__":
    sys.exit(main())
