"""Errors of a damaged checkpoint: always with the file, and the tensor or key."""

from __future__ import annotations

from pathlib import Path

from edge_runtime.errors import ConversionError
from edge_runtime.values.files import GIT_LFS_HINT, is_git_lfs_pointer

FETCH_AGAIN = "fetch the file again, and compare its size with the source's"


def damaged(path: Path, problem: str, hint: str = FETCH_AGAIN, **facts: object) -> ConversionError:
    if is_git_lfs_pointer(path):
        problem, hint = "is a Git LFS pointer, a note of where the content is", GIT_LFS_HINT
    return ConversionError(f"{path.name}: {problem}", hint=hint, path=str(path), **facts)


def bad_tensor(path: Path, tensor: str, problem: str, hint: str = FETCH_AGAIN) -> ConversionError:
    return ConversionError(
        f"{path.name}: tensor {tensor[:120]!r} {problem}", hint=hint, path=str(path), tensor=tensor[:200]
    )
