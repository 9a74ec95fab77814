"""`edge-runtime convert`: a Hugging Face checkpoint or a LoRA adapter becomes a GGUF file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import OptionInvalid
from ...values.units import format_bytes
from ..options.shared_options import add_json_option, add_output_file
from ..screen.exit_status import GOOD
from ..screen.progress_bar import ConsoleProgress
from . import SUMMARIES

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from edge_tools.convert import Converted

_ABOUT = (
    "Write the Hugging Face checkpoint in DIR (config.json, *.safetensors, a tokenizer) as a GGUF file. "
    "Weights go through memory a few rows at a time, so that a small machine can convert a large model; "
    "neither torch nor transformers is needed. A family of models that is not known is named with those "
    "that are. With --from-adapter, a LoRA made with PEFT becomes a file that llama.cpp adds to a model."
)
_TYPES = ("bf16", "f16", "f32", "q8_0", "q4_0")
_TYPE_HELP = (
    "type of the matrices (default: bf16; of an adapter f32). q8_0 and q4_0 quantize in the same pass; "
    "adapters cannot have them"
)


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("convert", help=SUMMARIES["convert"])
    parser.description = _ABOUT
    parser.add_argument(
        "folder", type=Path, nargs="?", metavar="DIR", help="folder of a Hugging Face checkpoint"
    )
    parser.add_argument(
        "--from-adapter",
        dest="adapter",
        type=Path,
        metavar="DIR",
        help="convert a LoRA adapter instead: folder with adapter_config.json and adapter_model.safetensors",
    )
    parser.add_argument(
        "--base",
        type=Path,
        metavar="DIR",
        help="folder with the config.json of the adapter's model (default: the one that the adapter names)",
    )
    add_output_file(parser, "GGUF file to write")
    parser.add_argument("--type", choices=_TYPES, help=_TYPE_HELP)
    add_json_option(parser)
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    converted = _convert(args)
    print(json.dumps(converted.as_json(), indent=1) if args.json else format_converted(converted))
    return GOOD


def _convert(args: argparse.Namespace) -> Converted:
    from edge_tools.convert import convert, convert_adapter

    if (args.folder is None) == (args.adapter is None):
        raise _usage("give one folder: DIR of a checkpoint, or --from-adapter DIR", "from-adapter")
    progress = ConsoleProgress()
    if args.adapter is not None:
        return convert_adapter(
            args.adapter, args.path, args.type or "f32", base=args.base, force=args.force, progress=progress
        )
    if args.base is not None:
        raise _usage("--base goes with --from-adapter: a checkpoint has its own config.json", "base")
    return convert(args.folder, args.path, args.type or _TYPES[0], force=args.force, progress=progress)


def _usage(problem: str, option: str) -> OptionInvalid:
    return OptionInvalid(problem, hint="`edge-runtime convert --help` has both forms", option=option)


def format_converted(converted: Converted) -> str:
    return (
        f"{converted.path}: {converted.architecture}, {converted.parameters / 1e6:,.1f} million parameters "
        f"in {converted.tensors} tensors, {converted.type}, {format_bytes(converted.size_bytes)}"
    )
