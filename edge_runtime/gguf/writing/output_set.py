"""Sets of output files: all of them get their names, or none does."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...values.files import writing_to
from ...values.output_file import cannot_write, check_output


@contextmanager
def output_set(path: Path, *, force: bool) -> Iterator[Path]:
    """A new folder beside `path`; what lies in it when the block ends moves to where `path` is.

    Raises OptionInvalid; whatever ends the block early leaves nothing behind.
    """
    home = path.absolute().parent
    with writing_to(home, lambda error: cannot_write(path, error), hint="write to a larger disk"):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=home))
    try:
        yield folder
        _move_all(sorted(folder.iterdir()), home, force)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_all(files: list[Path], home: Path, force: bool) -> None:
    for file in files:
        check_output(home / file.name, force)
    moved: list[Path] = []
    try:
        for file in files:
            moved.append(file.replace(home / file.name))
    except BaseException as error:
        for done in moved:
            done.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise cannot_write(home / file.name, error) from error
        raise
