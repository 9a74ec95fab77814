"""Makes .venv with edge_runtime and its engine in it. setup.sh calls this when something has changed."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from build_engine import ROOT, build_wheel, engine_request, find_wheel, hold_folder
from build_tools import SetUpError, require_build_tools

VENV = ROOT / ".venv"
STAMP = VENV / ".set-up"  # one line: the key, then the extras; setup.sh compares them


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="set_up.py", description=__doc__)
    parser.add_argument("--extra", default="hub", help="which extra of pyproject.toml: hub, or dev (more)")
    parser.add_argument("--key", default="", help="names everything that the set-up depends on")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    try:
        with hold_folder(ROOT, "another set-up of this folder is running; waiting for it"):
            installed = installed_extras(args.key)
            wanted = set(args.extra.split(","))
            if not wanted <= installed and "dev" not in installed:
                extras = ",".join(sorted(wanted | installed))
                set_up(extras)
                STAMP.write_text(f"{args.key} {extras}")
    except (SetUpError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return 130
    return 0


def installed_extras(key: str) -> set[str]:
    """What an earlier set-up of the same kind installed; they stay when more are asked for.

    Asked again here, because another set-up may have ended while this one waited.
    """
    found, _, extras = (STAMP.read_text() if STAMP.is_file() else "").rpartition(" ")
    return set(extras.split(",")) if key and found == key else set()


def set_up(extra: str) -> None:
    request = engine_request()
    wheel = find_wheel(request)
    if wheel is None:
        require_build_tools(request.backend)  # before anything takes time
    STAMP.unlink(missing_ok=True)
    python = make_venv()
    wheel = wheel or build_wheel(request, python)
    say(f"installing {wheel}")
    # --force-reinstall: the same version with other flags may be there already.
    pip_install(python, "--force-reinstall", "--no-deps", "--no-index", str(wheel))
    say(f"installing edge_runtime and what it needs [{extra}]")
    pip_install(python, "--editable", f".[{extra}]")


def make_venv() -> Path:
    """.venv for the Python that runs this; made anew if it is of another, elsewhere, or half made."""
    python = VENV / "bin" / "python"
    show = "import pip, sys; print(sys.version_info[:2], sys.prefix)"
    try:
        found = subprocess.run([python, "-c", show], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        found = ""
    if found.strip() != f"{sys.version_info[:2]} {VENV}":
        require_venv_module()
        say(f"making {VENV} with Python {sys.version.split()[0]}")
        run([sys.executable, "-m", "venv", "--clear", str(VENV)], f"making {VENV} failed")
    return python


def require_venv_module() -> None:
    if not all(importlib.util.find_spec(name) for name in ("venv", "ensurepip")):
        raise SetUpError(
            f"{sys.executable} has no venv module; "
            "install with: sudo apt install python3-venv (Debian), or brew install python (macOS)"
        )


def pip_install(python: Path, *arguments: str) -> None:
    command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
    run(command, f"pip install {arguments[-1]} failed; what it said is above")


def run(command: list[str], failure: str) -> None:
    """Everything on stderr: stdout belongs to the answer."""
    if subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False).returncode != 0:
        raise SetUpError(failure)


def say(text: str) -> None:
    print(text, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
