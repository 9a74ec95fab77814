"""The folders of this user: where models, conversations and caches are kept."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import OptionInvalid

_NAME = "edge-runtime"
_VARIABLE = "EDGE_RUNTIME_HOME"
# Where the folders of data and of caches were before platformdirs decided: the variable that names
# the first part, and that part without it. A folder that is there is used further.
_FORMER = {
    "win32": (("LOCALAPPDATA", "AppData/Local"), ("LOCALAPPDATA", "AppData/Local")),
    "darwin": (("", "Library/Application Support"), ("", "Library/Caches")),
}
_FORMER_ELSEWHERE = (("XDG_DATA_HOME", ".local/share"), ("XDG_CACHE_HOME", ".cache"))


def store_folder() -> Path:
    """$EDGE_RUNTIME_HOME, or the place where this system keeps a user's data. Not created.

    Raises OptionInvalid where there is neither, as in a container whose user has no home, and
    for a file.
    """
    return _chosen_folder() or _user_folder(caches=False)


def store_folder_or_none() -> Path | None:
    """The same for callers that can do without: None where this user has no place for files."""
    try:
        return store_folder()
    except OptionInvalid:
        return None


def cache_folder() -> Path:
    """Where notes are kept that can be made again, such as probe results. Not created. Raises as above."""
    if os.environ.get(_VARIABLE) or sys.platform == "win32":
        return store_folder() / "cache"
    return _user_folder(caches=True)


def _chosen_folder() -> Path | None:
    chosen = os.environ.get(_VARIABLE, "")
    if not chosen:
        return None
    try:
        folder = Path(chosen).expanduser().absolute()
    except RuntimeError as error:  # ~ without a home
        raise _homeless() from error
    if folder.is_file():
        raise OptionInvalid(
            f"{_VARIABLE}: {folder} is a file, expected a folder",
            hint=f"set {_VARIABLE} to a folder that you may write to",
            option=_VARIABLE,
            value=chosen,
        )
    return folder


def _user_folder(*, caches: bool) -> Path:
    former = _former_folder(caches=caches)
    return former if former is not None and former.is_dir() else _platform_folder(caches=caches)


def _platform_folder(*, caches: bool) -> Path:
    from platformdirs import PlatformDirs  # here: `import edge_runtime` shall cost nothing

    folders = PlatformDirs(_NAME, appauthor=False)
    try:
        path = Path(folders.user_cache_dir if caches else folders.user_data_dir)
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise _homeless() from error
    if not path.is_absolute():  # older versions leave a ~ that stands for nothing
        raise _homeless()
    return path


def _former_folder(*, caches: bool) -> Path | None:
    variable, below_home = _FORMER.get(sys.platform, _FORMER_ELSEWHERE)[caches]
    named = Path(os.environ.get(variable, "") if variable else "")
    try:
        return (named if named.is_absolute() else Path.home() / below_home) / _NAME
    except RuntimeError:
        return None


def _homeless() -> OptionInvalid:
    return OptionInvalid(
        f"{_VARIABLE} is not set, and this user has no home folder to keep models in",
        hint=f"set {_VARIABLE} to a folder that you may write to",
        option=_VARIABLE,
    )
