"""`edge-runtime models`: list, fetch, import and remove models."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...catalog.catalog import DEFAULT_MODEL, find_model
from ...catalog.inventory import ModelEntry, models, remove_shown
from ...catalog.store import CONVERTED, FileRecord, is_unchanged, read_record
from ...device.folders import store_folder
from ...errors import OptionInvalid
from ...values.display_text import shortened, text_columns
from ...values.units import format_bytes
from ..options.shared_options import add_json_option, sentence
from ..screen.errors import print_error
from ..screen.exit_status import GOOD, exit_status_of
from ..screen.progress_bar import ConsoleProgress
from ..screen.streams import write_path
from ..screen.table import Column, table_lines
from . import SUMMARIES

_COLUMNS = (
    Column("NAME"),
    Column("SIZE", least=8, right=True),
    Column("LICENCE", least=10),
    Column("STATE", least=11),
    Column("GOOD FOR"),
)
_NAME = "NAME[:QUANT]"
_NAME_HELP = "name of a model, such as gemma-3-270m, or of one of its quantizations"
_NAME_COLUMNS = 24  # a longer name gets a line of its own


def add_parser(commands: Any) -> None:
    text = SUMMARIES["models"]
    parser = commands.add_parser("models", help=text, description=sentence(text))
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    _add_readers(actions)
    _add_writers(actions)


def _add(
    actions: Any, name: str, text: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(name, help=text, description=sentence(text))
    action.set_defaults(run=run)
    return action


def _add_readers(actions: Any) -> None:
    listing = _add(actions, "list", "list every known model, and what is on this device", _list)
    locating = _add(actions, "path", "print where a model's file is", _path)
    locating.add_argument("name", metavar=_NAME, help=_NAME_HELP)
    for action in (listing, locating):
        add_json_option(action)


def _add_writers(actions: Any) -> None:
    pulling = _add(actions, "pull", "fetch models: the only command that opens a connection", _pull)
    pulling.add_argument("names", nargs="*", metavar=_NAME, help=f"{_NAME_HELP} (default: {DEFAULT_MODEL})")
    pulling.add_argument(
        "--from",
        dest="from_path",
        type=Path,
        metavar="PATH",
        help="copy from a local file or folder, without a connection (default: fetch)",
    )
    importing = _add(actions, "import", "copy a GGUF file, or a folder of them, into the store", _import)
    importing.add_argument("path", type=Path, metavar="PATH", help="GGUF file, or folder")
    importing.add_argument("--name", default="", help="keep it under this name (default: the file's)")
    removing = _add(actions, "remove", "delete a model's files", _remove)
    removing.add_argument("names", nargs="+", metavar=_NAME, help=_NAME_HELP)
    removing.add_argument(
        "--yes", action="store_true", help="remove without asking (default: ask, on a terminal)"
    )


def _list(args: argparse.Namespace) -> int:
    entries = models()
    if args.json:
        _print_json({"store": str(store_folder()), "models": [entry.as_json() for entry in entries]})
        return GOOD
    print(format_table(entries))
    if not all(entry.has_hash for entry in entries):
        print("* no sha256 in the manifest: a pull compares with the one its source publishes")
    return GOOD


def format_table(entries: tuple[ModelEntry, ...]) -> str:
    """The list. A name too long for its column has a line of its own."""
    rows: list[tuple[str, ...]] = []
    for entry in entries:
        name, state = entry.name, entry.state.value + "*" * (not entry.has_hash)
        if text_columns(name) > _NAME_COLUMNS:
            rows.append((name,))
            name = ""
        rows.append((name, _size(entry), shortened(entry.licence, 10), state, entry.good_for))
    return "\n".join(table_lines(_COLUMNS, rows))


def _size(entry: ModelEntry) -> str:
    return format_bytes(entry.size_bytes) if entry.size_bytes else "?"


def _path(args: argparse.Namespace) -> int:
    location = find_model(args.name)
    name, path = location.name, location.path.absolute()
    if args.json:
        record = read_record(path)
        sha256 = record.sha256 if record and is_unchanged(path, record) else ""
        _print_json({"name": name, "path": str(path), "sha256": sha256})
    else:
        write_path(path)
    return GOOD


def _pull(args: argparse.Namespace) -> int:
    names = args.names or [DEFAULT_MODEL]
    if args.from_path and len(names) > 1:
        raise OptionInvalid(
            "--from goes with one model", hint="name one, or use `models import`", option="from"
        )
    for name in names:
        _pull_one(name, args.from_path)
    return GOOD


def _pull_one(name: str, from_path: Path | None) -> None:
    from ...catalog.pulling.pull import pull_shown

    try:
        pulled = pull_shown(name, from_path, ConsoleProgress())
    except KeyboardInterrupt:
        print(f"\n{name}: what has arrived is kept, the next pull goes on from there", file=sys.stderr)
        raise
    proof = _proof(pulled.record)
    if pulled.already_here:
        proof += f", verified {_day(pulled.record)}, unchanged since"
    print(f"{name} {'was already' if pulled.already_here else 'is'} here ({proof}): {pulled.path}")


def _proof(record: FileRecord) -> str:
    if record.compared_with == CONVERTED:
        return "converted from files whose sha256 is as the manifest says"
    if record.compared_with:
        return f"sha256 as the {record.compared_with} says"
    return "unverified: no sha256 to compare with"


def _import(args: argparse.Namespace) -> int:
    from ...catalog.pulling.local import import_path

    report = import_path(args.path, args.name, ConsoleProgress())
    for imported in report.imported:
        print(f"{imported.name} is here ({imported.note or _proof(imported.record)}): {imported.path}")
    for skipped in report.skipped:
        print(f"{skipped.path}: not imported", file=sys.stderr)
        print_error(skipped.error)
    return exit_status_of(report.skipped[0].error) if report.skipped else GOOD


def _remove(args: argparse.Namespace) -> int:
    if not args.yes and not _confirmed(args.names):
        print("nothing removed", file=sys.stderr)
        return GOOD
    for name in args.names:
        print(f"{name} removed, {format_bytes(remove_shown(name, ConsoleProgress()))} freed")
    return GOOD


def _confirmed(names: list[str]) -> bool:
    if not sys.stdin.isatty():  # a script means what it says
        return True
    print(f"remove {', '.join(names)}? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _day(record: FileRecord | None) -> str:
    return record.verified_at[:10] if record else ""


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1))
