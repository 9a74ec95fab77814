"""The options that every command with a model shares, and what they mean to Runtime."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ...catalog.catalog import DEFAULT_MODEL
from ...values.checks import parse_count, parse_number, parse_whole_number
from ...values.records import GenerationKeywords, generation_options
from .shared_options import DEFAULT_MODEL_HELP, MODEL_METAVAR, add_threads_option

if TYPE_CHECKING:
    from ...memory import LoadOptions, MemoryPart
    from ...runtime.runtime import Runtime
    from ..screen.terminal import Screen

# Option, its value, what it does, its default where the model's makers give none (SamplingOptions).
_SAMPLING = (
    ("--temperature", "T", "how freely to draw: 0 always takes the likeliest token", "0.8"),
    ("--top-k", "N", "draw from the N likeliest tokens; 0 turns it off", "40"),
    (
        "--top-p",
        "P",
        "draw from the likeliest tokens that sum up to P; 1 turns it off",
        "0.95",
    ),
    ("--min-p", "P", "leave out tokens less likely than P times the likeliest", "0.05"),
    (
        "--repeat-penalty",
        "X",
        "above 1, avoid tokens that came just before; 1 turns it off",
        "1",
    ),
)

Number = TypeVar("Number", int, float)


def add_offline_option(parser: argparse.ArgumentParser) -> None:
    """Accepted for scripts that give it, and without effect: the help of `edge-runtime` says so, once."""
    parser.add_argument("--offline", action="store_true", help=argparse.SUPPRESS)


def add_model_options(
    parser: argparse.ArgumentParser, model_help: str = DEFAULT_MODEL_HELP, *, name: str = "model"
) -> None:
    """Which model, and how much it may take. `name`: of the option that names it, and of the group."""
    group = parser.add_argument_group(name)
    group.add_argument(f"--{name}", metavar=MODEL_METAVAR, help=model_help)
    add_load_options(group)
    add_offline_option(parser)


def add_load_options(group: argparse._ArgumentGroup) -> None:
    """The options that load_options() reads. Values stay text here: see number_option."""
    group.add_argument(
        "--budget",
        metavar="SIZE",
        help="most memory that the process may take, such as 2GB or 800MiB "
        "(default: what this device can spare)",
    )
    group.add_argument(
        "--context",
        metavar="N",
        help="tokens that one conversation can hold (default: 4096, or what the model and the budget allow)",
    )
    group.add_argument(
        "--kv",
        metavar="TYPE",
        help="how the cache of keys and values is stored: f16, q8_0 or q4_0; smaller types take less memory "
        "and lose some accuracy (default: f16, smaller where the budget needs it)",
    )
    group.add_argument(
        "--ple",
        metavar="WHERE",
        help="where the per-layer embeddings of Gemma 3n and 4 are: cache (on disk, recent rows in memory), "
        "mapped (pages of the file, as the system likes) or resident (in memory) (default: cache, where "
        "the system allows it)",
    )
    group.add_argument(
        "--ple-locked",
        metavar="SIZE",
        help="keep so much of these embeddings in memory beside the cache, such as 16MB (default: none)",
    )
    group.add_argument(
        "--repack",
        action=argparse.BooleanOptionalAction,
        help="repack weights for this CPU: faster, takes more memory (default: where supported)",
    )
    group.add_argument(
        "--flash-attention",
        action=argparse.BooleanOptionalAction,
        help="use flash attention: less memory, slower on some CPUs (default: the planner decides)",
    )
    add_threads_option(group)
    group.add_argument(
        "--gpu-layers",
        metavar="N",
        help="layers to run on a GPU (default: all, where llama.cpp was built for one)",
    )


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """How the answer is drawn. What is left out is the model's own default."""
    group = parser.add_argument_group("answer")
    group.add_argument(
        "--max-tokens",
        metavar="N",
        help="stop after N tokens (default: when the model ends, or the context is full)",
    )
    for option, metavar, text, value in _SAMPLING:
        group.add_argument(option, metavar=metavar, help=f"{text} (default: the model's, or {value})")
    group.add_argument(
        "--seed", metavar="N", help="the same seed gives the same answer (default: a new one each time)"
    )


def model_name(args: argparse.Namespace) -> str:
    return DEFAULT_MODEL if args.model is None else str(args.model)


def open_runtime(
    args: argparse.Namespace,
    model: str,
    on_progress: Callable[[float], None] | None = None,
    beside: Sequence[MemoryPart] = (),
) -> Runtime:
    """beside: as for Runtime.open.

    Raises what Runtime.open raises, and OptionInvalid for a value that is not a number.
    """
    from ...runtime.runtime import Runtime  # here, so that `--help` and `models` need no numpy

    return Runtime.open(model, load_options(args, beside), on_progress=on_progress)


def load_options(args: argparse.Namespace, beside: Sequence[MemoryPart] = ()) -> LoadOptions:
    """What the options of add_load_options() fix. Raises OptionInvalid."""
    from ...memory import LoadOptions

    return LoadOptions(
        budget=args.budget,
        context_tokens=parse_count(args.context, "context_tokens"),
        kv_type=args.kv,
        micro_batch_tokens=parse_count(getattr(args, "micro_batch", None), "micro_batch_tokens"),
        repack=args.repack,
        flash_attention=args.flash_attention,
        ple=args.ple,
        ple_locked=args.ple_locked,
        parallel=parse_count(getattr(args, "parallel", None), "parallel") or 1,
        threads=parse_count(args.threads, "threads"),
        gpu_layers=number_option(args, "gpu_layers", int),
        beside=beside,
    )


def generation_keywords(args: argparse.Namespace) -> GenerationKeywords:
    """Raises OptionInvalid, before any model is loaded, for a value that is wrong in itself."""
    keywords = GenerationKeywords(
        max_tokens=number_option(args, "max_tokens", int),
        temperature=number_option(args, "temperature", float),
        top_k=number_option(args, "top_k", int),
        top_p=number_option(args, "top_p", float),
        min_p=number_option(args, "min_p", float),
        repeat_penalty=number_option(args, "repeat_penalty", float),
        seed=number_option(args, "seed", int),
    )
    generation_options({}, keywords)
    return keywords


def number_option(args: argparse.Namespace, name: str, kind: type[Number]) -> Number | None:
    """The value of an option; None when it was not given. Raises OptionInvalid.

    argparse's own conversion would print the whole usage over its message.
    """
    text: str | None = getattr(args, name)
    if text is None:
        return None
    return kind(parse_whole_number(text, name) if kind is int else parse_number(text, name))


def open_shown(
    args: argparse.Namespace, model: str, screen: Screen, beside: Sequence[MemoryPart] = ()
) -> Runtime:
    """open_runtime(), with a line on the terminal for as long as it takes."""
    from ...backends.guard.probe import probe_result
    from ...device.children import children_allowed

    with screen.busy(f"loading {Path(model).name}") as line:
        if probe_result() is None and children_allowed():
            line.show("first start on this machine: trying the engine out")
        return open_runtime(args, model, line.advance, beside)
