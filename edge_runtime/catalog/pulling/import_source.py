"""GGUF files to import: where they are, which belong together, and whether they can be loaded."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from ...errors import ModelNotFound, ModelUnsupported
from ...gguf.check import check_header
from ...gguf.header import SPLIT_NAME, read_header
from ...values.files import expanded, is_dir, is_file

FileSet = tuple[Path, ...]  # one file, or all parts of a split set, in order


def gguf_sets(path: Path) -> list[FileSet]:
    """The models at `path`, a file or a folder. Parts of a set are there whether they exist or not.

    Raises ModelNotFound when there is none.
    """
    path = expanded(path)
    files = [path] if is_file(path) else files_like(path, ".gguf")
    return list(dict.fromkeys(map(_set_of, files)))


def files_like(folder: Path, suffix: str) -> list[Path]:
    """All files below a folder with that ending, broken links too. Raises ModelNotFound without any."""
    found = [p for p in _walk(folder) if p.suffix.lower() == suffix] if is_dir(folder) else []
    if found:
        return sorted(found)
    kind = "GGUF" if suffix == ".gguf" else suffix
    problem = f"holds no {kind} file" if is_dir(folder) else "does not exist"
    raise ModelNotFound(
        f"{folder} {problem}", hint=f"give a {kind} file, or a folder with some", looked_in=[str(folder)]
    )


def check_set(paths: FileSet) -> None:
    """Returns for a model whose files are all here, whole, and can be loaded; a projector passes too.

    Raises ModelNotFound, ModelFileInvalid or ModelUnsupported.
    """
    _require_files(paths)
    header = read_header(paths[0])
    with contextlib.suppress(ModelUnsupported):  # no language model: there may be a use for it
        check_header(header)


def _walk(folder: Path) -> Iterable[Path]:
    """Files below a folder, without hidden ones: macOS leaves a `._name` beside each on foreign disks."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(root, name) for name in files if not name.startswith("."))


def _set_of(path: Path) -> FileSet:
    found = SPLIT_NAME.fullmatch(path.name)
    count = int(found["count"]) if found else 0
    if found is None or not 1 <= int(found["number"]) <= count <= 1000:
        return (path,)
    names = (f"{found['stem']}-{number:05}-of-{found['count']}.gguf" for number in range(1, count + 1))
    return tuple(path.with_name(name) for name in names)


def _require_files(paths: Sequence[Path]) -> None:
    missing = [path for path in paths if not is_file(path)]
    if not missing:
        return
    name = missing[0].name
    if missing[0].is_symlink():
        problem, hint = f"{missing[0]} is a symbolic link to nothing", "copy the file itself"
    elif len(paths) > 1:
        problem = f"{name} is missing, one of the {len(paths)} files of a model in {missing[0].parent}"
        hint = f"all {len(paths)} files must lie in one folder: fetch {name} too"
    else:
        problem, hint = f"{missing[0]} is no regular file", "give a GGUF file, or a folder with some"
    raise ModelNotFound(problem, hint=hint, path=str(missing[0]))
