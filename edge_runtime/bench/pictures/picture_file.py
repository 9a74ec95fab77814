"""The file that a picture is written to."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

from ...errors import OptionInvalid

ENDINGS = (".png", ".svg")


def check_picture(path: Path) -> None:
    """Raises OptionInvalid for another ending than .png and .svg, and when matplotlib is missing."""
    if path.suffix.lower() not in ENDINGS:
        raise OptionInvalid(
            f"--plot: {path.name[-40:]!r} does not end in .png or .svg",
            hint="for example --plot picture.png",
            option="plot",
        )
    if importlib.util.find_spec("matplotlib") is None:
        raise OptionInvalid(
            "--plot: matplotlib is not installed", hint='pip install "edge-runtime[plot]"', option="plot"
        )


def save_picture(draw: Callable[[Path], None], path: Path) -> None:
    """Raises OptionInvalid for a path that cannot be written."""
    try:
        draw(path)
    except OSError as error:
        raise OptionInvalid(
            f"--plot: {path} cannot be written: {error.strerror}", hint="name another file", option="plot"
        ) from error
