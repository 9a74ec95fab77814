"""`edge-runtime convert`: a Hugging Face checkpoint becomes a GGUF file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..units import format_bytes
from .exit_status import GOOD
from .progress_bar import ConsoleProgress

if TYPE_CHECKING:  # the tool itself is imported when the command runs: every command imports this module
    from ..tools.convert import Converted

_ABOUT = (
    "Write the Hugging Face checkpoint in DIR (config.json, *.safetensors, a tokenizer) as a GGUF file. "
    "Weights go through memory a few rows at a time, so that a small machine can convert a large model; "
    "neither torch nor transformers is needed. A family of models that is not known is named with those "
    "that are."
)
_TYPES = ("bf16", "f16", "f32", "q8_0", "q4_0")


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("convert", help="a Hugging Face checkpoint to GGUF")
    parser.description = _ABOUT
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the checkpoint")
    parser.add_argument("-o", "--output", dest="path", type=Path, required=True, metavar="FILE")
    parser.add_argument(
        "--type",
        choices=_TYPES,
        default=_TYPES[0],
        help="of the matrices; default bf16. q8_0 and q4_0 are ggml's plain quantizations, in the same pass",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--force", action="store_true", help="replace FILE if it exists")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    from ..tools.convert import convert

    converted = convert(args.folder, args.path, args.type, force=args.force, progress=ConsoleProgress())
    print(json.dumps(converted.as_json(), indent=1) if args.json else format_converted(converted))
    return GOOD


def format_converted(converted: Converted) -> str:
    return (
        f"{converted.path}: {converted.architecture}, {converted.parameters / 1e6:,.1f} million parameters "
        f"in {converted.tensors} tensors, {converted.type}, {format_bytes(converted.size_bytes)}"
    )
