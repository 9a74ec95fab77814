"""The file that a picture is written to."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ...errors import OptionInvalid
from ...values.output_file import check_output, output_file

ENDINGS = (".png", ".svg")


def check_picture(path: Path) -> None:
    """Raises OptionInvalid for another ending than .png and .svg, a folder or pipe, or without matplotlib."""
    if path.suffix.lower() not in ENDINGS:
        raise OptionInvalid(
            f"picture: {path.name[-40:]!r} does not end in .png or .svg",
            hint="for example picture='plan.png'",
            option="picture",
        )
    if importlib.util.find_spec("matplotlib") is None:
        raise OptionInvalid(
            "picture: matplotlib is not installed", hint='pip install "edge-runtime[plot]"', option="picture"
        )
    check_output(path, force=True, option="picture")


def save_picture(content: bytes, path: Path) -> None:
    """Replaces a file that is there. Raises OptionInvalid for a path that cannot be written, StorageFull."""
    with output_file(path, len(content), force=True, option="picture") as file:
        file.write(content)
