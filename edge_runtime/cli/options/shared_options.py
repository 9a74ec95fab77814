"""Options that several commands have, each with the same words everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...catalog.catalog import DEFAULT_MODEL

MODEL_METAVAR = "NAME|FILE"
MODEL_HELP = "name of a model in the catalog, or a GGUF file"
DEFAULT_MODEL_HELP = f"{MODEL_HELP} (default: {DEFAULT_MODEL})"

Options = Any  # a parser or a group of it: argparse gives them no common public type


def sentence(text: str) -> str:
    """A command's one line of help as its description."""
    return f"{text[0].upper()}{text[1:]}."


def add_model_argument(options: Options, *, nargs: str | None = None) -> None:
    options.add_argument("models" if nargs else "model", nargs=nargs, metavar=MODEL_METAVAR, help=MODEL_HELP)


def add_threads_option(options: Options) -> None:
    options.add_argument(
        "--threads", metavar="N", help="threads to compute with (default: the cores this process may use)"
    )


def add_json_option(options: Options, text: str = "print JSON, for programs") -> None:
    options.add_argument("--json", action="store_true", help=text)


def add_output_file(options: Options, text: str, *, required: bool = True, metavar: str = "FILE") -> None:
    """-o and --force."""
    options.add_argument(
        "-o", "--output", dest="path", type=Path, required=required, metavar=metavar, help=text
    )
    add_force_option(options, f"replace {metavar} if it exists (default: refuse)")


def add_force_option(options: Options, text: str) -> None:
    options.add_argument("--force", action="store_true", help=text)


def add_plot_option(options: Options, text: str) -> None:
    options.add_argument("--plot", metavar="FILE", help=f"{text}, to a .png or .svg file (needs matplotlib)")
