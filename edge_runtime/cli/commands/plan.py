"""`edge-runtime plan`: what a model would hold in memory here, before anything is loaded."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...catalog.catalog import DEFAULT_MODEL, locate
from ...errors import MemoryBudgetExceeded, OptionInvalid
from ..options.model_options import add_load_options, load_options
from ..options.shared_options import DEFAULT_MODEL_HELP, MODEL_METAVAR, add_json_option, add_plot_option
from ..screen.exit_status import GOOD
from . import SUMMARIES

if TYPE_CHECKING:
    from ...bench.plan_check import Measured
    from ...memory import Budget, LoadOptions, MemoryPart, MemoryPlan


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "plan",
        help=SUMMARIES["plan"],
        description="What a model would hold in memory, part by part, and the best settings that a "
        "budget allows. Nothing is loaded, except with --measure. Exit status 4 when it does not fit.",
    )
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, metavar=MODEL_METAVAR, help=DEFAULT_MODEL_HELP
    )
    fixed = parser.add_argument_group("fixed by you; the planner picks the rest")
    add_load_options(fixed)
    fixed.add_argument(
        "--micro-batch",
        metavar="N",
        help="tokens of a prompt to evaluate together: more are faster and take more memory (default: 64 to "
        "512, what fits)",
    )
    fixed.add_argument("--parallel", metavar="N", help="conversations at the same time (default: 1)")
    parser.add_argument(
        "--with",
        dest="speech",
        metavar="NAME|DIR",
        help="plan for a speech model in the same process too, such as whisper-base (default: none)",
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="load and run the model in a child process, and compare (default: load nothing)",
    )
    add_plot_option(parser, "draw the plan too")
    add_json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises MemoryBudgetExceeded after showing the smallest plan there is."""
    if args.measure and args.speech:
        raise OptionInvalid(
            "--measure and --with exclude each other: one model is measured",
            hint="leave out one of them",
            option="measure",
        )
    from ...runtime import planning

    picture = _picture_path(args.plot)
    options = load_options(args, _speech_parts(args.speech))
    budget = _budget(args, options)
    options = replace(options, budget=budget.size_bytes)  # the device may spare less a moment later
    try:
        plan = planning.plan(args.model, options)
    except MemoryBudgetExceeded as error:
        _show(error.plan, budget, as_json=args.json)
        _draw(error.plan, None, picture)
        raise
    measured = _measure(args.model, plan, options) if args.measure else None
    _show(plan, budget, measured, as_json=args.json)
    _draw(plan, measured, picture)
    return GOOD


def _measure(model: str, plan: MemoryPlan, options: LoadOptions) -> Measured:
    """Raises ModelNotFound for a model whose file is not here."""
    from ...bench.plan_check import measure
    from ...gguf.header import read_header

    return measure(read_header(locate(model).path), plan, options)


def _picture_path(name: str | None) -> Path | None:
    """Checked before anything takes long."""
    if name is None:
        return None
    from ...bench.pictures.picture_file import check_picture

    check_picture(Path(name))
    return Path(name)


def _draw(plan: MemoryPlan, measured: Measured | None, path: Path | None) -> None:
    if path is not None:
        from ...bench.pictures.plan_canvas import draw_plan

        draw_plan(plan, path, measured)


def _budget(args: argparse.Namespace, options: LoadOptions) -> Budget:
    from ...memory import Budget
    from ...runtime.planning import budget_of

    found = budget_of(options)
    return found if args.budget is None else Budget(found.size_bytes, "--budget")


def _speech_parts(model: str | None) -> tuple[MemoryPart, ...]:
    if model is None:
        return ()
    from ...speech.memory import plan_speech

    return plan_speech(model)


# --- what is shown -----------------------------------------------------------------------


def _show(plan: MemoryPlan, budget: Budget, measured: Measured | None = None, *, as_json: bool) -> None:
    from ..screen.plan_report import measured_lines, plan_lines

    if as_json:
        found = {"measured": measured.as_json()} if measured else {}
        print(json.dumps({**plan.as_json(), "budget_reason": budget.reason, **found}))
        return
    print("\n".join(plan_lines(plan, budget)))
    if measured:
        print("\n" + "\n".join(measured_lines(measured, plan.byte_units)))
