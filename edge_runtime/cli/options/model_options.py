"""The options that every command with a model shares, and what they mean to Runtime."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ...catalog.catalog import DEFAULT_MODEL
from ...values.checks import parse_count, parse_number, parse_whole_number
from ...values.records import GenerationKeywords, generation_options

if TYPE_CHECKING:
    from ...memory import LoadOptions, MemoryPart
    from ...runtime.runtime import Runtime
    from ..screen.terminal import Screen

_MODEL_HELP = f"catalog name or GGUF file ({DEFAULT_MODEL})"

Number = TypeVar("Number", int, float)


def add_offline_option(parser: argparse.ArgumentParser) -> None:
    """Accepted for scripts that give it, and without effect: the help of `edge-runtime` says so, once."""
    parser.add_argument("--offline", action="store_true", help=argparse.SUPPRESS)


def add_model_options(
    parser: argparse.ArgumentParser, model_help: str = _MODEL_HELP, *, name: str = "model"
) -> None:
    """Which model, and how much it may take. `name`: of the option that names it, and of the group."""
    group = parser.add_argument_group(name)
    group.add_argument(f"--{name}", metavar="NAME|FILE", help=model_help)
    add_load_options(group)
    add_offline_option(parser)


def add_load_options(group: argparse._ArgumentGroup) -> None:
    """The options that load_options() reads. Values stay text here: see number_option."""
    group.add_argument(
        "--budget",
        metavar="SIZE",
        help="most memory it may take, such as 2GB or 800MiB (default: what this device can spare)",
    )
    group.add_argument("--context", metavar="N", help="tokens a conversation can hold (default: up to 4096)")
    group.add_argument(
        "--kv", metavar="TYPE", help="cache of keys and values: f16, q8_0 or q4_0 (default: f16 if it fits)"
    )
    group.add_argument(
        "--ple", metavar="WHERE", help="per-layer embeddings: cache, mapped or resident (default: cache)"
    )
    group.add_argument(
        "--ple-locked", metavar="SIZE", help="rows of them that stay, from token id 0 on (default: none)"
    )
    group.add_argument(
        "--repack",
        action=argparse.BooleanOptionalAction,
        help="repack weights for this processor: faster (default: where supported)",
    )
    group.add_argument(
        "--flash-attention",
        action=argparse.BooleanOptionalAction,
        help="less memory, slower on some processors (default: the planner decides)",
    )
    group.add_argument("--threads", metavar="N", help="default: the cores this process may use")
    group.add_argument("--gpu-layers", metavar="N", help="layers a GPU takes (default: all, if there is one)")


def add_sampling_options(parser: argparse.ArgumentParser) -> None:
    """How the answer is drawn. What is left out is the model's own default."""
    group = parser.add_argument_group("answer")
    group.add_argument("--max-tokens", metavar="N", help="stop after so many tokens")
    group.add_argument("--temperature", metavar="T", help="0: always the likeliest token")
    group.add_argument("--top-k", metavar="N", help="draw from the N likeliest; 0: off")
    group.add_argument("--top-p", metavar="P", help="draw from the likeliest that sum up to P; 1: off")
    group.add_argument("--min-p", metavar="P", help="leave out what is less than P times the likeliest")
    group.add_argument("--repeat-penalty", metavar="X", help="above 1: avoid what was said just before")
    group.add_argument("--seed", metavar="N", help="the same seed gives the same answer")


def model_name(args: argparse.Namespace) -> str:
    return str(args.model or DEFAULT_MODEL)


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

    with screen.busy(f"loading {Path(model).name}") as line:
        if probe_result() is None:
            line.show("first start on this machine: trying the engine out")
        return open_runtime(args, model, line.advance, beside)
