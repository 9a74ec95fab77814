"""`edge-runtime plan`: what a model would hold in memory here, before anything is loaded."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...catalog.catalog import DEFAULT_MODEL, find_file, locate, split_name
from ...errors import MemoryBudgetExceeded, ModelNotFound, OptionInvalid
from ...values.checks import parse_count
from ...values.units import byte_units_of, parse_bytes
from ..screen.exit_status import GOOD

if TYPE_CHECKING:
    from ...bench.plan_check import Measured
    from ...memory import Budget, MemoryPart, MemoryPlan, PlanOptions


def add_parser(commands: Any) -> None:
    parser: argparse.ArgumentParser = commands.add_parser(
        "plan",
        help="say what a model would hold in memory, and which settings fit",
        description="What a model would hold in memory, part by part, and the best settings that a "
        "budget allows. Nothing is loaded, except with --measure. Exit status 4 when it does not fit.",
    )
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, metavar="NAME|FILE", help=f"default: {DEFAULT_MODEL}"
    )
    fixed = parser.add_argument_group("fixed by you; the planner picks the rest")
    fixed.add_argument("--budget", metavar="SIZE", help="such as 2GB; default: what this device can spare")
    fixed.add_argument("--context", metavar="N", help="tokens of one conversation")
    fixed.add_argument("--kv", choices=("f16", "q8_0", "q4_0"), help="how keys and values are stored")
    fixed.add_argument("--micro-batch", metavar="N", help="tokens of a prompt that are evaluated together")
    fixed.add_argument(
        "--repack", action=argparse.BooleanOptionalAction, help="copy weights into a faster order, or not"
    )
    fixed.add_argument(
        "--flash-attention", action=argparse.BooleanOptionalAction, help="takes less memory; slower on some"
    )
    fixed.add_argument("--ple", choices=("resident", "mapped", "cache"), help="per-layer embeddings")
    fixed.add_argument("--ple-locked", metavar="SIZE", help="rows of them that stay, from token id 0 on")
    fixed.add_argument("--parallel", metavar="N", help="conversations at a time (1)")
    fixed.add_argument("--threads", metavar="N", help="default: the cores this process may use")
    parser.add_argument(
        "--with",
        dest="speech",
        metavar="NAME|DIR",
        help="a speech model that is open beside it (whisper-base)",
    )
    parser.add_argument(
        "--measure", action="store_true", help="load and run it in a child process, and compare"
    )
    parser.add_argument("--plot", metavar="FILE", help="draw it too: a .png or .svg file")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Raises MemoryBudgetExceeded after showing the smallest plan there is."""
    if args.measure and args.speech:
        raise OptionInvalid(
            "--measure and --with exclude each other: one model is measured",
            hint="leave out one of them",
            option="measure",
        )
    picture = _picture_path(args.plot)
    budget, options = _budget(args), _options(args)
    try:
        plan = make_plan(args.model, options, budget.size_bytes)
    except MemoryBudgetExceeded as error:
        _show(error.facts["plan"], budget, as_json=args.json)  # type: ignore[arg-type]
        _draw(error.facts["plan"], None, picture)  # type: ignore[arg-type]
        raise
    measured = _measure(args.model, plan, options) if args.measure else None
    _show(plan, budget, measured, as_json=args.json)
    _draw(plan, measured, picture)
    return GOOD


def _measure(model: str, plan: MemoryPlan, options: PlanOptions) -> Measured:
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


def make_plan(model: str, options: PlanOptions, budget_bytes: int | None) -> MemoryPlan:
    """From the file's header, or, while the file is not here, from the catalog's manifest."""
    from ...backends.llama.dry_run import plan_with_dry_run
    from ...gguf.check import check_header
    from ...gguf.header import read_header

    try:
        location = locate(model)
    except ModelNotFound as error:
        return _plan_from_manifest(model, options, budget_bytes, error)
    header = read_header(location.path)
    check_header(header)
    return plan_with_dry_run(header, options, budget_bytes)


def _plan_from_manifest(
    model: str, options: PlanOptions, budget_bytes: int | None, not_found: ModelNotFound
) -> MemoryPlan:
    from ...memory.files import choose_file, plan_file

    try:
        manifest, file = find_file(model)
    except ModelNotFound:
        raise not_found from None
    if split_name(model)[1]:
        return plan_file(manifest, file, options, budget_bytes)
    return choose_file(manifest, options, budget_bytes).plan


def _budget(args: argparse.Namespace) -> Budget:
    import platform

    from ...device.device import read_memory
    from ...memory import Budget, safe_budget, system_name

    if args.budget is not None:
        return Budget(parse_bytes(args.budget), "--budget")
    return safe_budget(read_memory(), system_name(platform.system()))


def _options(args: argparse.Namespace) -> PlanOptions:
    from ...backends.guard.probe import probe_result
    from ...device.device import default_threads
    from ...memory import KvType, PlanOptions, PlePolicy, this_platform

    known = probe_result()
    return PlanOptions(
        context_tokens=parse_count(args.context, "context"),
        kv_type=KvType(args.kv) if args.kv else None,
        micro_batch_tokens=parse_count(args.micro_batch, "micro_batch"),
        repack=args.repack,
        flash_attention=args.flash_attention,
        ple_policy=PlePolicy(args.ple) if args.ple else None,
        ple_locked_bytes=parse_bytes(args.ple_locked, option="ple-locked") if args.ple_locked else 0,
        threads=parse_count(args.threads, "threads") or default_threads(),
        max_sequences=parse_count(args.parallel, "parallel") or 1,
        platform=this_platform(can_repack=known is None or known.use_extra_bufts),
        beside=_speech_parts(args.speech),
        byte_units=byte_units_of(args.budget),
    )


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
